"""Keeping the time of a pod's probes (step 5 of the pod's walk).

`PodProbes.sync` is told which probes should run now; each runs in a task of its own under the
guard, and tells its verdict only when it turns. A probe that runs long delays only itself. Bound:
three tasks per running container. Exec probes wait for their turn (`turns.py`).

The first question comes when initialDelaySeconds after the container's start are over. For a
container that this agent found running, it is spread over one period, so that a restarted agent
does not ask a hundred containers at once. For others the second comes up to a tenth of a period early,
so that what was started together is not asked together for ever. From then on the distance is the
period exactly, however long the answers take: moments are counted from the first, not from the last
answer, which would drift. A question that comes due while the one before is unanswered is left out.

A container whose startup or liveness probe has failed is going to be restarted for it: as in Kubernetes
that probe does not ask it again, however long its end takes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.containers.interface import Runtime
from agent.containers.records import ContainerId
from agent.probes.handlers import Target, Verdict, ask
from agent.probes.state import Count, Kind, Timing, count, timing
from agent.probes.tally import Tally
from agent.probes.turns import ExecTurns
from api.core import Probe
from base.clock import Clock
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

SPREAD = 0.1
"""Of a period: how far the moments of probes that began together are drawn apart."""
LEAST_PAUSE = 0.1
"""Seconds between an answer and the next question, however slow the answers are."""

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
        pod: str,
        turns: ExecTurns,
        clock: Clock,
        guard: TaskGuard,
        tell: Tell,
        complain: Complain,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._runtime = runtime
        self._pod = pod
        self._turns = turns
        self._clock = clock
        self._guard = guard
        self._tell = tell
        self._complain = complain
        self._jitter = jitter
        self._running: dict[Key, tuple[Wanted, asyncio.Task[None]]] = {}
        self.tally = Tally()

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
        due = self._clock.monotonic()
        if not one.adopted:
            due -= times.period * SPREAD * self._jitter()
        while True:
            counted = self._count(key, one, counted, await self._ask(key, one, times), times)
            if counted.verdict is False and key[1] is not Kind.READINESS:
                return
            now = self._clock.monotonic()
            due = next_due(due, now, times.period)
            await self._clock.sleep(due - now)

    async def _ask(self, key: Key, one: Wanted, times: Timing) -> Verdict:
        if one.probe.exec is None:
            return await self._answer(key, one, times)
        async with self._turns.turn(self._pod):
            return await self._answer(key, one, times)

    async def _answer(self, key: Key, one: Wanted, times: Timing) -> Verdict:
        began = self._clock.monotonic()
        try:
            verdict = await ask(one.probe, one.target, self._runtime, timeout=times.timeout)
        except Exception as error:  # one odd answer must not stop the agent
            log.exception("a probe of container %s failed unexpectedly", one.target.container.name)
            words = f"the agent failed unexpectedly: {type(error).__name__}: {error}"
            verdict = Verdict(passed=False, unknown=True, message=words)
        took = self._clock.monotonic() - began
        self.tally.add(one.target.container.name, key[1], verdict, took)
        return verdict

    def _count(
        self, key: Key, one: Wanted, before: Count, verdict: Verdict, times: Timing
    ) -> Count:
        if not verdict.passed or verdict.warning:
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


def next_due(due: float, now: float, period: float) -> float:
    """The moment of the next question: a whole number of periods after the last one was due."""
    missed = max(1, math.ceil((now + LEAST_PAUSE - due) / period))
    return due + missed * period
