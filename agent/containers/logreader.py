"""Logs read from the engine's files on the disk, followed as they grow (what a person reads after step
5).

The engine is not asked for a byte: it only says where a container's log lies, and whether the
container still runs. So logs can be read at the disk's speed, through rotations (`logfiles`), and, of
containers seen before, while the engine is away.

Concurrency: reading blocks on the disk, so each chunk is a job for one of `THREADS` threads; who
follows a silent container waits for the kernel's word (`base.dirwatch`) and holds nothing but an open
file. A reader that does not read asks for no further chunk.

A container has ended when the engine says so, and it says so after the last line was written; that is
why a follower reads once more to the end after that, and is then done. The engine writes a container's
state beside its log, so a change of any other file there is the reason to ask.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from agent.containers.errors import EngineUnavailable, NotFound
from agent.containers.logfiles import LogCursor, Pieces
from agent.containers.records import Channel, ContainerRecord, LogOptions
from base.clock import Clock
from base.dirwatch import DirectoryWatch

THREADS = 4
GATHER_SECONDS = 0.02
"""A follower lets lines gather for so long: else each line of a busy log would be a job of its own."""
LOOK_SECONDS = 1.0
"""How often a container is looked at whose directory tells nothing."""
IDLE_SECONDS = 30.0
"""How often one is that is silent: the safety net under the kernel's messages."""
DRIVER = "json-file"

Running = Callable[[], Awaitable[bool]]


class LogReader:
    """Reads the logs of one engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watch = DirectoryWatch()
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="logs")
        self._readers = 0
        self._gaps = 0
        self._malformed = 0

    def can_read(self, record: ContainerRecord) -> bool:
        """Whether the log is in files, and these are on this machine and ours to read."""
        path = record.log_path
        return record.log_driver == DRIVER and bool(path) and os.access(path, os.R_OK)

    async def read(
        self, path: Path, options: LogOptions, running: Running
    ) -> AsyncGenerator[tuple[Channel, bytes], None]:
        """The log at `path`; with `follow` until the container has ended."""
        cursor = LogCursor(path, options)
        self._readers += 1
        try:
            if not options.follow:
                while (pieces := await self._step(cursor)) is not None:
                    for piece in pieces:
                        yield piece
                return
            async for piece in self._follow(path, cursor, running):
                yield piece
        finally:
            self._readers -= 1
            self._gaps += cursor.gaps
            self._malformed += cursor.malformed
            self._let_go(cursor)

    def statistics(self) -> dict[str, float]:
        watch = self._watch.statistics()
        return {
            "log_readers": float(self._readers),
            "log_gaps": float(self._gaps),
            "log_entries_malformed": float(self._malformed),
            "log_directories_watched": watch["directories"],
        }

    def close(self) -> None:
        """May be called twice."""
        self._watch.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _follow(
        self, path: Path, cursor: LogCursor, running: Running
    ) -> AsyncGenerator[tuple[Channel, bytes], None]:
        with ExitStack() as stack:
            changes = stack.enter_context(self._watch.watching(path.parent))
            alive, ask, unsure, looked = True, True, False, self._clock.monotonic()
            while True:
                # What is there is told before anything is asked: the engine may be slow to answer.
                while (pieces := await self._step(cursor)) is not None:
                    for piece in pieces:
                        yield piece
                if not alive:
                    return
                if ask:
                    alive, ask, looked = await _is_running(running), False, self._clock.monotonic()
                    continue
                names = await changes.wait(LOOK_SECONDS if unsure else IDLE_SECONDS)
                # Of a directory that is removed the kernel tells only when our file is closed, too.
                if unsure := names is None or not path.exists():
                    ask = self._clock.monotonic() >= looked + LOOK_SECONDS
                else:
                    ask = not names or not all(name.startswith(path.name) for name in names)
                if not ask:
                    await self._clock.sleep(GATHER_SECONDS)

    async def _step(self, cursor: LogCursor) -> Pieces | None:
        # Whoever follows may go at any moment, a thread cannot: it ends by itself, and closing waits.
        job = asyncio.get_running_loop().run_in_executor(self._pool, cursor.read)
        return await asyncio.shield(job)

    def _let_go(self, cursor: LogCursor) -> None:
        try:
            self._pool.submit(cursor.close)
        except RuntimeError:  # the pool is closed, so nobody reads
            cursor.close()


async def _is_running(running: Running) -> bool:
    """Whether the container still runs; while the engine does not answer, nobody knows otherwise."""
    try:
        return await running()
    except NotFound:
        return False
    except EngineUnavailable:
        return True
