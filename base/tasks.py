"""The guard: the only place where background tasks are made, so that none can die unnoticed.

A daemon opens one guard for its lifetime and hands it down; a component that starts and stops its
own tasks opens one of its own. A task that ends by an exception fails its guard: `failed()` raises
that error, and the process ends loudly (systemd starts it again) instead of living on without one
of its parts. A task that returns, or is cancelled by its owner, is simply forgotten.

A loop that goes over many things should not end with the whole process because one of them is odd:
`persist` takes its steps, says what fails, and goes on after a while. What works through a queue
puts the key back instead, with the queue's own back-off.

    async with TaskGuard("agent") as guard:
        guard.start(heartbeat(), name="heartbeat")
        await guard.failed()              # for ever, or until a task has failed

Concurrency: one event loop. Invariant: after `close()` returned, no task of this guard runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from base.clock import Clock
from base.errors import PodwrightError

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds that a cancelled task may take to clean up before it is cancelled once more: long enough
# for a flush to a slow disk, short enough for the stop timeout of a service manager.
_CLEANUP = 10.0

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds: the pause after a step that failed doubles from the one to the other."""


class TaskGuard:
    """Owns background tasks, names them, and escalates the unexpected end of any of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in order, so that they end in order
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._closing = False
        self._started = 0

    def __repr__(self) -> str:
        return f"TaskGuard({self.name!r}, running={sorted(t.get_name() for t in self._tasks)})"

    def start(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `coro` in the background under this guard."""
        if self._closing:
            coro.close()
            raise RuntimeError(f"{self.name}: cannot start {name!r}, the guard is closing")
        task = asyncio.get_running_loop().create_task(coro, name=f"{self.name}/{name}")
        self._tasks[task] = None
        self._started += 1
        task.add_done_callback(self._ended)
        return task

    async def failed(self) -> None:
        """Wait until any task has failed, then raise its error."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended. Safe to call twice."""
        self._closing = True
        own = asyncio.current_task()  # a task may close its own guard; it must not wait for itself
        while tasks := [task for task in self._tasks if task is not own]:
            for task in tasks:
                task.cancel()
            # Again and again: a task that swallowed its cancellation gets another one.
            await asyncio.wait(tasks, timeout=_CLEANUP)

    def statistics(self) -> dict[str, float]:
        return {"running": len(self._tasks), "started": self._started}

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if isinstance(error, PodwrightError):
            # Worded for people; where it was raised helps only who reads the code as well.
            log.error("task %s ended: %s", task.get_name(), error)
            log.debug("raised at", exc_info=error)
        else:
            log.error("task %s ended unexpectedly", task.get_name(), exc_info=error)
        if self._failure is None:
            self._failure = error
            self._failed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
        # A failure that nobody was waiting for must not get lost on the way out.
        if error is None and self._failure is not None:
            raise self._failure


async def persist(step: Callable[[], Awaitable[None]], *, what: str, clock: Clock) -> None:
    """Take one step after the other until cancelled; one that fails is told, and waited after.

    Each step begins anew from what there is then, and waits by itself while there is nothing to do.
    """
    failures = 0
    while True:
        try:
            await step()
        except Exception as error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 16))
            failures += 1
            if isinstance(error, PodwrightError):
                log.warning("%s failed, next try in %.0f s: %s", what, pause, error)
            else:
                log.exception("%s failed, next try in %.0f s", what, pause)
            await clock.sleep(pause)
        else:
            failures = 0
