"""A thread for work that blocks: netlink exchanges take a millisecond, iptables many.

A node has two of them, one for links and one for rules, so that a pod's cable does not wait for the
rules of a thousand services. Each does its jobs one after another in the order they were given, and
lives in the node's network namespace, which need not be the process's.

Concurrency: `run` is called from one event loop. A cancelled caller stops waiting; its job is done
all the same, because half a change of the network is worse than one nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from netplugin.namespaces import Namespace, enter

T = TypeVar("T")


class Worker:
    """One thread in one namespace."""

    def __init__(self, name: str, namespace: Namespace) -> None:
        self._namespace = namespace
        self._inside = namespace is None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._jobs = 0
        self._waiting = 0

    async def run(self, job: Callable[[], T]) -> T:
        """Do the job after all earlier ones; its result or error comes back."""
        self._jobs += 1
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._do, job)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Wait for the job at hand and end the thread."""
        self._pool.shutdown(wait=True)

    def statistics(self) -> dict[str, float]:
        return {"jobs": self._jobs, "waiting": self._waiting}

    def _do(self, job: Callable[[], T]) -> T:
        if not self._inside:
            enter(self._namespace)
            self._inside = True
        return job()
