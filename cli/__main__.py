"""`python -m cli` is `podwright`: how the launcher and the daemons' supervisors start it."""

from __future__ import annotations

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main())
