"""Who gets a place on the node (step 4 of the pod's walk).

Each worker asks once, before anything of its pod is made. Who was let in stays: neither a restart of the
agent nor labels, taints or amounts of the node that change later throw a pod out, and it counts until
nothing of it runs any more, also while it ends. Of those who ask, as all do after a start of the node,
the oldest comes first: what it asks for is kept free until it is decided on.

Who does not fit is looked at once more before it is turned away for good: its scheduler may have seen a
change of the node, or the end of another pod, before this agent does. It also waits until all pods that
may have been let in before are known. A critical pod is not turned away for want of resources: others
are ended for it (`preemption.py`), and it starts when they have.

Concurrency: called by the tasks of workers; between looking and taking nobody else has a turn.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence, Set

from agent.effects.context import AgentContext
from agent.pod import admission, preemption
from agent.pod.admission import Fit, Short
from agent.pod.allocation import at_first, pod_as_allocated
from agent.pod.observed import Refusal
from agent.pod.teardown import pod_grace
from agent.pod.worker import PodWorker
from agent.resources.cpumanager import NotEnoughCpus
from api.core import Pod
from api.pods import is_terminal

log = logging.getLogger(__name__)

LOOK_AGAIN = 1.0
"""Seconds until the second look."""
LEAST_PATIENCE = 10.0
"""Seconds that a pod which makes room gets to end, at least; else half as long again as its grace period.
As a kubelet, the critical pod starts then all the same."""


class Room:
    """The places of one node."""

    def __init__(
        self,
        agent: AgentContext,
        workers: Mapping[str, PodWorker],
        remembered: Mapping[str, Pod],
    ) -> None:
        self._agent = agent
        self._workers = workers
        self._remembered = remembered
        """Pods that no worker has yet; they may have been let in before."""
        self.listed = False
        """The API has said which pods there are: who has no worker is not wanted."""
        self.known = False
        """Nobody turns up any more who was let in before: the API's list, or the checkpoints in its
        stead, have been gone through."""
        self._waiting: set[PodWorker] = set()
        self._ending_others = 0
        self.rejections: Counter[str] = Counter()
        """Pods that were turned away, whoever found the reason."""
        self.preemptions: Counter[str] = Counter()
        """Pods that made room, by the first resource that the critical pod lacked."""

    async def admit(self, worker: PodWorker) -> Refusal | None:
        """Let the pod in; why the node cannot. None also for one that ends before that is decided."""
        clock = self._agent.clock
        began = clock.monotonic()
        self._waiting.add(worker)
        try:
            while not (worker.admitted or worker.ends):
                left = began + LOOK_AGAIN - clock.monotonic()
                fit = self._look(worker)
                if fit.refusal is None and not (self._unlabelled(worker) and left > 0):
                    worker.admitted = True
                elif fit.refusal is not None and left <= 0 and self._is_final(worker):
                    return await self._turn_away(worker, fit)
                else:
                    await worker.rest(left if left > 0 else LOOK_AGAIN)
        finally:
            self._waiting.discard(worker)
        return None

    async def reserve_cpus(self, worker: PodWorker) -> Refusal | None:
        """Give the pod the CPUs that it is to have for itself; why that is not possible.

        What pods of an earlier agent had is waited for, until it is known which of them are still wanted,
        and those that are not have ended. A kubelet gives CPUs of the latter away at once, while their
        programs still run on them ("CPU Management Policies" promises that they are exclusive).
        """
        cpus, told = self._agent.cpus, ""
        while not worker.ends:
            try:
                cpus.admit(worker.pod)
                return None
            except NotEnoughCpus as error:
                owners = self._leaving(cpus.owners())
                if self.listed and not owners:
                    return Refusal(
                        reason=error.reason, field="", message=error.message, rejected=True
                    )
                message = f"waits for CPUs of pods that are being ended: {', '.join(owners)}"
                if owners and message != told:
                    worker.context.warn("WaitingForCPUs", message)
                told = message
            await worker.rest(LOOK_AGAIN)
        return None

    def stir(self) -> None:
        """Somebody has left, or is not in the way any more: who waits looks again."""
        for worker in self._waiting:
            worker.wake()

    def decided(self, refusal: Refusal | None) -> None:
        """Whether the node takes a pod stands now."""
        if refusal is not None and refusal.rejected:
            self.rejections[refusal.reason] += 1
        self.stir()

    def others(self, but: str) -> list[Pod]:
        """All pods that have a place but one, with the amounts that they were admitted with."""
        remembered = [
            pod_as_allocated(pod, at_first(pod))
            for pod in self._remembered.values()
            if not is_terminal(pod)
        ]
        return remembered + [
            worker.context.allocated_pod
            for uid, worker in self._workers.items()
            if uid != but and _has_place(worker)
        ]

    def _leaving(self, uids: Set[str]) -> list[str]:
        """The names of those that end because nobody wants them any more."""
        metas = [
            worker.pod.metadata
            for uid, worker in self._workers.items()
            if uid in uids and worker.context.memory.removed
        ]
        return sorted(f"{meta.namespace}/{meta.name}" for meta in metas)

    def statistics(self) -> dict[str, float]:
        return {
            "waiting_for_room": len(self._waiting),
            "rejections": self.rejections.total(),
            "preemptions": self.preemptions.total(),
        }

    def _look(self, worker: PodWorker) -> Fit:
        agent = self._agent
        before = [other.context.allocated_pod for other in self._before(worker)]
        return admission.look(
            worker.context.allocated_pod,
            node=agent.own(),
            allocatable=agent.node.allocatable,
            others=[*self.others(worker.context.uid), *before],
            static=worker.static,
        )

    def _unlabelled(self, worker: PodWorker) -> bool:
        """Whether the node's labels matter and are not known yet."""
        return self._agent.own() is None and admission.minds_labels(worker.pod)

    def _is_final(self, worker: PodWorker) -> bool:
        return self.known and not self._ending_others and not self._before(worker)

    def _before(self, worker: PodWorker) -> list[PodWorker]:
        """Who asks too and comes first: the older pod, and of two of one age the first to come."""
        found, came_later = [], False
        for other in self._workers.values():
            if other is worker:
                came_later = True
            elif other.asking and not (other.admitted or other.ends):
                if (_age(other), came_later) < (_age(worker), True):
                    found.append(other)
        return found

    async def _turn_away(self, worker: PodWorker, fit: Fit) -> Refusal | None:
        if worker.critical and fit.misfit is None:
            return await self._make_room(worker, fit.short)
        return fit.misfit if worker.critical else fit.refusal

    async def _make_room(self, worker: PodWorker, short: Sequence[Short]) -> Refusal | None:
        """End others, and wait for that; why that is not possible."""
        candidates = {
            uid: other
            for uid, other in self._workers.items()
            if other is not worker
            and _has_place(other)
            and preemption.outranks(
                worker.pod,
                other.pod,
                critical=worker.critical,
                other_critical=other.critical,
            )
        }
        try:
            chosen = preemption.victims(
                [other.context.allocated_pod for other in candidates.values()],
                {each.resource: each.missing for each in short},
            )
        except preemption.NotEnough as error:
            message = "Unexpected error while attempting to recover from admission failure: "
            message += f"preemption: error finding a set of pods to preempt: {error}"
            return Refusal(
                reason="UnexpectedAdmissionError", field="", message=message, rejected=True
            )
        worker.admitted = True  # what becomes free is for nobody else
        self.preemptions[short[0].resource] += len(chosen)
        await self._end(worker, [candidates[pod.metadata.uid] for pod in chosen])
        return None

    async def _end(self, worker: PodWorker, victims: Sequence[PodWorker]) -> None:
        clock = self._agent.clock
        grace = max(pod_grace(victim.pod) for victim in victims)
        deadline = clock.monotonic() + max(LEAST_PATIENCE, 1.5 * grace)
        self._ending_others += 1
        try:
            for victim in victims:
                log.warning("%r makes room for %r", victim, worker)
                victim.preempt()
            while any(self._is_there(victim) for victim in victims) and not worker.ends:
                left = deadline - clock.monotonic()
                if left <= 0:
                    log.warning("%r starts although not all have made room", worker)
                    return
                await worker.rest(min(left, LOOK_AGAIN))
        finally:
            self._ending_others -= 1
            self.stir()

    def _is_there(self, victim: PodWorker) -> bool:
        return self._workers.get(victim.context.uid) is victim and not victim.has_ended


def _has_place(worker: PodWorker) -> bool:
    """One that nobody wants any more has no claim: its scheduler has given its place away."""
    ended = is_terminal(worker.pod) or worker.has_ended
    return worker.admitted and not worker.context.memory.removed and not ended


def _age(worker: PodWorker) -> str:
    """To compare. A pod from a file was there before the API was asked for any."""
    return worker.pod.metadata.creation_timestamp or ""
