"""Deployment: one ReplicaSet per template, scaled against each other until the new one serves.

`rollout` decides; this controller finds and makes ReplicaSets, writes one step at a time and comes
back when the ReplicaSets' status has moved. `progress` says how far it got.

Invariant: a step is decided only over a cache that shows all earlier ones. Each write holds for one
version of one set, but the bounds are about all of them together: a set that grew unseen would let
another one grow too far.
"""

from collections.abc import Sequence

import msgspec

from api import objects, pods
from api.apps import Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec
from api.core import Pod
from api.deletion import delete_if_there
from api.errors import is_already_exists, is_namespace_terminating, is_not_found
from api.meta import LabelSelector, ObjectMeta
from api.objects import Key
from api.selectors import from_label_selector
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.claims import adopt, claim, release
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.sight import Sight
from control.controllers.workloads import progress, rollout

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_COPIED = frozenset(
    {
        LAST_APPLIED,
        rollout.REVISION,
        rollout.REVISION_HISTORY,
        rollout.DESIRED,
        rollout.MAX_REPLICAS,
    }
)


class DeploymentController(Controller):
    """Keeps a Deployment's ReplicaSets."""

    name = "deployment-controller"
    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._deployments = context.informers.of(Deployment)
        self._sets = context.informers.of(ReplicaSet)
        self._pods = context.informers.of(Pod)
        self._recorder = context.recorder(self.name)
        self._sight = Sight(ReplicaSet, self._sets)
        indexes.index_pods(self._pods)
        indexes.index_controlled(self._sets)
        self.watch_own(Deployment)
        self.watch_owned(ReplicaSet, "Deployment")
        self._pods.subscribe(self._on_pod)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        """A Recreate rollout waits for the very pods to be gone, not only for their count."""
        ended = new is None or pods.is_terminal(new)
        owner = objects.controller_of(old) if old is not None and ended else None
        if old is None or owner is None or owner.kind != "ReplicaSet":
            return
        rs = self._sets.get(owner.name, old.metadata.namespace)
        above = objects.controller_of(rs) if rs is not None else None
        if above is not None:
            self.queue.add(Key(old.metadata.namespace, above.name))

    async def reconcile(self, key: Key) -> float | None:
        deployment = self._deployments.get(key.name, key.namespace)
        if deployment is None:
            self._sight.forget(key)
            return None
        await self._sight.check(self.client, key)
        owned = await self._claim(deployment)
        new = rollout.find_new(deployment, owned)
        old = [rs for rs in owned if new is None or rs.metadata.uid != new.metadata.uid]
        if deployment.metadata.deletion_timestamp:
            return await self._report(deployment, new, old)
        if not all(map(rollout.is_observed, owned)):
            # How many pods there are, and are available, is known only of the last sizes.
            return await self._report(deployment, new, old)
        if deployment.spec.paused:
            if new is not None:
                new = await self._carry_over(deployment, new, old)
            await self._scale(deployment, [*([new] if new is not None else []), *old])
            await self._clean_up(deployment, old)
            return await self._report(deployment, new, old)
        if new is None:
            new = await self._create_new(deployment, old)
            if new is None:
                return 0.0
        new = await self._carry_over(deployment, new, old)
        active = [rs for rs in (new, *old) if rollout.size(rs) > 0]
        if len(active) > 1 and rollout.was_scaled(deployment, active):
            await self._scale(deployment, active)
        elif not self._waits_for_old_pods(deployment, old):
            await self._apply(deployment, new, old)
        if progress.is_complete(deployment, new, old):
            await self._clean_up(deployment, old)
        return await self._report(deployment, new, old)

    def _waits_for_old_pods(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> bool:
        """Recreate: the old sets are told to be empty, but some of their pods still end.

        Finished pods (evicted ones, say) are kept by their set for people to look at.
        """
        if deployment.spec.strategy.type != "Recreate" or any(rollout.size(rs) for rs in old):
            return False
        return any(
            not pods.is_terminal(pod)
            for rs in old
            for pod in indexes.pods_of(self._pods, rs.metadata.uid)
        )

    async def _claim(self, deployment: Deployment) -> list[ReplicaSet]:
        """Its ReplicaSets: adopts those that it selects and nobody has, lets others go."""
        metadata = deployment.metadata
        found = claim(
            metadata.uid,
            from_label_selector(deployment.spec.selector),
            [
                *indexes.controlled_by(self._sets, metadata.uid),
                *indexes.uncontrolled(self._sets, metadata.namespace),
            ],
            lives=not metadata.deletion_timestamp,
        )
        await release(self.client, deployment, found.release)
        owned = [*found.mine, *await adopt(self.client, deployment, found.adopt)]
        return [rs for rs in owned if not rs.metadata.deletion_timestamp]

    async def _create_new(
        self, deployment: Deployment, old: Sequence[ReplicaSet]
    ) -> ReplicaSet | None:
        """Make the ReplicaSet of the present template; None when its name was taken by another."""
        rs = new_replica_set(deployment, old)
        if self._waits_for_old_pods(deployment, old):
            rs.spec.replicas = 0
        try:
            created = await self._sight.after(objects.key(deployment), self.client.create(rs))
        except PodwrightError as error:
            if is_already_exists(error):
                return await self._after_collision(deployment, rs)
            if not is_namespace_terminating(error):
                await self._tell_not_created(deployment, rs.metadata.name, error)
            raise
        if rollout.size(created):
            self._tell_scaled(deployment, created.metadata.name, 0, rollout.size(created))
        return created

    async def _tell_not_created(
        self, deployment: Deployment, name: str, error: PodwrightError
    ) -> None:
        message = f'Failed to create new replica set "{name}": {error}'
        self._recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
        status = progress.not_created(deployment, message, self.clock.now())
        await self._write_status(deployment, status)

    async def _after_collision(self, deployment: Deployment, rs: ReplicaSet) -> ReplicaSet | None:
        live = await self.client.get(ReplicaSet, rs.metadata.name, rs.metadata.namespace)
        owner = objects.controller_of(live)
        mine = owner is not None and owner.uid == deployment.metadata.uid
        if mine and rollout.same_template(deployment, live):
            return live
        status = msgspec.structs.replace(
            deployment.status, collision_count=(deployment.status.collision_count or 0) + 1
        )
        await self._write_status(deployment, status)
        return None

    async def _carry_over(
        self, deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]
    ) -> ReplicaSet:
        """Keep revision and annotations of the new ReplicaSet as the Deployment's history says."""
        number = max((rollout.revision(rs) for rs in old), default=0) + 1
        number = max(number, rollout.revision(new))
        wanted = {**new.metadata.annotations, **copied_annotations(deployment)}
        wanted[rollout.REVISION] = str(number)
        if been := rollout.history(new, number):
            wanted[rollout.REVISION_HISTORY] = been
        if wanted != new.metadata.annotations or (
            new.spec.min_ready_seconds != deployment.spec.min_ready_seconds
        ):
            body = {
                "metadata": {"annotations": wanted},
                "spec": {"minReadySeconds": deployment.spec.min_ready_seconds},
            }
            new = await self._patch(deployment, new, body)
        if deployment.metadata.annotations.get(rollout.REVISION) != str(number):
            await self.client.patch(
                Deployment,
                deployment.metadata.name,
                deployment.metadata.namespace,
                {"metadata": {"annotations": {rollout.REVISION: str(number)}}},
            )
        return new

    async def _apply(
        self, deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]
    ) -> None:
        await self._write_sizes(
            deployment, rollout.next_step(deployment, new, old).sizes, (new, *old)
        )

    async def _scale(self, deployment: Deployment, owned: Sequence[ReplicaSet]) -> None:
        if not all(map(rollout.is_still, owned)):
            return  # what one of them is to gain is not free yet; its status will bring us back
        sizes = rollout.paused_sizes(deployment, owned)
        await self._write_sizes(deployment, sizes, owned)
        for rs in owned:
            sized = rollout.size(rs) > 0 and rs.metadata.name not in sizes
            if sized and rollout.was_scaled(deployment, [rs]):
                await self._patch_size(deployment, rs, rollout.size(rs))

    async def _write_sizes(
        self, deployment: Deployment, sizes: dict[str, int], sets: Sequence[ReplicaSet]
    ) -> None:
        for rs in sets:
            size = sizes.get(rs.metadata.name)
            if size is None or size == rollout.size(rs):
                continue
            await self._patch_size(deployment, rs, size)
            self._tell_scaled(deployment, rs.metadata.name, rollout.size(rs), size)

    async def _patch_size(self, deployment: Deployment, rs: ReplicaSet, size: int) -> None:
        body = {
            "metadata": {
                "resourceVersion": rs.metadata.resource_version,
                "annotations": size_annotations(deployment),
            },
            "spec": {"replicas": size},
        }
        await self._patch(deployment, rs, body)

    async def _patch(self, deployment: Deployment, rs: ReplicaSet, body: object) -> ReplicaSet:
        name, namespace = rs.metadata.name, rs.metadata.namespace
        patch = self.client.patch(ReplicaSet, name, namespace, body)
        return await self._sight.after(objects.key(deployment), patch)

    def _tell_scaled(self, deployment: Deployment, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        self._recorder.event(
            deployment,
            "Normal",
            "ScalingReplicaSet",
            f"Scaled {direction} replica set {name} from {before} to {after}",
        )

    async def _clean_up(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> None:
        for rs in rollout.surplus_history(deployment, old):
            await delete_if_there(self.client, rs)

    async def _report(
        self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]
    ) -> float | None:
        now = self.clock.now()
        status = progress.status_of(deployment, new, old, now)
        await self._write_status(deployment, status)
        return progress.seconds_until_deadline(deployment, status, now)

    async def _write_status(self, deployment: Deployment, status: DeploymentStatus) -> None:
        if status == deployment.status:
            return
        copy = msgspec.structs.replace(deployment, status=status)
        try:
            await self.client.update(copy, subresource="status")
        except PodwrightError as error:
            if not is_not_found(error):
                raise


def new_replica_set(deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
    """The ReplicaSet of the Deployment's template, sized for the first step of its rollout."""
    hashed = rollout.template_hash(deployment.spec.template, deployment.status.collision_count)
    template = objects.copy(deployment.spec.template)
    template.metadata.labels[rollout.HASH_LABEL] = hashed
    selector = deployment.spec.selector or LabelSelector()
    rs = ReplicaSet(
        metadata=ObjectMeta(
            name=f"{deployment.metadata.name}-{hashed}",
            namespace=deployment.metadata.namespace,
            labels=dict(template.metadata.labels),
            annotations={
                **copied_annotations(deployment),
                **size_annotations(deployment),
                rollout.REVISION: str(max((rollout.revision(rs) for rs in old), default=0) + 1),
            },
            owner_references=[objects.controller_reference(deployment)],
        ),
        spec=ReplicaSetSpec(
            replicas=0,
            min_ready_seconds=deployment.spec.min_ready_seconds,
            selector=msgspec.structs.replace(
                selector, match_labels={**selector.match_labels, rollout.HASH_LABEL: hashed}
            ),
            template=template,
        ),
    )
    rs.spec.replicas = rollout.next_step(deployment, rs, old).sizes.get(rs.metadata.name, 0)
    return rs


def copied_annotations(deployment: Deployment) -> dict[str, str]:
    """The Deployment's annotations that its ReplicaSets carry (a change cause, for instance)."""
    return {k: v for k, v in deployment.metadata.annotations.items() if k not in _NOT_COPIED}


def size_annotations(deployment: Deployment) -> dict[str, str]:
    """For how many replicas a ReplicaSet was sized; read by proportional scaling."""
    wanted = deployment.spec.replicas or 0
    return {
        rollout.DESIRED: str(wanted),
        rollout.MAX_REPLICAS: str(wanted + rollout.max_surge(deployment)),
    }
