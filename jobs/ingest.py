"""Bring data into a lake as a job: `quantga job submit ingest pull --symbols BTC --store s3://…`, or `ingest import …`."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["data", *sys.argv[1:]])
