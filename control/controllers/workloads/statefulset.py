"""StatefulSet: pods with names and storage of their own.

`stateful` decides which pod is next, `ordinals` who it is, `claimowners` what becomes of its claims;
this controller makes and deletes pods and claims, and keeps the revisions of the template
(`history`). A pod is only made once no pod of its name is left: the API knows each name once, and
one that cannot be reached keeps it until somebody deletes it by force.
"""

import msgspec

from api.apps import StatefulSet
from api.core import PersistentVolumeClaim, Pod
from api.errors import is_already_exists, is_namespace_terminating, is_not_found
from api.objects import Key
from base.errors import PodwrightError, TemporaryError
from control.controllers.context import Context
from control.controllers.workloads import claimowners, ordinals, stateful
from control.controllers.workloads.history import (
    HASH,
    Present,
    hash_of,
    template_of,
)
from control.controllers.workloads.podowner import Words, soonest
from control.controllers.workloads.revisioned import Outcome, RevisionedOwner, told
from control.controllers.workloads.stateful import View

STALE_SECONDS = 1.0
"""How often to look whether a claim that goes with its former pod is gone."""


class StatefulSetController(RevisionedOwner[StatefulSet]):
    """Keeps the pods of StatefulSets, each with its name and its claims."""

    name = "statefulset-controller"
    kind = StatefulSet
    label = HASH
    words = Words(
        created="create Pod {pod} in StatefulSet {owner} successful",
        not_created="create Pod {pod} in StatefulSet {owner} failed error: {error}",
        deleted="delete Pod {pod} in StatefulSet {owner} successful",
        not_deleted="delete Pod {pod} in StatefulSet {owner} failed error: {error}",
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._claims = context.informers.of(PersistentVolumeClaim)

    def belongs(self, owner: StatefulSet, pod: Pod) -> bool:
        return ordinals.number_of(owner, pod.metadata.name) is not None

    def told_of_ended(self, owner: StatefulSet, pod: Pod) -> tuple[str, str]:
        set_ = f"StatefulSet {owner.metadata.namespace}/{owner.metadata.name}"
        if pod.status.phase == "Failed":
            return "RecreatingFailedPod", f"{set_} is recreating failed Pod {pod.metadata.name}"
        return "RecreatingTerminatedPod", f"{set_} is recreating terminated Pod {pod.metadata.name}"

    async def follow(
        self, owner: StatefulSet, key: Key, mine: list[Pod], present: Present
    ) -> Outcome:
        view = self._look(owner, mine, present)
        failure, wait = await told(self._carry_out(view, key, present))
        status = stateful.status_of(view, present.collisions)
        in_use = {hash_of(pod.metadata.labels) for pod in mine} | {status.current_revision}
        return Outcome(view.now, status, in_use, failure, wait)

    def _look(self, owner: StatefulSet, mine: list[Pod], present: Present) -> View:
        update = present.revision.metadata.name
        known = {one.metadata.name for one in present.ordered}
        current = owner.status.current_revision
        there = {pod.metadata.name for pod in mine}
        stale = {
            number
            for number in ordinals.numbers(owner)
            if ordinals.name_of(owner, number) not in there and self._has_stale(owner, number)
        }
        return stateful.look(
            owner,
            mine,
            current=current if current in known else update,
            update=update,
            stale=stale,
            now=self.clock.now(),
        )

    def _has_stale(self, owner: StatefulSet, number: int) -> bool:
        pod = ordinals.name_of(owner, number)
        return any(claimowners.is_stale(claim, pod, "") for claim in self._known(owner, number))

    def _known(self, owner: StatefulSet, number: int) -> list[PersistentVolumeClaim]:
        """The claims of one pod that there are."""
        names = ordinals.claim_names(owner, number).values()
        found = (self._claims.get(name, owner.metadata.namespace) for name in names)
        return [claim for claim in found if claim is not None]

    async def _carry_out(self, view: View, key: Key, present: Present) -> float | None:
        """Make pods and claims right; returns in how many seconds there is more to do."""
        owner, step = view.owner, stateful.plan(view)
        await self._keep(view)
        wait, _ = await self.replace_ended(owner, key, step.ended, view.now)
        for pod in step.delete:
            await self.delete_pod(owner, key, pod)
        for number in step.create:
            await self._create(view, key, number, present)
        return soonest(wait, STALE_SECONDS if view.stale else None)

    async def _keep(self, view: View) -> None:
        """What belongs to pods that are there: labels, claims, and the claims' owners."""
        for number, pod in view.wanted.items():
            if pod is None:
                continue
            await self._name(view.owner, number, pod)
            if pod.status.phase == "Pending":
                await self._make_claims(view.owner, number)
            await self._own_claims(view.owner, number, pod, wanted=True)
        for pod in view.condemned:
            gone = ordinals.number_of(view.owner, pod.metadata.name)
            if gone is not None:
                await self._own_claims(view.owner, gone, pod, wanted=False)

    async def _name(self, owner: StatefulSet, number: int, pod: Pod) -> None:
        """Labels of a pod that was adopted without them, or lost them."""
        labels = ordinals.labels_of(owner, number)
        if not labels.items() <= pod.metadata.labels.items():
            body = {"metadata": {"uid": pod.metadata.uid, "labels": labels}}
            await self.client.patch(Pod, pod.metadata.name, pod.metadata.namespace, body)

    async def _create(self, view: View, key: Key, number: int, present: Present) -> None:
        revision = stateful.revision_for(view, number)
        named = {one.metadata.name: one for one in present.ordered}
        template = template_of(named[revision])
        pod = ordinals.new_pod(view.owner, number, template, revision)
        try:
            await self._make_claims(view.owner, number)
        except PodwrightError as error:
            self.tell_not_created(view.owner, pod.metadata.name, error)
            raise
        await self.create_pod(view.owner, key, pod)

    async def _make_claims(self, owner: StatefulSet, number: int) -> None:
        """Make sure that the claims of one pod are there, and stay."""
        pod = ordinals.name_of(owner, number)
        for claim in ordinals.new_claims(owner, number):
            name, namespace = claim.metadata.name, claim.metadata.namespace
            known = self._claims.get(name, namespace)
            if known is None:
                await self._make_claim(owner, claim, pod)
            elif known.metadata.deletion_timestamp:
                raise TemporaryError(f"pvc {name} is being deleted")

    async def _make_claim(self, owner: StatefulSet, claim: PersistentVolumeClaim, pod: str) -> None:
        name, set_ = claim.metadata.name, owner.metadata.name
        try:
            await self.client.create(claim)
        except PodwrightError as error:
            if is_already_exists(error):
                return  # made before, and not shown yet
            if not is_namespace_terminating(error):
                words = (
                    f"create Claim {name} for Pod {pod} in StatefulSet {set_} failed error: {error}"
                )
                self._recorder.event(owner, "Warning", "FailedCreate", words)
            raise
        words = f"create Claim {name} Pod {pod} in StatefulSet {set_} success"
        self._recorder.event(owner, "Normal", "SuccessfulCreate", words)

    async def _own_claims(self, owner: StatefulSet, number: int, pod: Pod, *, wanted: bool) -> None:
        """Give the claims of one pod the owners with which they are to go."""
        for claim in self._known(owner, number):
            metadata = claim.metadata
            if claimowners.is_foreign(claim, owner, pod.metadata.name):
                continue
            owners = claimowners.owners_of(claim, owner, pod, wanted=wanted)
            if owners == metadata.owner_references:
                continue
            body = {
                "metadata": {
                    "uid": metadata.uid,
                    "resourceVersion": metadata.resource_version,
                    "ownerReferences": msgspec.to_builtins(owners) or None,
                }
            }
            try:
                await self.client.patch(
                    PersistentVolumeClaim, metadata.name, metadata.namespace, body
                )
            except PodwrightError as error:
                if not is_not_found(error):
                    raise
