"""`podwright agent`: run the node agent in the foreground, as a daemon is run.

Where a pod meets its machine. Settings come from flags, the environment and a file; a mistake in
them ends it with exit code 2 before anything is touched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from agent import settings
from base import lean, log


def main(argv: Sequence[str]) -> int:
    loaded = settings.load(argv, os.environ)
    log.configure(loaded.log_level, "json" if loaded.log_format == "json" else "text")
    lean.prepare()
    from agent.main import run  # --help need not load the container engine's library

    return run(loaded)
