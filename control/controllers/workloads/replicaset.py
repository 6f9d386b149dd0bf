"""ReplicaSet and ReplicationController: keep so many pods of one template. Walk step 1.

They differ in how they spell their selector; the rest is one engine. The decision is pure: `plan`
says how many pods to create and which to delete, `status_of` counts. The controller carries it out,
creating in batches of 1, 2, 4, … so that a quota or a bad template fails once and not five hundred
times.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from api import conditions, objects, pods, timestamps
from api.apps import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from api.core import (
    Pod,
    PodTemplateSpec,
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from api.errors import is_namespace_terminating, is_not_found
from api.meta import ObjectMeta
from api.objects import Key
from api.selectors import Selector, from_label_selector, from_labels
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.claims import adopt, claim, release
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.expectations import LAPSE_SECONDS, Expectations

Replicated = ReplicaSet | ReplicationController
R = TypeVar("R", bound=Replicated)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
MAX_BURST = 500


def selector_of(owner: Replicated) -> Selector:
    """What chooses the pods."""
    if isinstance(owner, ReplicaSet):
        return from_label_selector(owner.spec.selector)
    return from_labels(owner.spec.selector)


def pairs_of(owner: Replicated) -> Mapping[str, str]:
    """The labels that every pod of the selector has, for the indexes."""
    if isinstance(owner, ReplicationController):
        return owner.spec.selector
    return owner.spec.selector.match_labels if owner.spec.selector is not None else {}


def template_of(owner: Replicated) -> PodTemplateSpec:
    """What the pods look like."""
    template = owner.spec.template
    assert template is not None, "validation has demanded a template"
    return template


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pods to create, or which to delete; never both."""

    create: int = 0
    delete: tuple[Pod, ...] = ()


def plan(replicas: int, mine: Sequence[Pod]) -> Plan:
    """Compare the wanted number with the pods that count (not finished, not being deleted)."""
    active = [pod for pod in mine if pods.is_active(pod)]
    missing = replicas - len(active)
    if missing > 0:
        return Plan(create=min(missing, MAX_BURST))
    if missing < 0:
        return Plan(delete=tuple(deletion_order(active)[: min(-missing, MAX_BURST)]))
    return Plan()


def deletion_order(active: Sequence[Pod]) -> list[Pod]:
    """Pods in the order in which a scale-down takes them (documented ranking of ReplicaSet).

    Without a node first; then pending before unknown before running; not ready before ready; lower
    deletion cost; from nodes with more of these pods; ready for less time; more restarts; newer.
    """
    per_node = Counter(pod.spec.node_name for pod in active)
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}

    def rank(pod: Pod) -> tuple[object, ...]:
        ready = pods.condition(pod, "Ready")
        is_ready = ready is not None and ready.status == "True"
        restarts = max(
            (status.restart_count for status in pod.status.container_statuses), default=0
        )
        return (
            bool(pod.spec.node_name),
            phases.get(pod.status.phase, 0),
            is_ready,
            deletion_cost(pod),
            -per_node[pod.spec.node_name],
            _latest_first(ready.last_transition_time if ready and is_ready else None),
            -restarts,
            _latest_first(pod.metadata.creation_timestamp),
        )

    return sorted(active, key=rank)


def deletion_cost(pod: Pod) -> int:
    """The annotation's number; what is not a number counts as 0."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _latest_first(text: str | None) -> float:
    return -timestamps.parse(text).timestamp() if text else 0.0


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float:
    """How long a ready pod must stay ready before it counts as available; 0 when it does."""
    ready = pods.condition(pod, "Ready")
    if min_ready_seconds == 0 or ready is None or not ready.last_transition_time:
        return 0.0
    due = timestamps.parse(ready.last_transition_time) + timedelta(seconds=min_ready_seconds)
    return max(0.0, (due - now).total_seconds())


def status_of(owner: Replicated, mine: Sequence[Pod], failure: str, now: datetime) -> Any:
    """The status that these pods and this outcome make. `failure` is empty when all went well."""
    status, condition = _STATUS[type(owner)]
    active = [pod for pod in mine if pods.is_active(pod)]
    labels = template_of(owner).metadata.labels
    told: list[Any] = conditions.remove(owner.status.conditions, "ReplicaFailure")
    if failure:
        failed = condition(
            type="ReplicaFailure", status="True", reason="FailedCreate", message=failure
        )
        told = conditions.put(owner.status.conditions, failed, now=timestamps.format(now))
    return status(
        replicas=len(active),
        fully_labeled_replicas=sum(labels.items() <= pod.metadata.labels.items() for pod in active),
        ready_replicas=sum(pods.is_ready(pod) for pod in active),
        available_replicas=sum(
            pods.is_available(pod, min_ready_seconds=owner.spec.min_ready_seconds, now=now)
            for pod in active
        ),
        observed_generation=owner.metadata.generation,
        conditions=told,
    )


_STATUS: dict[type[Any], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ReplicaSet: (ReplicaSetStatus, ReplicaSetCondition),
    ReplicationController: (ReplicationControllerStatus, ReplicationControllerCondition),
}


def pod_from_template(owner: Replicated) -> Pod:
    """A new pod of this owner; the server completes its name."""
    template = objects.copy(template_of(owner))
    return Pod(
        metadata=ObjectMeta(
            generate_name=f"{owner.metadata.name}-",
            namespace=owner.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[objects.controller_reference(owner)],
        ),
        spec=template.spec,
    )


class ReplicaController(Controller, Generic[R]):
    """Carries the plan out; counts nothing twice (see `Expectations`)."""

    kind: type[R]
    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._owners = context.informers.of(self.kind)
        self._pods = context.informers.of(Pod)
        indexes.index_pods(self._pods)
        indexes.index_selecting(self._owners, pairs_of)
        self._recorder = context.recorder(self.name)
        self._expected: Expectations[Key] = Expectations(context.clock)
        self.watch_own(self.kind)
        self._pods.subscribe(self._on_pod)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = objects.controller_of(pod) if pod is not None else None
            if pod is None or owner is None or owner.kind != self.kind.__name__:
                continue
            key = Key(pod.metadata.namespace, owner.name)
            leaving = new is None or bool(new.metadata.deletion_timestamp)
            self._expected.seen(key, pod.metadata.uid, leaving=leaving)
            self.queue.add(key)
        if new is not None and new.metadata.labels and is_newly_free(old, new):
            self._enqueue_possible_owners(new)

    def _enqueue_possible_owners(self, pod: Pod) -> None:
        """A pod that nobody controls may be adopted by an owner that selects it."""
        for owner in indexes.perhaps_selecting(self._owners, pod):
            if selector_of(owner).matches(pod.metadata.labels):
                self.enqueue(owner)

    async def reconcile(self, key: Key) -> float | None:
        owner = self._owners.get(key.name, key.namespace)
        if owner is None:
            self._expected.forget(key)
            return None
        if not self._expected.met(key):
            return LAPSE_SECONDS
        deleting = bool(owner.metadata.deletion_timestamp)
        claimed = claim(
            owner.metadata.uid,
            selector_of(owner),
            self._candidates(owner),
            may_adopt=not deleting,
        )
        mine = [*claimed.mine, *await adopt(self.client, owner, claimed.adopt)]
        await release(self.client, owner, claimed.release)
        todo = plan(owner.spec.replicas or 0, mine)
        failure = "" if deleting else await self._carry_out(owner, key, todo)
        now = self.clock.now()
        await self._write_status(owner, status_of(owner, mine, failure, now))
        if failure:
            raise PodwrightError(failure)
        waits = [
            seconds_until_available(pod, owner.spec.min_ready_seconds, now)
            for pod in mine
            if pods.is_ready(pod)
        ]
        return min((wait for wait in waits if wait > 0), default=None)

    def _candidates(self, owner: R) -> list[Pod]:
        free = indexes.free_pods(self._pods, owner.metadata.namespace, pairs_of(owner))
        return [*indexes.pods_of(self._pods, owner.metadata.uid), *free]

    async def _carry_out(self, owner: R, key: Key, todo: Plan) -> str:
        """Create or delete; returns why it failed, or an empty string."""
        for pod in todo.delete:
            self._expected.deleted(key, pod.metadata.uid)
            try:
                await self.client.delete(
                    Pod, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid
                )
            except PodwrightError as error:
                self._expected.seen(key, pod.metadata.uid, leaving=True)
                if not is_not_found(error):
                    self._recorder.event(
                        owner, "Warning", "FailedDelete", f"Error deleting: {error}"
                    )
                    return str(error)
            else:
                self._recorder.event(
                    owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}"
                )
        remaining, batch = todo.create, 1
        while remaining > 0:
            for _ in range(min(batch, remaining)):
                failure = await self._create(owner, key)
                if failure:
                    return failure
                remaining -= 1
            batch *= 2
        return ""

    async def _create(self, owner: R, key: Key) -> str:
        try:
            pod = await self.client.create(pod_from_template(owner))
        except PodwrightError as error:
            if is_namespace_terminating(error):
                raise
            self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            return str(error)
        if not self._pods.shows(pod.metadata.resource_version):
            self._expected.created(key, pod.metadata.uid)
        self._recorder.event(
            owner, "Normal", "SuccessfulCreate", f"Created pod: {pod.metadata.name}"
        )
        return ""

    async def _write_status(self, owner: R, status: Any) -> None:
        if status == owner.status:
            return
        copy = msgspec.structs.replace(owner, status=status)
        try:
            await self.client.update(copy, subresource="status")
        except PodwrightError as error:
            if not is_not_found(error):
                raise


def is_newly_free(old: Pod | None, new: Pod) -> bool:
    """Whether the pod can be adopted by somebody who could not have it before."""
    return objects.controller_of(new) is None and (
        old is None
        or old.metadata.labels != new.metadata.labels
        or objects.controller_of(old) is not None
    )


class ReplicaSetController(ReplicaController[ReplicaSet]):
    """Keeps the pods of ReplicaSets."""

    name = "replicaset-controller"
    kind = ReplicaSet


class ReplicationManager(ReplicaController[ReplicationController]):
    """Keeps the pods of ReplicationControllers."""

    name = "replication-controller"
    kind = ReplicationController
