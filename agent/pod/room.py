"""Who gets a place on the node (step 4 of the pod's walk).

Each worker asks once, before anything of its pod is made. Who was let in stays: neither a restart of the
agent nor labels, taints or amounts of the node that change later throw a pod out, and it counts until
nothing of it runs any more, also while it ends. Of those who ask, as all do after a start of the node,
the oldest comes first: what it asks for is kept free until it is decided on.

Who does not fit is looked at once more before it is turned away for good: its scheduler may have seen a
change of the node, or the end of another pod, before this agent does. It also waits until all pods that
may have been let in before are known. A critical pod is not turned away for want of resources: others
are ended for it (`preemption.py`), and it starts when they have.

Concurrency: called by the tasks of workers. Every decision goes through all who ask, without a pause, so
that nobody else has a turn between looking and taking; each of them is looked at once, however many they
are. What comes of it waits in their `_Request`s.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from agent.effects.context import AgentContext
from agent.pod import admission, preemption
from agent.pod.admission import Fit, Short, Taken
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


@dataclass
class _Request:
    """A worker that asks."""

    due: float
    """When it is looked at for the second time."""
    refusal: Refusal | None = None
    """The answer, where it is no."""
    victims: Sequence[PodWorker] = ()
    """The answer is yes, once these have ended."""


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
        self._requests: dict[PodWorker, _Request] = {}
        self._making_room: set[PodWorker] = set()
        """Critical pods for which others end now."""
        self.rejections: Counter[str] = Counter()
        """Pods that were turned away, whoever found the reason."""
        self.preemptions: Counter[str] = Counter()
        """Pods that made room, by the first resource that the critical pod lacked."""

    async def admit(self, worker: PodWorker) -> Refusal | None:
        """Let the pod in; why the node cannot. None also for one that ends before that is decided."""
        clock = self._agent.clock
        request = _Request(due=clock.monotonic() + LOOK_AGAIN)
        self._requests[worker] = request
        try:
            while True:
                if not (worker.admitted or worker.ends or request.refusal):
                    self._decide(worker)
                if worker.admitted or worker.ends or request.refusal:
                    break
                left = request.due - clock.monotonic()
                await worker.rest(left if left > 0 else LOOK_AGAIN)
        finally:
            del self._requests[worker]
        if request.victims:
            await self._end(worker, request.victims)
        return request.refusal

    async def reserve_cpus(self, worker: PodWorker) -> Refusal | None:
        """Give the pod the CPUs that it is to have for itself; why that is not possible.

        What pods of an earlier agent had is waited for, until it is known which of them are still wanted,
        and those that are not have ended. A kubelet gives CPUs of the latter away at once, while their
        programs still run on them ("CPU Management Policies" promises that they are exclusive).
        """
        cpus, told, waited = self._agent.cpus, "", False
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
                if owners and waited and message != told:
                    worker.context.warn("WaitingForCPUs", message)
                    told = message
            await worker.rest(LOOK_AGAIN)
            waited = True
        return None

    def stir(self) -> None:
        """Somebody has left, or is not in the way any more: who waits may have a place."""
        for worker in self._making_room:
            worker.wake()
        if any(not (w.admitted or request.refusal) for w, request in self._requests.items()):
            self._decide()

    def decided(self, refusal: Refusal | None) -> None:
        """Whether the node takes a pod stands now."""
        if refusal is None:
            return
        if refusal.rejected:
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
        """The names of those that are about to give back all that they have: nobody wants them any more, or
        they have finished."""
        metas = [
            worker.pod.metadata
            for uid, worker in self._workers.items()
            if uid in uids
            and (
                worker.context.memory.removed
                or (worker.has_ended and worker.context.memory.sandboxes())
            )
        ]
        return sorted(f"{meta.namespace}/{meta.name}" for meta in metas)

    def statistics(self) -> dict[str, float]:
        return {
            "waiting_for_room": len(self._requests),
            "rejections": self.rejections.total(),
            "preemptions": self.preemptions.total(),
        }

    def _decide(self, asker: PodWorker | None = None) -> None:
        """Go through all who ask, and look at `asker` and those who are due; without it, since somebody has
        left, at all. Nobody is turned away while one that comes first is undecided."""
        agent, now = self._agent, self._agent.clock.monotonic()
        node = agent.own()
        there = admission.counted(node, agent.node.allocatable)
        taken = Taken.by(self.others(""))
        first = self.known
        for worker in sorted(filter(_asks, self._workers.values()), key=_age):
            pod, request = worker.context.allocated_pod, self._requests.get(worker)
            if request is not None and request.refusal:
                continue
            late = request is not None and now >= request.due
            if request is None or not (late or asker in (worker, None)):
                first = False
            else:
                fit = admission.look(pod, node=node, there=there, taken=taken, static=worker.static)
                if fit.refusal is None and (late or node or not admission.minds_labels(pod)):
                    worker.admitted = True
                elif fit.refusal is not None and late and first and not self._making_room:
                    self._turn_away(worker, request, fit)
                else:
                    first = False
                if worker.admitted or request.refusal:
                    worker.wake()
            if request is None or not request.refusal:
                taken.add(pod)

    def _turn_away(self, worker: PodWorker, request: _Request, fit: Fit) -> None:
        if not worker.critical:
            request.refusal = fit.refusal
        elif fit.misfit is not None:
            request.refusal = fit.misfit
        else:
            self._make_room(worker, request, fit.short)

    def _make_room(self, worker: PodWorker, request: _Request, short: Sequence[Short]) -> None:
        """Find those who have to end for a critical pod; why that is not possible."""
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
            request.refusal = Refusal(
                reason="UnexpectedAdmissionError", field="", message=message, rejected=True
            )
            return
        worker.admitted = True  # what becomes free is for nobody else
        request.victims = [candidates[pod.metadata.uid] for pod in chosen]
        self.preemptions[short[0].resource] += len(chosen)
        self._making_room.add(worker)

    async def _end(self, worker: PodWorker, victims: Sequence[PodWorker]) -> None:
        clock = self._agent.clock
        grace = max(pod_grace(victim.pod) for victim in victims)
        deadline = clock.monotonic() + max(LEAST_PATIENCE, 1.5 * grace)
        try:
            for victim in victims if not worker.ends else ():
                log.warning("%r makes room for %r", victim, worker)
                victim.preempt()
            while any(self._is_there(victim) for victim in victims) and not worker.ends:
                left = deadline - clock.monotonic()
                if left <= 0:
                    log.warning("%r starts although not all have made room", worker)
                    return
                await worker.rest(min(left, LOOK_AGAIN))
        finally:
            self._making_room.discard(worker)
            self.stir()

    def _is_there(self, victim: PodWorker) -> bool:
        return self._workers.get(victim.context.uid) is victim and not victim.has_ended


def _asks(worker: PodWorker) -> bool:
    return worker.asking and not (worker.admitted or worker.ends)


def _has_place(worker: PodWorker) -> bool:
    """One that nobody wants any more has no claim: its scheduler has given its place away."""
    ended = is_terminal(worker.pod) or worker.has_ended
    return worker.admitted and not worker.context.memory.removed and not ended


def _age(worker: PodWorker) -> str:
    """To sort by. A pod from a file was there before the API was asked for any."""
    return worker.pod.metadata.creation_timestamp or ""
