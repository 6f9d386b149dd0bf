"""Keeping the time of a pod's probes (step 5 of the pod's walk).

`PodProbes.sync` is told which probes should run now; each runs in a task of its own under the
guard, and tells its verdict only when it turns. A probe that runs long delays only itself. Bound:
three tasks per running container.

The first question comes when initialDelaySeconds after the container's start are over. For a
container that this agent found running, it is spread over one period, so that a restarted agent
does not ask a hundred containers at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.containers.interface import Runtime
from agent.containers.records import ContainerId
from agent.probes.handlers import Target, Verdict, ask
from agent.probes.state import Count, Kind, Timing, count, timing
from api.core import Probe
from base.clock import Clock
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

Key = tuple[ContainerId, Kind]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A probe that should be running."""

    probe: Probe
    target: Target
    started_ago: float
    """Seconds since the container started."""
    adopted: bool = False
    """It ran before this agent did."""


@dataclass(frozen=True, kw_only=True)
class Turned:
    """A probe's verdict has changed (or is there for the first time)."""

    key: Key
    passed: bool


Tell = Callable[[Turned], None]
Complain = Callable[[Kind, Target, Verdict], None]


class PodProbes:
    """The probes of one pod."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        clock: Clock,
        guard: TaskGuard,
        tell: Tell,
        complain: Complain,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._guard = guard
        self._tell = tell
        self._complain = complain
        self._jitter = jitter
        self._running: dict[Key, tuple[Wanted, asyncio.Task[None]]] = {}

    def sync(self, wanted: Mapping[Key, Wanted]) -> None:
        """Start what is missing, stop what is not wanted any more."""
        for key in [key for key in self._running if key not in wanted]:
            self._running.pop(key)[1].cancel()
        for key, one in wanted.items():
            known = self._running.get(key)
            # A container that was attached anew (its pod got another address) is asked there.
            if known is not None and known[0].target.ip == one.target.ip:
                continue
            if known is not None:
                known[1].cancel()
            name = f"{key[1].value.lower()} probe {one.target.container.name}"
            self._running[key] = (one, self._guard.start(self._run(key, one), name=name))

    def stop(self) -> None:
        """Stop all. May be called twice."""
        self.sync({})

    def __len__(self) -> int:
        return len(self._running)

    async def _run(self, key: Key, one: Wanted) -> None:
        times = timing(one.probe)
        await self._clock.sleep(self._first_wait(one, times))
        counted = Count()
        while True:
            begun = self._clock.monotonic()
            verdict = await self._ask(one, times)
            counted = self._count(key, one, counted, verdict, times)
            took = self._clock.monotonic() - begun
            # Never back to back, however slow the answers are.
            await self._clock.sleep(max(times.period - took, 0.1))

    async def _ask(self, one: Wanted, times: Timing) -> Verdict:
        try:
            return await ask(one.probe, one.target, self._runtime, timeout=times.timeout)
        except Exception as error:  # one odd answer must not stop the agent
            log.exception("a probe of container %s failed unexpectedly", one.target.container.name)
            words = f"the agent failed unexpectedly: {type(error).__name__}: {error}"
            return Verdict(passed=False, unknown=True, message=words)

    def _count(
        self, key: Key, one: Wanted, before: Count, verdict: Verdict, times: Timing
    ) -> Count:
        if not verdict.passed:
            self._complain(key[1], one.target, verdict)
        if verdict.unknown:
            return before
        after = count(before, verdict.passed, times)
        if after.verdict is not None and after.verdict is not before.verdict:
            self._tell(Turned(key=key, passed=after.verdict))
        return after

    def _first_wait(self, one: Wanted, times: Timing) -> float:
        wait = max(0.0, times.initial_delay - one.started_ago)
        return wait + times.period * self._jitter() if one.adopted else wait
