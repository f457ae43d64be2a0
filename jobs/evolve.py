"""Evolve strategies as a job: `quantga job submit evolve --symbols BTC,ETH --store s3://…`."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["evolve", *sys.argv[1:]])
