"""Which probes of a pod run now, and what their verdicts mean for it (step 5 of the pod's walk).

A startup probe runs until it passed; the others only then. While a pod, or one of its containers, is
being ended its readiness is still asked (traffic may still come), its liveness is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.containers.records import ContainerId
from agent.effects.context import PodContext
from agent.pod.observed import (
    Hook,
    KilledFor,
    PodObserved,
    Probed,
    Seen,
    container_started,
)
from agent.probes.handlers import Target, Verdict
from agent.probes.runner import Key, PodProbes, Turned, Wanted
from agent.probes.state import Kind, probes_of
from agent.probes.tally import Tally
from api.core import Container, Pod


class Probing:
    """The probes of one pod, kept in step with its containers."""

    def __init__(self, context: PodContext, *, wake: Callable[[], None]) -> None:
        self._context = context
        self._wake = wake
        agent = context.agent
        self._probes = PodProbes(
            agent.runtime,
            pod=context.uid,
            turns=agent.exec_turns,
            clock=agent.clock,
            guard=agent.guard,
            tell=self._turned,
            complain=self._complain,
        )

    def __len__(self) -> int:
        return len(self._probes)

    @property
    def tally(self) -> Tally:
        """What came of them so far."""
        return self._probes.tally

    def remember(self, pod: Pod) -> None:
        """Start from what was last told of containers that still run.

        A restarted agent that began with "not ready" would take every pod out of its services.
        """
        memory = self._context.memory
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            id = ContainerId(status.container_id.rpartition("//")[2])
            record = memory.records.get(id)
            if record is not None and record.running:
                memory.probed[id] = Probed(started=status.started, ready=status.ready)

    def sync(self, observed: PodObserved) -> None:
        """Run the probes that this observation calls for."""
        pod = self._context.pod
        wanted: dict[Key, Wanted] = {}
        for container in (*pod.spec.init_containers, *pod.spec.containers):
            seen = observed.current(container.name)
            if seen is not None and seen.alive and observed.network_ready:
                wanted.update(self._wanted(container, seen, observed))
        self._probes.sync(wanted)

    def stop(self) -> None:
        self._probes.stop()

    def _wanted(self, container: Container, seen: Seen, observed: PodObserved) -> dict[Key, Wanted]:
        if seen.post_start not in (Hook.NONE, Hook.DONE):
            return {}
        started = container_started(container, seen)
        deleted = self._context.pod.metadata.deletion_timestamp is not None
        ending = deleted or observed.stopping_for > 0 or seen.killed_for is not None
        target = Target(container=container, id=seen.id, ip=observed.ip)
        now = self._context.agent.clock.now()
        begun = seen.record.started_at
        made: dict[Key, Wanted] = {}
        for kind, probe in probes_of(container).items():
            if started is (kind is Kind.STARTUP) or (ending and kind is not Kind.READINESS):
                continue
            made[seen.id, kind] = Wanted(
                probe=probe,
                target=target,
                started_ago=max(0.0, (now - begun).total_seconds()) if begun else 0.0,
                adopted=seen.id in self._context.memory.adopted,
            )
        return made

    def _turned(self, turned: Turned) -> None:
        id, kind = turned.key
        memory = self._context.memory
        before = memory.probed.get(id, Probed())
        if kind is Kind.READINESS:
            after = replace(before, ready=turned.passed)
        elif kind is Kind.LIVENESS:
            after = replace(before, alive=turned.passed)
        elif turned.passed:
            after = replace(before, started=True)
        else:
            after = replace(before, startup_failed=True)
        memory.probed[id] = after
        self._wake()

    def _complain(self, kind: Kind, target: Target, verdict: Verdict) -> None:
        name = target.container.name
        if verdict.warning:
            words = f"{kind.value} probe warning: {verdict.message}"
            self._context.warn("ProbeWarning", words, container=name)
            return
        if verdict.unknown:
            words = "probe errored and resulted in unknown state"
            message = f"{kind.value} {words}: {verdict.message}"
        else:
            message = f"{kind.value} probe failed: {verdict.message}"
            reason = KilledFor.STARTUP if kind is Kind.STARTUP else KilledFor.LIVENESS
            if kind is not Kind.READINESS:
                complaints = self._context.memory.complaints.setdefault(target.id, {})
                complaints[reason] = verdict.message
        self._context.warn("Unhealthy", message, container=name)
