"""Short questions and orders to the Docker Engine (step 4 of the pod's walk), each in its turn.

Concurrency: one event loop, no threads. Changes share `workers` places, and a call that finds them all
taken waits its turn (`turns`); when some take long, `SPARE` more may be under way. An engine may answer for
all containers but one: about each there is one question at a time, and questions have places of their own,
so that those without an answer hold up neither others nor changes.

Invariants:
- A place is free when the engine has answered, not when whoever asked has given up: a call that was
  cancelled goes on, and one that hangs is not asked again and again.
- No call holds its place for more than `CALL_TIMEOUT` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from agent.containers import engine_json, operations
from agent.containers.engine_http import (
    CHUNK,
    HEADER_TIMEOUT,
    EngineAddress,
    EngineSocket,
    Query,
    Translate,
)
from agent.containers.errors import EngineError, EngineUnavailable, RuntimeFailure
from agent.containers.operations import Operations
from agent.containers.turns import Rank, Turns
from base.clock import Clock
from base.tasks import TaskGuard

T = TypeVar("T")

CALL_TIMEOUT = 120.0
"""Seconds for one short call, its turn included: what kubelets allow a runtime."""
SPARE = 6
"""Changes that may be under way beyond the places, when some take long."""
LOOKERS = 16
"""Questions about single containers at a time."""

Take = Callable[[], Awaitable[Callable[[], None]]]
"""Waits for a place; the result gives it back."""


class EngineCalls:
    """Asks the engine at `address`; learns with the first call which version of the API it speaks."""

    def __init__(self, address: EngineAddress, *, workers: int, clock: Clock) -> None:
        self.socket = EngineSocket(address, self._version_prefix)
        """For what lasts: streams, waits and pulls have no turns."""
        self._bare = EngineSocket(address, _no_prefix)
        self._turns = Turns(workers, most=workers + SPARE)
        self._lookers = Turns(LOOKERS)
        self._looks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._guard = TaskGuard("engine")
        self._connecting = asyncio.Lock()
        self._api = ""
        self._counts = dict.fromkeys(("calls", "failures", "pending"), 0)
        self.operations = Operations(clock)

    async def version(self) -> Any:
        """What the engine is, asked without any version of its API."""
        take = partial(self._turns.take, Rank.FINISH)
        return await self._in_turn(operations.VERSION, take, self._version)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: object = None,
        translate: Translate = engine_json.failure,
        rank: Rank = Rank.FINISH,
    ) -> Any:
        """The engine's answer; None when it has nothing to say."""

        def ask() -> Coroutine[Any, Any, Any]:
            return self.socket.ask(
                method, path, query=query, body=body, translate=translate, patience=CALL_TIMEOUT
            )

        take = partial(self._turns.take, rank)
        return await self._in_turn(operations.kind_of(method, path), take, ask)

    async def look(self, what: str, method: str, path: str, *, body: object = None) -> Any:
        """A question about one container, after any other about the same."""
        lock = self._looks.setdefault(what, asyncio.Lock())

        async def take() -> Callable[[], None]:
            await lock.acquire()
            try:
                give_back = await self._lookers.take(Rank.FINISH)
            except BaseException:
                lock.release()
                raise

            def both() -> None:
                give_back()
                lock.release()

            return both

        return await self._in_turn(
            operations.kind_of(method, path),
            take,
            lambda: self.socket.ask(method, path, body=body, patience=CALL_TIMEOUT),
        )

    async def archive(self, path: str, *, query: Query, of: str) -> bytes:
        """A small file out of a container, as the engine packs it."""

        async def ask() -> bytes:
            async with (
                asyncio.timeout(CALL_TIMEOUT),
                self.socket.request("GET", path, query=query) as body,
            ):
                return await _small(body, of)

        take = partial(self._turns.take, Rank.FINISH)
        return await self._in_turn(operations.kind_of("GET", path), take, ask)

    def statistics(self) -> dict[str, float]:
        return {**self._counts, "streams": self.socket.opened}

    async def close(self) -> None:
        await self._guard.close()

    async def _version(self) -> Any:
        return await self._bare.ask("GET", "/version", patience=HEADER_TIMEOUT)

    async def _version_prefix(self) -> str:
        if not self._api:
            async with self._connecting:
                if not self._api:
                    found = await self._version()
                    self._api = engine_json.choose_api_version(
                        offered=found["ApiVersion"], minimum=found.get("MinAPIVersion", "")
                    )
        return f"/v{self._api}"

    async def _in_turn(self, kind: str, take: Take, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `ask` brings, once there is a place for it."""
        with self.operations.measured(kind):
            return await self._take_turn(take, ask)

    async def _take_turn(self, take: Take, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self._counts["calls"] += 1
        self._counts["pending"] += 1
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                give_back = await take()
                call = self._guard.start(_outcome(ask), name="call")
                call.add_done_callback(lambda _: give_back())
                found = await asyncio.shield(call)
            if isinstance(found, RuntimeFailure):
                raise found
            return found
        except TimeoutError as error:
            self._counts["failures"] += 1
            raise EngineUnavailable("the Docker Engine did not answer in time") from error
        except RuntimeFailure:
            self._counts["failures"] += 1
            raise
        finally:
            self._counts["pending"] -= 1


async def _outcome(ask: Callable[[], Coroutine[Any, Any, T]]) -> T | RuntimeFailure:
    """A refusal is an answer too: nobody may be left to hear of it."""
    try:
        return await ask()
    except RuntimeFailure as error:
        return error
    except TimeoutError:
        return EngineUnavailable("the Docker Engine did not answer in time")


async def _small(body: asyncio.StreamReader, what: str) -> bytes:
    """All of it. How large it is, an image's author has said. Raises EngineError."""
    held, most = bytearray(), engine_json.LARGEST_ARCHIVE
    while piece := await body.read(CHUNK):
        held += piece
        if len(held) > most:
            raise EngineError(f"{what} of the image is larger than {most} bytes")
    return bytes(held)


async def _no_prefix() -> str:
    return ""
