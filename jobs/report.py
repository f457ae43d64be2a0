"""Draw a finished run as a job: `quantga job submit report … --store s3://…`."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
