"""Waiting for a condition with a deadline: the one way local clusters wait for anything.

Serves starting and stopping the machines of a cluster. Blocking, like the whole package.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.05


def wait_for(condition: Callable[[], T], *, timeout: float, interval: float = INTERVAL) -> T | None:
    """The condition's first true answer, or None when the time is over. Asks at least once, and once
    more after the deadline, so that a machine that slept meanwhile gets its fair chance."""
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() >= deadline
        if answer := condition():
            return answer
        if late:
            return None
        time.sleep(interval)
