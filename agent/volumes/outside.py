"""Looking at paths that users name, which may lie on a file server that is away (step 4 of the pod's walk).

Such a call hangs in the kernel and cannot be called back: its thread is lost until the server answers.
So each has a thread of its own, nobody waits longer than `PATIENCE`, and whoever asks for the same work
again joins the thread that hangs instead of losing another. What comes late is kept for the next who asks,
who usually does so within ten seconds: a walk over millions of files does not begin anew each time. After
`KEPT` it is forgotten, for files and what is known of them change.

Concurrency: called on the event loop. Threads: one per key, `MOST` in all; beyond that callers wait for one
of them to end, as long as for an answer. They are daemons: an agent can end while they hang.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from base.errors import TemporaryError

PATIENCE = 60.0
MOST = 64
KEPT = 60.0
T = TypeVar("T")


class DoesNotAnswer(TemporaryError):
    """A file system hangs, or has much to do; it is asked again."""


class Outside:
    """Threads for paths that are not the agent's own."""

    def __init__(self, *, patience: float = PATIENCE, most: int = MOST, kept: float = KEPT) -> None:
        self._patience = patience
        self._most = most
        self._kept = kept
        self._under_way: dict[str, asyncio.Future[Any]] = {}
        self._late: dict[str, asyncio.TimerHandle] = {}
        """By the keys of those that have an answer which nobody has taken: when it is forgotten."""

    async def do(self, key: str, work: Callable[[], T]) -> T:
        """Do it in a thread, or join the one that does. Raises DoesNotAnswer."""
        if key not in self._under_way:
            await self._room()
        if key not in self._under_way:  # nor did anybody begin it meanwhile
            self._begin(key, work)
        future: asyncio.Future[T] = self._under_way[key]
        done, _ = await asyncio.wait((future,), timeout=self._patience)
        if not done:
            raise DoesNotAnswer(
                f"the file system has not answered within {self._patience:g} s: it hangs, or has much to do"
            )
        if self._under_way.get(key) is future:
            self._forget(key)
        return future.result()

    def hanging(self) -> int:
        """Threads that are under way."""
        return sum(not future.done() for future in self._under_way.values())

    def _begin(self, key: str, work: Callable[[], Any]) -> None:
        loop = asyncio.get_running_loop()
        future = self._under_way[key] = _start(key, work)

        def ended(_: object) -> None:
            future.exception()  # looked at: nobody may be left to hear of it
            if self._under_way.get(key) is future:
                self._late[key] = loop.call_later(self._kept, self._forget, key)

        future.add_done_callback(ended)

    def _forget(self, key: str) -> None:
        del self._under_way[key]
        if (late := self._late.pop(key, None)) is not None:
            late.cancel()

    async def _room(self) -> None:
        """Many pods that start at once fill it for a moment, without any of their calls hanging."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience
        while len(self._under_way) >= self._most:
            left, waiting = deadline - clock(), list(self._under_way.values())
            if left <= 0:
                raise DoesNotAnswer(
                    f"{self._most} calls to file systems hang: no more are begun until one answers"
                )
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for key in [key for key, future in self._under_way.items() if future.done()]:
                self._forget(key)


def _start(key: str, work: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            tell = partial(_set, future, work())
        except Exception as error:  # noqa: BLE001 - it is the caller's, whatever it is
            tell = partial(_fail, future, error)
        with suppress(RuntimeError):  # the agent has ended meanwhile
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, name=f"outside {key}"[:60], daemon=True).start()
    return future


def _set(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
