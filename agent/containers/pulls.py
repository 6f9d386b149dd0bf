"""Pulling images for whoever asks: one pull per image and credentials, so many at a time (step 4 of the
pod's walk).

Those who want the same wait for one pull, and it goes on when they no longer do: a pull that has begun is
worth its end. Pulls beyond the limit wait in the order in which they were asked for. Who waits long is
told from time to time how far it is: after 30 s, then after twice as long each time, so that an
hour's pull is a dozen words and no flood.

Concurrency: one task per pull, one more that reports; both end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.containers.errors import EngineUnavailable, RuntimeFailure
from agent.containers.interface import Runtime
from agent.containers.records import ImageRecord, PullProgress, RegistryAuth
from base.clock import Clock
from base.tasks import TaskGuard

PARALLEL = 3
"""Pulls at a time: as many layers as that come at once for each of them."""
FIRST_REPORT = 30.0
LONGEST_REPORT = 600.0

Report = Callable[[str], None]

_MEBIBYTE = 1024 * 1024
_THERE = frozenset({"Pull complete", "Already exists"})
_FETCHED = frozenset({"Download complete", "Verifying Checksum", "Extracting"}) | _THERE
_BEGUN = frozenset({"Pulling fs layer", "Waiting", "Downloading"}) | _FETCHED


@dataclass
class _Layer:
    status: str = ""
    fetched: int = 0
    size: int = 0


@dataclass
class Progress:
    """How far a pull is, from the engine's messages about its layers."""

    layers: dict[str, _Layer] = field(default_factory=dict)

    def note(self, step: PullProgress) -> None:
        if step.status not in _BEGUN:
            return
        layer = self.layers.setdefault(step.layer, _Layer())
        layer.status = step.status
        if step.status == "Downloading":
            layer.fetched, layer.size = step.current, max(step.total, step.current)
        elif step.status in _FETCHED:
            layer.fetched = layer.size

    def __str__(self) -> str:
        if not self.layers:
            return "the registry has not answered yet"
        layers = self.layers.values()
        there = sum(layer.status in _THERE for layer in layers)
        fetched, size = sum(layer.fetched for layer in layers), sum(layer.size for layer in layers)
        return (
            f"{there} of {len(layers)} layers are there, "
            f"{fetched / _MEBIBYTE:.1f} of {size / _MEBIBYTE:.1f} MiB are fetched"
        )


@dataclass(frozen=True, kw_only=True)
class Pulled:
    image: ImageRecord
    took: float
    """Seconds of the pull itself, without its waiting for its turn."""


@dataclass(eq=False)
class _Pull:
    """One pull, and who waits for it."""

    reports: list[Report] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    progress: Progress = field(default_factory=Progress)
    began: float | None = None
    pulled: Pulled | None = None
    error: RuntimeFailure | None = None


class Pulls:
    """The pulls of one node."""

    def __init__(
        self, runtime: Runtime, *, clock: Clock, guard: TaskGuard, parallel: int = PARALLEL
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._guard = guard
        self._turns = asyncio.Semaphore(parallel)
        # The credentials are part of the key: who waits must be allowed to have what it waits for.
        self._pulls: dict[tuple[str, RegistryAuth | None], _Pull] = {}
        self._succeeded = 0
        self._failed = 0

    async def get(self, reference: str, auth: RegistryAuth | None, report: Report) -> Pulled:
        """Pull, or wait for one who does. Raises RuntimeFailure."""
        key = (reference, auth)
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull()
            self._guard.start(self._run(pull, reference, auth), name=f"pull {reference}")
        pull.reports.append(report)
        try:
            await pull.done.wait()
        finally:
            pull.reports.remove(report)
        if pull.pulled is None:
            raise pull.error or EngineUnavailable(f"the pull of {reference} was cut off")
        return pull.pulled

    def statistics(self) -> dict[str, float]:
        running = sum(pull.began is not None for pull in self._pulls.values())
        return {
            "pulls_running": float(running),
            "pulls_waiting": float(len(self._pulls) - running),
            "pulls_succeeded": float(self._succeeded),
            "pulls_failed": float(self._failed),
        }

    async def _run(self, pull: _Pull, reference: str, auth: RegistryAuth | None) -> None:
        reporting = self._guard.start(self._report(pull), name=f"progress of {reference}")
        try:
            async with self._turns:
                pull.began = self._clock.monotonic()
                image = await self._runtime.pull(reference, auth=auth, progress=pull.progress.note)
            pull.pulled = Pulled(image=image, took=self._clock.monotonic() - pull.began)
            self._succeeded += 1
        except RuntimeFailure as error:
            pull.error = error
            self._failed += 1
        finally:
            reporting.cancel()
            del self._pulls[reference, auth]
            pull.done.set()

    async def _report(self, pull: _Pull) -> None:
        wait = FIRST_REPORT
        while True:
            await self._clock.sleep(wait)
            wait = min(wait * 2, LONGEST_REPORT)
            text = str(pull.progress) if pull.began is not None else self._place(pull)
            for report in list(pull.reports):
                report(text)

    def _place(self, pull: _Pull) -> str:
        """What a pull waits for whose turn has not come."""
        before = list(self._pulls.values()).index(pull)
        return f"waits for its turn, {before} other pulls come first"
