"""DaemonSet: one pod on each node that is fit for it.

`daemons` decides; this controller makes and deletes the pods, keeps the revisions of the template
(`history`), and looks again when a node comes, goes, or changes its labels or taints. The scheduler
binds the pods (step 3 of the walk), so that what they request is counted like any other pod's.
"""

from api.apps import ControllerRevision, DaemonSet
from api.core import Node, Pod
from api.objects import Key
from api.pods import next_availability
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.workloads import daemons
from control.controllers.workloads.daemons import Fleet, Step
from control.controllers.workloads.history import REVISION, Histories, Present, hash_of
from control.controllers.workloads.podowner import PodOwner, is_passing, soonest


class DaemonSetController(PodOwner[DaemonSet]):
    """Keeps a pod of each DaemonSet on every fit node."""

    name = "daemonset-controller"
    kind = DaemonSet

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._histories = Histories(context, label=REVISION)
        self.watch_owned(ControllerRevision, "DaemonSet")
        self._nodes = context.informers.of(Node)
        self._nodes.subscribe(self._on_node)

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        """What a node is fit for hangs on its labels and taints; its heartbeats are many."""
        if (
            old is not None
            and new is not None
            and old.metadata.labels == new.metadata.labels
            and old.spec.taints == new.spec.taints
        ):
            return
        for owner in self._owners.items():
            self.enqueue(owner)

    def place_of(self, pod: Pod) -> str:
        return daemons.target_of(pod)

    def told_of_ended(self, owner: DaemonSet, pod: Pod) -> tuple[str, str]:
        named = (
            f"daemon pod {pod.metadata.namespace}/{pod.metadata.name} on node {self.place_of(pod)}"
        )
        if pod.status.phase == "Failed":
            return "FailedDaemonPod", f"Found failed {named}, will try to kill it"
        return "SucceededDaemonPod", f"Found succeeded {named}, will try to delete it"

    async def sync(self, owner: DaemonSet, key: Key) -> float | None:
        if owner.metadata.deletion_timestamp:
            return None  # its revisions may be gone before its pods: nothing could be told of it
        mine = await self.claimed(owner)
        present = await self._histories.present(owner, await self._histories.of(owner))
        now = self.clock.now()
        hash_ = hash_of(present.revision.metadata.labels)
        fleet = daemons.gather(owner, self._nodes.items(), mine, hash_, now)
        failure, wait = await self._carry_out(fleet, key)
        await self._histories.clean(owner, present, _in_use(present, mine))
        await self.write_status(owner, daemons.status_of(fleet, present.collisions))
        if failure:
            raise PodwrightError(failure)
        soon = next_availability(mine, min_ready_seconds=owner.spec.min_ready_seconds, now=now)
        return soonest(wait, soon)

    async def _carry_out(self, fleet: Fleet, key: Key) -> tuple[str, float | None]:
        """Why it failed, or an empty string; and in how many seconds there is more to do."""
        try:
            step = daemons.manage(fleet)
            wait, busy = await self.replace_ended(fleet.owner, key, step.ended, fleet.now)
            await self._write(fleet, key, step)
            if not (busy or step.create or step.delete):
                await self._write(fleet, key, daemons.update(fleet))
        except PodwrightError as error:
            if is_passing(error):
                raise
            return str(error), None
        return "", wait

    async def _write(self, fleet: Fleet, key: Key, step: Step) -> None:
        for pod in step.delete:
            await self.delete_pod(fleet.owner, key, pod)
        for node in step.create:
            await self.create_pod(fleet.owner, key, daemons.new_pod(fleet.owner, node, fleet.hash))


def _in_use(present: Present, mine: list[Pod]) -> set[str]:
    """The revisions that some pod follows."""
    hashes = {hash_of(pod.metadata.labels) for pod in mine}
    return {one.metadata.name for one in present.ordered if hash_of(one.metadata.labels) in hashes}
