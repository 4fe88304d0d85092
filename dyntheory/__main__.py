"""`python -m dyntheory`: the command line."""

import sys

from dyntheory.shell.main import main

if __name__ == "__main__":
    sys.exit(main())
