"""Time that leaps: an event loop which never waits, and the clock that goes with it.

Everything a simulated cluster does runs on one such loop. When nothing is ready to run, time goes on
to the next timer at once; while something runs, it stands still. So an hour costs what its work costs,
and two runs of the same work are the same to the last turn of the loop: there are no threads, no
sockets, and no timer that the machine's speed decides about.

Rejected: driving `base.clock.FakeClock` from a task. It sees only sleepers of its own, and much of
what is simulated waits with `asyncio.timeout`.

Invariant: timers that are due at the same moment run in an order that depends only on the order in
which they were made.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall clock when a simulation begins."""


class Standstill(RuntimeError):
    """Nothing is ready and nothing ever will be: everybody waits for somebody else."""


class _Leap(selectors.SelectSelector):
    """What the loop asks to wait until its next timer: it lets the time pass instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Standstill("the simulation stands still: no timer is left")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is its own. It starts at 0."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, work: Callable[..., T], *what: Any
    ) -> asyncio.Future[T]:
        """Do at once what others give to a thread: no thread ends at a moment that is foreseen."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(work(*what))
        except Exception as error:  # noqa: BLE001 (it is the caller's, who waits for it)
            done.set_exception(error)
        return done


class VirtualClock:
    """`base.clock.Clock` in the time of the loop it is asked on."""

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end in simulated time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
