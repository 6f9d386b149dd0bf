"""How long tests wait, and how: longer on a machine that is emulated (`tests/vm`)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from base.errors import PodwrightError

T = TypeVar("T")

PATIENCE = float(os.environ.get("PODWRIGHT_TEST_PATIENCE", "") or 1)
"""Deadlines are multiplied by it."""

DEADLINE = 60.0
"""Seconds for what takes a moment: on a slow day, beside other work, it may take very many of them."""

_NOT_YET = (
    AssertionError,
    LookupError,
    OSError,
    PodwrightError,
    subprocess.SubprocessError,
)


async def eventually(
    check: Callable[[], Awaitable[T]], seconds: float = DEADLINE, *, interval: float = 0.02
) -> T:
    """The first true answer of `check`. What fails meanwhile counts as "not yet"; its last error, or
    answer, is told when the deadline passes.
    """
    last: Any = None
    try:
        async with asyncio.timeout(seconds * PATIENCE):
            while True:
                try:
                    last = await check()
                    if last:
                        return last  # type: ignore[no-any-return]
                except _NOT_YET as error:
                    last = error
                await asyncio.sleep(interval)
    except TimeoutError:
        raise AssertionError(_too_late(check, seconds, last)) from None


def wait_until(
    check: Callable[[], Any], seconds: float = DEADLINE, *, interval: float = 0.2
) -> Any:
    """As `eventually`, for tests that stand outside of the event loop. An error is raised as it is."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        late, last = time.monotonic() >= end, None
        try:
            if last := check():
                return last
        except _NOT_YET:
            if late:
                raise
        assert not late, _too_late(check, seconds, last)
        time.sleep(interval)


def _too_late(check: Callable[[], Any], seconds: float, last: Any) -> str:
    code = getattr(check, "__code__", None)
    what = repr(check)
    if code is not None:
        what = f"{check.__qualname__} ({Path(code.co_filename).name}:{code.co_firstlineno})"
    return f"not within {seconds:g} s: {what}; last: {last!r}"
