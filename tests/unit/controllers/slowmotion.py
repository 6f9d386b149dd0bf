"""Controllers over the real API in memory, whose caches lag and whose process may die at any write.

Events reach a cache when the test lets them through, each kind on its own, so that caches show
different moments. A process has one client; its fate may be that the request or the answer of some
write to come is lost, or that it dies before or after it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api import errors
from api.interface import WatchEvent
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.apiserver.agents.webhooks import Webhooks
from control.apiserver.build import make_registry
from control.apiserver.local import LocalClient
from control.auth.user import in_process
from control.controllers.context import Context, Informers
from control.settings import ControlSettings
from control.store.memory import MemoryStore

WRITES = frozenset({"create", "update", "patch", "delete"})
SETTLE_TURNS = 40
"""Turns of the event loop until everybody who was woken has done what can be done."""


class KilledError(Exception):
    """The process is gone."""


@dataclass(slots=True)
class Fate:
    """What becomes of the controllers' next writes: this many succeed, then one of four ends."""

    writes: int
    end: str
    """Lost before or after it was done, or the process killed before or after."""


class Gate:
    """Lets events of one kind through, so many at a time."""

    def __init__(self) -> None:
        self._left = 0
        self._opened = asyncio.Event()

    async def enter(self) -> None:
        while self._left <= 0:
            self._opened.clear()
            await self._opened.wait()
        self._left -= 1

    def set(self, number: int) -> None:
        self._left = number
        self._opened.set()


class Process:
    """The client that one life of the controllers uses: it can lag, lose answers, and die."""

    def __init__(self, client: LocalClient, wrote: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._wrote = wrote
        self._gates: dict[type[Any], Gate] = {}
        self.fate: Fate | None = None
        self.dead = False
        self.done: Counter[tuple[str, str]] = Counter()
        """How often each verb was carried out, by kind and subresource (`ReplicaSet/status`)."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in WRITES:
            return method

        async def write(*arguments: Any, **more: Any) -> Any:
            end = self._next()
            if end in ("killed before", "lost before"):
                raise self._error(end)
            answer = await method(*arguments, **more)
            self.done[name, _target(arguments[0], more.get("subresource", ""))] += 1
            await self._wrote()
            if end or self.dead:
                raise self._error(end or "killed after")
            return answer

        return write

    def _next(self) -> str:
        if self.dead:
            return "killed before"
        if self.fate is None:
            return ""
        if self.fate.writes:
            self.fate.writes -= 1
            return ""
        end, self.fate = self.fate.end, None
        self.dead = end.startswith("killed")
        return end

    def _error(self, end: str) -> Exception:
        return KilledError() if end.startswith("killed") else errors.unavailable(end)

    async def watch(self, type_: type[Any], *args: Any, **more: Any) -> AsyncIterator[Any]:
        gate = self._gates.setdefault(type_, Gate())
        events: AsyncIterator[WatchEvent[Any]] = self._client.watch(type_, *args, **more)
        async for event in events:
            await gate.enter()
            yield event

    async def deliver(self, type_: type[Any], number: int) -> None:
        """Let so many more events of a kind through, as far as there are any."""
        gate = self._gates.setdefault(type_, Gate())
        gate.set(number)
        await idle()
        gate.set(0)


def _target(first: Any, subresource: str) -> str:
    """What a verb's first argument, a kind or an object, is about."""
    kind = first if isinstance(first, type) else type(first)
    return f"{kind.__name__}/{subresource}" if subresource else kind.__name__


class Recorder:
    """Takes the place of an event recorder; remembers what it is told."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def event(self, obj: Any, type_: str, reason: str, message: str) -> None:
        self._told.append(f"{type_} {reason} {message}")


@dataclass(frozen=True, kw_only=True)
class QuietContext(Context):
    told: list[str] = field(default_factory=list)

    def recorder(self, component: str) -> Any:
        return Recorder(self.told)


def quiet_context(client: Any, clock: FakeClock, guard: TaskGuard, **more: Any) -> QuietContext:
    """What controllers over this client need, with caches of their own."""
    return QuietContext(
        client=client,
        informers=Informers(client, clock),
        clock=clock,
        ca=None,  # type: ignore[arg-type]
        guard=guard,
        **more,
    )


async def idle() -> None:
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def api_in_memory(
    folder: Path, clock: FakeClock, source: random.Random
) -> AsyncIterator[LocalClient]:
    """The API with all its kinds, without a disk."""
    settings = ControlSettings(
        state_dir=folder,
        pki_dir=folder,
        kubeconfig_out=folder / "kubeconfig",
        disable_admission_plugins=("ServiceAccount",),  # nobody makes accounts here
    )
    registry = make_registry(
        settings=settings, store=MemoryStore(), clock=clock, source=source, caller=Webhooks()
    )
    async with TaskGuard("caches") as guard:
        for kind in registry.kinds:
            guard.start(kind.cache.run(), name=kind.resource.plural)
        for kind in registry.kinds:
            await kind.cache.synced()
        yield LocalClient(registry, in_process("test"))
