"""Validate a run as a job: `ray job submit --working-dir . -- python jobs/validate.py last --store …`."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["validate", *sys.argv[1:]])
