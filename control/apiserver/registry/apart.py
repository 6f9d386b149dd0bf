"""Work on large objects, out of the way of everybody else. Serves step 1 of the pod's walk.

Comparing, checking and encoding an object takes microseconds; one of a megabyte may have a hundred
thousand fields, and takes a second. Such work goes to a thread, which gives the loop its turns: one at
a time, for a tree takes many times the memory of its text. What is worked on belongs to its request,
and nothing that is done here looks at anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

LARGE = 128 * 1024
"""Bytes of a body or an object."""
_WORKER = ThreadPoolExecutor(1, thread_name_prefix="large-objects")


async def worked(large: bool, work: Callable[[], T]) -> T:
    """What `work` returns, done here and now unless it is large."""
    if not large:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_WORKER, work)
