"""How long tests wait: longer on a machine that is emulated (`tests/vm`)."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("PODWRIGHT_TEST_PATIENCE", "") or 1)
"""Deadlines are multiplied by it."""
