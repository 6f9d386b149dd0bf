"""The scheduling loop: watch, decide, bind. Walk step 3.

One task takes pending pods one by one from the queue and decides at once, from the snapshot, which
the informers' handlers keep current on the same event loop. A placed pod is assumed: it counts on
its node from that moment, while a task of its own writes the Binding, so that the next pod never
waits for the store. If the write fails, the assumption is taken back and the pod tried again.
A pod that fits nowhere gets the condition PodScheduled=False and an event that count the reasons. If
it would fit where less important pods are, it is nominated for their node and they are deleted, in a
task of its own, too; it is placed when they are gone.

Invariant: a pod is recorded in the snapshot if it is bound, or while its binding is being written.
Restart: nothing is kept; pods without a node are found again by the informer's first list, with the
nodes they are nominated for.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from api import objects, pods, timestamps
from api.apps import ReplicaSet, StatefulSet
from api.client import Client, PatchType
from api.core import (
    Binding,
    Namespace,
    Node,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    ReplicationController,
    Service,
)
from api.errors import is_conflict, is_not_found
from api.events import EventRecorder
from api.informer import Informer
from api.meta import ObjectMeta
from api.policy import PodDisruptionBudget
from api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard, persist
from control.scheduler.changes import matters, waits
from control.scheduler.claims import ClaimBinder
from control.scheduler.decide import Choose, Decision, decide
from control.scheduler.eviction import Evictor
from control.scheduler.journal import Entry, Journal
from control.scheduler.nominations import Nominations
from control.scheduler.preemption import (
    LEAVING,
    Choice,
    Outcome,
    budget_of,
    is_expected,
    preempt,
)
from control.scheduler.profile import Configuration
from control.scheduler.queue import Key, SchedulingQueue
from control.scheduler.remedies import remedies
from control.scheduler.request import Request, request_of
from control.scheduler.rules import NO_RULES, Filter
from control.scheduler.siblings import Siblings
from control.scheduler.snapshot import Snapshot
from control.scheduler.storage import Picks
from control.scheduler.waking import Waker

log = logging.getLogger(__name__)

DEFAULTS = Configuration()
FLUSH_SECONDS = 30.0
SLICE_PODS, SLICE_SECONDS = 4, 0.002
"""After how much the event loop is given back: a long queue must not keep the API from answering, and
bindings that are written together cost less."""
NOT_STARTED = "~"
"""Sorts after every timestamp."""


class Scheduler:
    """Binds pending pods whose `schedulerName` is that of a profile.

    `recorder` makes one that speaks under such a name. `budgets`: what preemption has to heed.
    """

    def __init__(
        self,
        client: Client,
        pod_informer: Informer[Pod],
        node_informer: Informer[Node],
        namespace_informer: Informer[Namespace],
        recorder: Callable[[str], EventRecorder],
        *,
        clock: Clock,
        configuration: Configuration = DEFAULTS,
        choose: Choose = random.choice,
        budgets: Callable[[], Iterable[PodDisruptionBudget]] = tuple,
    ) -> None:
        self._client = client
        self._pods = pod_informer
        self._nodes = node_informer
        self._namespaces = namespace_informer
        self._profiles = configuration.profiles
        self._recorders = {name: recorder(name) for name in self._profiles}
        self._clock = clock
        self._choose = choose
        self._budgets = budgets
        self._snapshot = Snapshot()
        self._siblings = Siblings()
        self._nominations = Nominations(self._snapshot)
        self._evictor = Evictor(client, pod_informer, self._recorders, clock)
        self._evicting: set[str] = set()
        self._claim_binder = ClaimBinder(client, self._snapshot.storage, clock)
        self._queue = SchedulingQueue(
            clock,
            self._priority,
            first_backoff=configuration.first_backoff,
            longest_backoff=configuration.longest_backoff,
        )
        self._waker = Waker(self._queue, self._snapshot, self._nominations, clock)
        self._journal = Journal()
        self._guard = TaskGuard("scheduler")
        self._attempts = 0
        self._placed = 0
        self._preempted = 0
        namespace_informer.subscribe(self._on_namespace)
        node_informer.subscribe(self._on_node)
        pod_informer.subscribe(self._on_pod)

    def statistics(self) -> dict[str, float]:
        """Counts since the start, and what queue and snapshot say of themselves."""
        numbers = {
            "attempts": self._attempts,
            "placed": self._placed,
            "preempted": self._preempted,
            "nominated": len(self._nominations),
        }
        numbers |= {f"hints_{k}": int(v) for k, v in self._waker.statistics().items()}
        numbers |= {f"queue_{k}": int(v) for k, v in self._queue.statistics().items()}
        numbers |= {f"journal_{k}": int(v) for k, v in self._journal.statistics().items()}
        numbers |= {f"snapshot_{k}": int(v) for k, v in self._snapshot.statistics().items()}
        return {name: float(value) for name, value in numbers.items()}

    def follow_storage(
        self,
        claims: Informer[PersistentVolumeClaim],
        volumes: Informer[PersistentVolume],
        classes: Informer[StorageClass],
        drivers: Informer[CSINode],
        installed: Informer[CSIDriver],
        capacities: Informer[CSIStorageCapacity],
        attachments: Informer[VolumeAttachment],
    ) -> None:
        """Heed storage, too: pods wait for their claims, and go where their volumes are."""
        self._snapshot.storage.follow(
            claims, volumes, classes, drivers, installed, capacities, attachments
        )
        claims.subscribe(lambda old, new: self._waker.claim(_names(old, new)))
        volumes.subscribe(lambda old, new: self._waker.storage())
        classes.subscribe(lambda old, new: self._waker.storage())
        drivers.subscribe(lambda old, new: self._waker.room(_names(old, new)[1]))
        installed.subscribe(lambda old, new: self._waker.storage())
        capacities.subscribe(lambda old, new: self._waker.storage())
        attachments.subscribe(self._on_attachment)

    def follow_selectors(
        self,
        services: Informer[Service],
        replica_sets: Informer[ReplicaSet],
        stateful_sets: Informer[StatefulSet],
        replication_controllers: Informer[ReplicationController],
    ) -> None:
        """Know which pods are alike: those of a service are kept apart, too."""
        self._siblings.follow(services, replica_sets, stateful_sets, replication_controllers)

    def last_decision(self, pod: Pod) -> Entry | None:
        """What was last decided about a pod, as long as it is remembered."""
        return self._journal.last(pod.metadata.uid)

    def remedies(self, pod: Pod, *, strangers: bool) -> list[str]:
        """What would let a pending pod be placed, tried out on the cluster as it is now.

        `strangers`: whether pods of other namespaces may be named.
        """
        request = self._request(pod)
        with self._nominations.seen_by(request):
            return remedies(request, self._snapshot, strangers=strangers)

    def _request(self, pod: Pod) -> Request:
        """What one of our pods asks for, and what its profile adds."""
        profile = self._profiles.get(pod.spec.scheduler_name)
        rules = NO_RULES if profile is None else profile.rules
        alone = objects.controller_of(pod) is None
        siblings = self._siblings.of(pod) if alone or rules.spread else None
        return request_of(pod, rules, siblings)

    async def run(self) -> None:
        """Schedule until cancelled."""
        await self._namespaces.synced()
        await self._nodes.synced()
        await self._pods.synced()
        async with self._guard:
            flushing = persist(self._flush, what="flushing parked pods", clock=self._clock)
            self._guard.start(flushing, name="flush parked pods")
            self._guard.start(self._waker.run(), name="wake parked pods")
            self._guard.start(self._schedule(), name="schedule")
            await self._guard.failed()

    async def _flush(self) -> None:
        await self._clock.sleep(FLUSH_SECONDS)
        self._queue.flush()

    async def _schedule(self) -> None:
        tried, began = 0, self._clock.monotonic()
        while True:
            key = await self._queue.get()
            try:
                await self._try(key)
            except Exception:  # as in Controller: one odd pod must not stop the control plane
                log.exception("pod %s/%s: cannot be decided about, will retry", *key)
                self._queue.retry(key)
            finally:
                self._queue.done(key)
            tried += 1
            if tried == SLICE_PODS or self._clock.monotonic() - began > SLICE_SECONDS:
                await asyncio.sleep(0)
                tried, began = 0, self._clock.monotonic()

    def _priority(self, key: Key) -> int:
        pod = self._pods.get(key[1], key[0])
        return 0 if pod is None else pod.spec.priority or 0

    async def _try(self, key: Key) -> None:
        pod = self._pods.get(key[1], key[0])
        if pod is None or not self._is_ours(pod) or self._snapshot.placed_on(pod.metadata.uid):
            self._queue.forget(key)
            return
        self._attempts += 1
        request, profile = self._request(pod), self._profiles[pod.spec.scheduler_name]
        nominated = self._nominations.node_of(request.uid)
        with self._nominations.seen_by(request):
            away = self._nominations.away if len(self._nominations) else None
            decision = decide(request, self._snapshot, self._choose, profile, nominated, away)
            outcome = None if decision.node else self._find_victims(request, decision)
        if outcome is not None and outcome.message:
            message = f"{decision.message} preemption: {outcome.message}"
            decision = replace(decision, message=message)
        room = self._vacated(request, outcome)
        self._journal.record(request.uid, decision, self._clock.now(), room)
        if decision.node is None:
            assert outcome is not None
            self._queue.park(key, request, decision.rejected_by)
            await self._put_off(pod, request, decision.message, outcome)
            return
        self._drop_nomination(request.uid)
        self._snapshot.add_pod(request, decision.node)
        picks: Picks = {}
        if Filter.VOLUME_BINDING not in request.rules.skips:
            picks = self._snapshot.pick_volumes(request, decision.node)
        self._guard.start(
            self._bind(pod, request, decision.node, picks), name=f"bind {key[0]}/{key[1]}"
        )

    def _find_victims(self, request: Request, decision: Decision) -> Outcome:
        profile = self._profiles[request.spec.scheduler_name]
        if decision.nothing_to_try or not profile.preempts:
            return Outcome(None)
        node = self._nominations.node_of(request.uid)
        if request.uid in self._evicting or is_expected(request, self._snapshot, node, decision):
            return Outcome(None, LEAVING)
        return preempt(
            request,
            self._snapshot,
            decision,
            map(budget_of, self._budgets()),
            self._started,
            self._choose(range(len(self._snapshot.rows))),
            profile,
        )

    def _vacated(self, request: Request, outcome: Outcome | None) -> Choice | None:
        """The node that others leave for the pod, from now on or since an earlier attempt."""
        if outcome is None or outcome.message != LEAVING:
            return outcome.choice if outcome is not None else None
        last = self._journal.last(request.uid)
        return last.room if last is not None else None

    def _started(self, request: Request) -> str:
        pod = self._pods.get(request.name, request.namespace)
        return (pod.status.start_time if pod is not None else "") or NOT_STARTED

    async def _put_off(self, pod: Pod, request: Request, message: str, outcome: Outcome) -> None:
        choice = outcome.choice
        if choice is not None:
            self._nominate(request, choice)
        elif outcome.message != LEAVING:
            self._drop_nomination(request.uid)
        await self._say_unschedulable(pod, message)

    def _nominate(self, request: Request, choice: Choice) -> None:
        """The node is this pod's from now on, as soon as its victims are gone."""
        for other in self._nominations.below(choice.node, request.priority):
            self._drop_nomination(other.uid)
            self._aside(self._end_nomination(other), other, "ending the nomination of")
        self._nominations.put(request, choice.node)
        self._preempted += len(choice.victims)
        self._evicting.add(request.uid)
        self._aside(self._evict(choice, request), request, "evicting for")

    def _aside(self, work: Coroutine[Any, Any, None], request: Request, doing: str) -> None:
        """Do it in a task of its own; where that fails, the pod is tried again."""
        name = f"{doing} {request.namespace}/{request.name}"

        async def carefully() -> None:
            try:
                await work
            except Exception:  # as in Controller: one odd pod must not stop the control plane
                log.exception("%s failed, will retry", name)
                self._queue.retry((request.namespace, request.name))

        self._guard.start(carefully(), name=name)

    async def _evict(self, choice: Choice, request: Request) -> None:
        try:
            done = await self._evictor.carry_out(choice, request)
        finally:
            self._evicting.discard(request.uid)
        if not done:
            self._queue.retry((request.namespace, request.name))

    async def _end_nomination(self, request: Request) -> None:
        await self._patch_status(
            request.name, request.namespace, request.uid, {"nominatedNodeName": None}
        )
        self._queue.add((request.namespace, request.name))

    async def _bind(self, pod: Pod, request: Request, node: str, picks: Picks) -> None:
        key = (pod.metadata.namespace, pod.metadata.name)
        binding = Binding(
            metadata=ObjectMeta(name=key[1], namespace=key[0], uid=pod.metadata.uid),
            target=ObjectReference(api_version="v1", kind="Node", name=node),
        )
        try:
            if picks:
                patience = self._profiles[pod.spec.scheduler_name].bind_seconds
                await self._claim_binder.bind(request, picks, node, patience)
            await self._client.create_subresource(Pod, key[1], key[0], "binding", binding)
        except Exception as error:  # as in Controller: one odd pod must not stop the control plane
            self._take_back(pod, request, node, picks)
            if not isinstance(error, PodwrightError):
                log.exception("binding %s/%s to %s failed, will retry", *key, node)
            elif not (is_not_found(error) or is_conflict(error)):
                log.warning("binding %s/%s to %s failed, will retry: %s", *key, node, error)
            return
        self._placed += 1
        if self._snapshot.placed_on(request.uid):  # else it is gone, and the name is another pod's
            self._queue.forget(key)
        self._recorders[pod.spec.scheduler_name].event(
            pod, "Normal", "Scheduled", f"Successfully assigned {key[0]}/{key[1]} to {node}"
        )

    def _take_back(self, pod: Pod, request: Request, node: str, picks: Picks) -> None:
        self._snapshot.storage.forget(picks)
        if not self._is_seen_on_a_node(pod):
            self._snapshot.remove_pod(pod.metadata.uid)
            self._waker.pod(request, left=node)
        # Even where the pod is gone or bound by someone else: the next try sees that and stops,
        # and one that only lost a race would be woken by nothing else.
        self._queue.retry((request.namespace, request.name))

    def _is_seen_on_a_node(self, pod: Pod) -> bool:
        """Whether it was bound all the same: only the answer was lost, or somebody was faster."""
        seen = self._pods.get(pod.metadata.name, pod.metadata.namespace)
        if seen is None or seen.metadata.uid != pod.metadata.uid:
            return False
        return bool(seen.spec.node_name)

    async def _say_unschedulable(self, pod: Pod, message: str) -> None:
        recorder = self._recorders[pod.spec.scheduler_name]
        recorder.event(pod, "Warning", "FailedScheduling", message)
        known = pods.condition(pod, "PodScheduled")
        node = self._nominations.node_of(pod.metadata.uid)
        said = known is not None and (known.status, known.message) == ("False", message)
        if said and node == pod.status.nominated_node_name:
            return
        since = known.last_transition_time if known and known.status == "False" else None
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": since or timestamps.now_string(self._clock),
        }
        status: dict[str, Any] = {"conditions": [condition]}
        if node != pod.status.nominated_node_name:
            status["nominatedNodeName"] = node or None
        metadata = pod.metadata
        await self._patch_status(metadata.name, metadata.namespace, metadata.uid, status)

    async def _patch_status(
        self, name: str, namespace: str, uid: str, status: dict[str, Any]
    ) -> None:
        try:
            await self._client.patch(
                Pod,
                name,
                namespace,
                {"metadata": {"uid": uid}, "status": status},
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
        except PodwrightError as error:
            if not is_not_found(error) and not is_conflict(error):
                log.warning("cannot say on pod %s/%s why it is pending: %s", namespace, name, error)

    def _on_attachment(self, old: VolumeAttachment | None, new: VolumeAttachment | None) -> None:
        """A volume was detached: its node can take another one."""
        if new is None and old is not None:
            self._waker.room(old.spec.node_name)

    def _on_namespace(self, old: Namespace | None, new: Namespace | None) -> None:
        one = new or old
        assert one is not None
        labels = None if new is None else new.metadata.labels
        if self._snapshot.census.set_namespace(one.metadata.name, labels):
            self._waker.namespaces()

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        one = new or old
        assert one is not None
        name, labels = one.metadata.name, one.metadata.labels
        if new is None:
            self._snapshot.remove_node(name)
            self._waker.node(name, labels)
        elif self._snapshot.set_node(new):
            self._waker.node(name, labels, old.metadata.labels if old is not None else {})

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        assert pod is not None
        key = (pod.metadata.namespace, pod.metadata.name)
        self._follow_nomination(old, new)
        if new is None or pods.is_terminal(new):
            self._left(pod.metadata.uid)
            self._queue.forget(key)
            if new is None:
                self._journal.forget(pod.metadata.uid)
        elif new.spec.node_name:
            placed = self._snapshot.placed_on(new.metadata.uid) == new.spec.node_name
            if not placed or old is None or matters(old, new):
                self._placed_on(new.spec.node_name, request_of(new))
            self._queue.forget(key)
        elif self._is_ours(new) and (old is None or matters(old, new)):
            self._queue.add(key)

    def _left(self, uid: str) -> None:
        request, node = self._snapshot.recorded(uid), self._snapshot.placed_on(uid)
        if request is not None and node is not None:
            self._snapshot.remove_pod(uid)
            self._waker.pod(request, left=node)

    def _placed_on(self, node: str, request: Request) -> None:
        """A pod is on a node, or is another one there than before."""
        before = self._snapshot.recorded(request.uid)
        if before is not None:
            where = self._snapshot.placed_on(request.uid) or ""
            same = where == node and before.resources == request.resources
            self._waker.pod(before, left="" if same else where)
        self._snapshot.add_pod(request, node)
        self._waker.pod(request)

    def _is_ours(self, pod: Pod) -> bool:
        """Whether the pod waits for this scheduler, under one of its names."""
        gated = bool(pod.spec.scheduling_gates)
        return waits(pod) and not gated and pod.spec.scheduler_name in self._profiles

    def _follow_nomination(self, old: Pod | None, new: Pod | None) -> None:
        """Count the pod where it is nominated, whoever has nominated it, until it is placed."""
        pod = new or old
        assert pod is not None
        may_have_one = new is not None and waits(new)
        before = "" if old is None else old.status.nominated_node_name
        node = pod.status.nominated_node_name if may_have_one else ""
        if node and node != before:
            self._nominations.put(self._request(pod), node)
        elif (before or not may_have_one) and not node:
            self._drop_nomination(pod.metadata.uid)

    def _drop_nomination(self, uid: str) -> None:
        """The pod waits for its node no longer: others may have it."""
        node = self._nominations.node_of(uid)
        self._nominations.drop(uid)
        self._waker.room(node)


def _names(old: ApiStruct | None, new: ApiStruct | None) -> Key:
    one = new if new is not None else old
    assert one is not None, "an informer told of nothing"
    return (objects.meta(one).namespace, objects.meta(one).name)
