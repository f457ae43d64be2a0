"""Evolve strategies as a job: `ray job submit --working-dir . -- python jobs/evolve.py --symbols BTC,ETH --store …`."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["evolve", *sys.argv[1:]])
