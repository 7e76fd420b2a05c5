"""``python -m lit_metanas``: the command line."""

import sys

from lit_metanas.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
