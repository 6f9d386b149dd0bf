"""ReplicaSet and ReplicationController: keep so many pods of one template. Walk step 1.

They differ in how they spell their selector; the rest is one engine over `podowner`. The decision is
pure: `plan` says how many pods to create and which to delete (`ranking`), `status_of` counts. The
controller carries it out, creating in batches of 1, 2, 4, … at once, so that a quota or a bad template
fails once and not five hundred times.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.workloads.podowner import PodOwner, is_passing
from control.controllers.workloads.ranking import deletion_order

Replicated = ReplicaSet | ReplicationController
R = TypeVar("R", bound=Replicated)

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


def plan(
    replicas: int,
    mine: Sequence[Pod],
    now: datetime,
    *,
    related: Callable[[], Iterable[Pod]] | None = None,
) -> Plan:
    """Compare the wanted number with the pods that count (not finished, not being deleted).

    `related` is asked only where there are too many: there may be thousands.
    """
    active = [pod for pod in mine if pods.is_active(pod)]
    missing = replicas - len(active)
    if missing > 0:
        return Plan(create=min(missing, MAX_BURST))
    if missing < 0:
        ordered = deletion_order(active, now, related=None if related is None else related())
        return Plan(delete=tuple(ordered[: min(-missing, MAX_BURST)]))
    return Plan()


def status_of(owner: Replicated, mine: Sequence[Pod], failure: str, now: datetime) -> Any:
    """The status that these pods and this outcome make. `failure` is empty when all went well."""
    status, condition = _STATUS[type(owner)]
    active = [pod for pod in mine if pods.is_active(pod)]
    ready = [pod for pod in active if pods.is_ready(pod)]
    labels = template_of(owner).metadata.labels.items()
    told: list[Any] = owner.status.conditions
    if failure:
        surplus = len(active) > (owner.spec.replicas or 0)
        reason = "FailedDelete" if surplus else "FailedCreate"
        known = conditions.find(told, "ReplicaFailure")
        # The same failure again names another pod: to tell it anew would wake us at once, for ever.
        if known is None or (known.status, known.reason) != ("True", reason):
            failed = condition(type="ReplicaFailure", status="True", reason=reason, message=failure)
            told = conditions.put(told, failed, now=timestamps.format(now))
    else:
        told = conditions.remove(told, "ReplicaFailure")
    return status(
        replicas=len(active),
        fully_labeled_replicas=sum(labels <= pod.metadata.labels.items() for pod in active),
        ready_replicas=len(ready),
        available_replicas=sum(
            pods.is_available(pod, min_ready_seconds=owner.spec.min_ready_seconds, now=now)
            for pod in ready
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
            wanted = owner.spec.replicas or 0
            todo = plan(wanted, mine, self.clock.now(), related=partial(self.related, owner, mine))
            made: list[Pod] = []
            failure = await self._carry_out(owner, key, todo, made)
            # What was just done counts, or the status would be written again when it is seen.
            mine = [*mine, *made]
            if not failure:
                gone = {pod.metadata.uid for pod in todo.delete}
                mine = [pod for pod in mine if pod.metadata.uid not in gone]
        now = self.clock.now()
        await self.write_status(owner, status_of(owner, mine, failure, now))
        if failure:
            raise PodwrightError(failure)
        return pods.next_availability(mine, min_ready_seconds=owner.spec.min_ready_seconds, now=now)

    def related(self, owner: R, mine: Sequence[Pod]) -> Iterable[Pod]:
        """The pods that count when a scale-down looks for nodes that have several."""
        return mine

    async def _carry_out(self, owner: R, key: Key, todo: Plan, made: list[Pod]) -> str:
        """Create or delete; returns why it failed, or an empty string. `made` gets the new pods."""

        async def create() -> None:
            made.append(await self.create_pod(owner, key, pod_from_template(owner)))

        try:
            await _at_once(self.delete_pod(owner, key, pod) for pod in todo.delete)
            batch = 1
            while len(made) < todo.create:
                batch = min(batch, todo.create - len(made))
                await _at_once(create() for _ in range(batch))
                batch *= 2
        except PodwrightError as error:
            if is_passing(error):
                raise
            return str(error)
        return ""


async def _at_once(writes: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of them, for the store takes in one go what comes together; then the first error."""
    for outcome in await asyncio.gather(*writes, return_exceptions=True):
        if outcome is not None:
            raise outcome


class ReplicaSetController(ReplicaController[ReplicaSet]):
    """Keeps the pods of ReplicaSets."""

    name = "replicaset-controller"
    kind = ReplicaSet

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        indexes.index_controlled(self._owners)

    def related(self, owner: ReplicaSet, mine: Sequence[Pod]) -> Iterable[Pod]:
        """Those of the same Deployment's other sets, too."""
        above = objects.controller_of(owner)
        if above is None:
            return mine
        siblings = indexes.controlled_by(self._owners, above.uid)
        return [pod for rs in siblings for pod in indexes.pods_of(self._pods, rs.metadata.uid)]


class ReplicationManager(ReplicaController[ReplicationController]):
    """Keeps the pods of ReplicationControllers."""

    name = "replication-controller"
    kind = ReplicationController
