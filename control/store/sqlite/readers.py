"""The threads that read the log: old revisions and the past of a watch, never the current state.

Two threads with a connection each. SQLite's readers and its writer do not wait for each other in
WAL mode. Queue size: the requests in flight, which the API server bounds.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Concatenate, ParamSpec, TypeVar

from control.store.errors import StoreClosedError, StoreError
from control.store.sqlite.schema import open_reader

T = TypeVar("T")
P = ParamSpec("P")

THREADS = 2


class Readers:
    """A small pool of read-only connections."""

    def __init__(self, directory: Path) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._connections: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._closed = False
        for _ in range(THREADS):
            self._connections.put(open_reader(directory))

    async def run(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Ask `question` in a thread of the pool."""
        if self._closed:
            raise StoreClosedError
        return await asyncio.get_running_loop().run_in_executor(
            self._pool,
            self._answer,
            lambda connection: question(connection, *args, **kwargs),
        )

    def close(self) -> None:
        """Blocks until running questions are answered; call it off the loop."""
        self._closed = True
        self._pool.shutdown()
        while not self._connections.empty():
            self._connections.get().close()

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connections.get()
        try:
            return question(connection)
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error
        finally:
            self._connections.put(connection)
