"""Pods that still wait to be counted though nobody will: their Job is gone, or over.

The finalizer of a Job's pod is taken off by the controller that counts it. If the Job is deleted and
its pods are left behind, or a pod is released because its labels no longer fit, nobody would, and the
pod could never be deleted. Jobs that somebody else looks after are left to them.
"""

from api import objects
from api.batch import Job
from api.core import Pod
from api.errors import is_not_found
from api.objects import Key
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.workloads.jobs.controller import is_ours
from control.controllers.workloads.jobs.pods import let_go
from control.controllers.workloads.jobs.verdict import is_finished
from control.controllers.workloads.jobs.view import is_tracked


def is_stray(pod: Pod, job: Job | None) -> bool:
    """Whether the pod waits in vain; `job` is what has the name of its owner."""
    if not is_tracked(pod):
        return False
    owner = objects.controller_of(pod)
    if owner is None or job is None or job.metadata.uid != owner.uid:
        return True
    return is_finished(job) and is_ours(job)


class StrayJobPodController(Controller):
    """Keys are pods."""

    name = "job-pod-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._jobs = context.informers.of(Job)
        self._pods = context.informers.of(Pod)
        indexes.index_pods(self._pods)
        self._pods.subscribe(lambda old, new: self._consider(new))
        self._jobs.subscribe(self._on_job)

    def _on_job(self, old: Job | None, new: Job | None) -> None:
        if old is not None and (new is None or is_finished(new)):
            for pod in indexes.pods_of(self._pods, old.metadata.uid):
                self._consider(pod)

    def _consider(self, pod: Pod | None) -> None:
        if pod is not None and is_stray(pod, self._job_of(pod)):
            self.enqueue(pod)

    def _job_of(self, pod: Pod) -> Job | None:
        owner = objects.controller_of(pod)
        if owner is None or owner.kind != "Job":
            return None
        return self._jobs.get(owner.name, pod.metadata.namespace)

    async def reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or not is_stray(pod, await self._live_job_of(pod)):
            return None
        await let_go(self.client, pod)
        return None

    async def _live_job_of(self, pod: Pod) -> Job | None:
        """The informers of Jobs and of pods know nothing of each other: ask before it is too late."""
        owner = objects.controller_of(pod)
        if owner is None or owner.kind != "Job":
            return None
        try:
            return await self.client.get(Job, owner.name, pod.metadata.namespace)
        except PodwrightError as error:
            if not is_not_found(error):
                raise
            return None
