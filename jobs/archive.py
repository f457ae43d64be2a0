"""Fetch from the venue's archive as a job: `quantga job submit archive … --store s3://…`."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["data", "archive", *sys.argv[1:]])
