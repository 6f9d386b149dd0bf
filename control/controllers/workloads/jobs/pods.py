"""What is done to a Job's pods, and what of it the informer does not show yet."""

from collections.abc import Iterable, Sequence

from api import objects, pods
from api.batch import Job
from api.client import Client, PatchType
from api.core import Pod
from api.errors import is_namespace_terminating, is_not_found
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.expectations import Expectations
from control.controllers.workloads.jobs.plan import pod_for
from control.controllers.workloads.jobs.view import TRACKING, View, is_tracked
from control.controllers.workloads.podowner import PodOwner


class JobPodOwner(PodOwner[Job]):
    """Makes, ends and lets go of pods. Everything here may be done twice."""

    kind = Job

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._released: Expectations[Key] = Expectations(context.clock)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = objects.controller_of(pod) if pod is not None else None
            if pod is not None and owner is not None and (new is None or not is_tracked(new)):
                key = Key(pod.metadata.namespace, owner.name)
                self._released.seen(key, pod.metadata.uid, leaving=True)
        super()._on_pod(old, new)

    def forget(self, key: Key) -> None:
        super().forget(key)
        self._released.forget(key)

    async def hold(self, pod: Pod) -> Pod:
        """Keep a pod that was adopted, or that was to be ended and runs on, until it is counted.

        Only as it was seen: one that has ended meanwhile is looked at again.
        """
        if is_tracked(pod) or not pods.is_active(pod):
            return pod
        return await self._give_finalizers(pod, [*pod.metadata.finalizers, TRACKING])

    async def make(self, job: Job, key: Key, view: View, places: Sequence[int]) -> tuple[int, str]:
        """New pods for these indexes, in batches of 1, 2, 4, …: how many, and why not more."""
        made, batch = 0, 1
        while made < len(places):
            for index in places[made : made + batch]:
                wanted = pod_for(job, index, view.replaceable.get(index))
                try:
                    await self.create_pod(job, key, wanted)
                except PodwrightError as error:
                    if is_namespace_terminating(error):
                        raise
                    return made, str(error)
                made += 1
            batch *= 2
        return made, ""

    async def end(self, job: Job, key: Key, doomed: Iterable[Pod]) -> None:
        """Delete pods that stay until they are counted."""
        for pod in doomed:
            await self.delete_pod(job, key, pod)

    async def dismiss(self, job: Job, key: Key, surplus: Iterable[Pod]) -> None:
        """Delete pods that are not to be counted: let go of each first.

        Only as it was seen: one that has succeeded meanwhile is a success.
        """
        for pod in surplus:
            if is_tracked(pod):
                kept = [name for name in pod.metadata.finalizers if name != TRACKING]
                await self._give_finalizers(pod, kept)
            await self.delete_pod(job, key, pod)

    async def release_counted(self, key: Key, counted: Iterable[Pod]) -> None:
        """Take the finalizer from pods that the status knows of."""
        for pod in counted:
            left = await let_go(self.client, pod)
            if left is not None and not self._pods.shows(left.metadata.resource_version):
                self._released.created(key, pod.metadata.uid)

    async def _give_finalizers(self, pod: Pod, wanted: list[str]) -> Pod:
        """Give this very version of a pod other finalizers."""
        metadata = pod.metadata
        body = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "finalizers": wanted or None,
            }
        }
        return await self.client.patch(Pod, metadata.name, metadata.namespace, body)


async def let_go(client: Client, pod: Pod) -> Pod | None:
    """Take the finalizer from a pod; what is left of it, or None if it is gone."""
    body = {
        "metadata": {
            "uid": pod.metadata.uid,
            "$deleteFromPrimitiveList/finalizers": [TRACKING],
        }
    }
    name, namespace = pod.metadata.name, pod.metadata.namespace
    try:
        return await client.patch(Pod, name, namespace, body, patch_type=PatchType.STRATEGIC)
    except PodwrightError as error:
        if not is_not_found(error):
            raise
        return None
