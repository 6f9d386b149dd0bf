"""DaemonSet: one pod on each node that is fit for it.

`daemons` decides; this controller makes and deletes the pods, keeps the revisions of the template
(`history`), and looks again when a node comes, goes, or changes its labels or taints. The scheduler
binds the pods (step 3 of the walk), so that what they request is counted like any other pod's.
"""

from api.apps import DaemonSet
from api.core import Node, Pod
from api.objects import Key
from control.controllers.context import Context
from control.controllers.workloads import daemons
from control.controllers.workloads.daemons import Fleet, Step
from control.controllers.workloads.history import REVISION, Present, hash_of
from control.controllers.workloads.revisioned import Outcome, RevisionedOwner, told


class DaemonSetController(RevisionedOwner[DaemonSet]):
    """Keeps a pod of each DaemonSet on every fit node."""

    name = "daemonset-controller"
    kind = DaemonSet
    label = REVISION

    def __init__(self, context: Context) -> None:
        super().__init__(context)
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

    async def follow(
        self, owner: DaemonSet, key: Key, mine: list[Pod], present: Present
    ) -> Outcome:
        hash_ = hash_of(present.revision.metadata.labels)
        fleet = daemons.gather(owner, self._nodes.items(), mine, hash_, self.clock.now())
        failure, wait = await told(self._carry_out(fleet, key))
        status = daemons.status_of(fleet, present.collisions)
        return Outcome(fleet.now, status, _in_use(present, mine), failure, wait)

    async def _carry_out(self, fleet: Fleet, key: Key) -> float | None:
        """Make the pods right; returns in how many seconds there is more to do."""
        step = daemons.manage(fleet)
        wait, busy = await self.replace_ended(fleet.owner, key, step.ended, fleet.now)
        await self._write(fleet, key, step)
        if not (busy or step.create or step.delete):
            await self._write(fleet, key, daemons.update(fleet))
        return wait

    async def _write(self, fleet: Fleet, key: Key, step: Step) -> None:
        for pod in step.delete:
            await self.delete_pod(fleet.owner, key, pod)
        for node in step.create:
            await self.create_pod(fleet.owner, key, daemons.new_pod(fleet.owner, node, fleet.hash))


def _in_use(present: Present, mine: list[Pod]) -> set[str]:
    """The revisions that some pod follows."""
    hashes = {hash_of(pod.metadata.labels) for pod in mine}
    return {one.metadata.name for one in present.ordered if hash_of(one.metadata.labels) in hashes}
