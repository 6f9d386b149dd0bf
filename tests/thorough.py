"""How much a run tries: what fits into the check of every change, or, with `--long`, all of it."""

from __future__ import annotations

import os

LONG = os.environ.get("PODWRIGHT_TEST_LONG", "") == "1"


def examples(usual: int, *, long: int) -> int:
    return long if LONG else usual
