"""Trade as a job, on Ray's actors: `quantga job submit trade --paper --run last --store s3://…`; stopping the job ends them."""

import sys

from quantga.cli import main

if __name__ == "__main__":
    main(["trade", "--ray", *sys.argv[1:]])
