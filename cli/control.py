"""`podwright control`: run the control plane in the foreground, as a daemon is run.

The beginning of every pod's walk. Settings come from flags, the environment and a file; a mistake in
them ends it with exit code 2 before anything is touched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from base import lean, log
from control import settings


def main(argv: Sequence[str]) -> int:
    loaded = settings.load(argv, os.environ)
    log.configure(loaded.log_level, "json" if loaded.log_format == "json" else "text")
    lean.prepare()
    from control.main import run  # --help need not load the API server

    return run(loaded)
