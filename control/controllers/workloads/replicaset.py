"""ReplicaSet and ReplicationController: keep so many pods of one template. Walk step 1.

They differ in how they spell their selector; the rest is one engine over `podowner`. The decision is
pure: `plan` says how many pods to create and which to delete, `status_of` counts. The controller
carries it out, creating in batches of 1, 2, 4, … so that a quota or a bad template fails once and
not five hundred times.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from api import conditions, objects, pods, timestamps
from api.apps import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from api.core import (
    Pod,
    PodTemplateSpec,
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from api.meta import ObjectMeta
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.workloads.podowner import PodOwner, is_passing

Replicated = ReplicaSet | ReplicationController
R = TypeVar("R", bound=Replicated)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
MAX_BURST = 500


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


class ReplicaController(PodOwner[R]):
    """Carries the plan out."""

    async def sync(self, owner: R, key: Key) -> float | None:
        mine = await self.claimed(owner)
        failure = ""
        if not owner.metadata.deletion_timestamp:
            failure = await self._carry_out(owner, key, plan(owner.spec.replicas or 0, mine))
        now = self.clock.now()
        await self.write_status(owner, status_of(owner, mine, failure, now))
        if failure:
            raise PodwrightError(failure)
        return pods.next_availability(mine, min_ready_seconds=owner.spec.min_ready_seconds, now=now)

    async def _carry_out(self, owner: R, key: Key, todo: Plan) -> str:
        """Create or delete; returns why it failed, or an empty string."""
        try:
            for pod in todo.delete:
                await self.delete_pod(owner, key, pod)
            remaining, batch = todo.create, 1
            while remaining > 0:
                for _ in range(min(batch, remaining)):
                    await self.create_pod(owner, key, pod_from_template(owner))
                    remaining -= 1
                batch *= 2
        except PodwrightError as error:
            if is_passing(error):
                raise
            return str(error)
        return ""


class ReplicaSetController(ReplicaController[ReplicaSet]):
    """Keeps the pods of ReplicaSets."""

    name = "replicaset-controller"
    kind = ReplicaSet


class ReplicationManager(ReplicaController[ReplicationController]):
    """Keeps the pods of ReplicationControllers."""

    name = "replication-controller"
    kind = ReplicationController
