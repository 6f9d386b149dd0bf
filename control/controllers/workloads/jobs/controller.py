"""The Job controller: looks at a Job and its pods, decides, does it, and writes what came of it.

Concurrency: one worker per Job. A Job is left alone until the informers show everything that was last
written for it, so that every decision is made on a view that holds all earlier ones.
"""

from datetime import datetime, timedelta

import msgspec

from api import conditions, timestamps
from api.batch import Job, JobStatus
from api.deletion import delete_if_there
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Behind
from control.controllers.expectations import LAPSE_SECONDS
from control.controllers.workloads.jobs import counting
from control.controllers.workloads.jobs.plan import Plan, plan
from control.controllers.workloads.jobs.pods import JobPodOwner
from control.controllers.workloads.jobs.verdict import (
    ENOUGH,
    SUCCESS,
    Ending,
    finish,
    has_enough,
    is_finished,
    seconds_to_deadline,
    verdict,
)
from control.controllers.workloads.jobs.view import View, is_tracked, look

OWN_NAME = "kubernetes.io/job-controller"
"""What `managedBy` may say of Jobs that are looked after here."""

LARGE = 200
"""Pods from which on changes of them are looked at together."""
BATCH_SECONDS = 1.0


def is_ours(job: Job) -> bool:
    """Whether this controller looks after the Job."""
    return job.spec.managed_by in (None, OWN_NAME)


def seconds_to_expiry(job: Job, now: datetime) -> float | None:
    """How long a finished Job is kept; None for ever."""
    end, kept = finish(job), job.spec.ttl_seconds_after_finished
    if end is None or kept is None or not end.last_transition_time:
        return None
    until = timestamps.parse(end.last_transition_time) + timedelta(seconds=kept)
    return (until - now).total_seconds()


class JobController(JobPodOwner):
    """Makes pods, ends them, and counts each exactly once (see the package's docstring)."""

    name = "job-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._written: dict[Key, str] = {}
        self._large: set[Key] = set()

    def wake(self, key: Key) -> None:
        """Look at a large Job once a second at most: each look goes through all its pods."""
        if key in self._large:
            self.queue.add_after(key, BATCH_SECONDS)
        else:
            self.queue.add(key)

    def forget(self, key: Key) -> None:
        super().forget(key)
        self._written.pop(key, None)
        self._large.discard(key)

    async def reconcile(self, key: Key) -> float | None:
        job = self._owners.get(key.name, key.namespace)
        if not self._owners.shows(self._written.get(key, "")):
            raise Behind("waiting to see the status that was just written")
        if job is not None and is_finished(job):
            self.forget(key)
            return await self._expire(job)
        if job is not None and not is_ours(job):
            return None
        if job is not None and not self._released.met(key):
            return LAPSE_SECONDS
        return await super().reconcile(key)

    async def _expire(self, job: Job) -> float | None:
        """Delete a finished Job whose time is over, if it is still the one that was seen."""
        left = seconds_to_expiry(job, self.clock.now())
        if left is None or job.metadata.deletion_timestamp:
            return None
        if left > 0:
            return left
        await delete_if_there(self.client, job, unchanged=True, propagation_policy="Foreground")
        return None

    async def sync(self, job: Job, key: Key) -> float | None:
        mine = await self.claimed(job)
        if len(mine) > LARGE:
            self._large.add(key)
        now, deleting = self.clock.now(), bool(job.metadata.deletion_timestamp)
        if not deleting and not job.spec.suspend:
            mine = [await self.hold(pod) for pod in mine]
        view = look(job, mine)
        ending = verdict(view, now)
        todo = plan(view, now) if ending is None and not deleting else Plan()
        if ending is not None:
            await self.end(job, key, view.active)
        await self.dismiss(job, key, todo.dismiss)
        made, failure = await self.make(job, key, view, todo.create)
        if ending is None and has_enough(view, len(view.active) - len(todo.dismiss) + made):
            ending = ENOUGH
        job = await self._count(job, key, view, ending, todo, made, now)
        if failure:
            raise PodwrightError(failure)
        if ending is not None:
            return None
        left = seconds_to_deadline(job, job.status.start_time, now)
        return min((wait for wait in (todo.wait, left) if wait is not None), default=None)

    async def _count(
        self,
        job: Job,
        key: Key,
        view: View,
        ending: Ending | None,
        todo: Plan,
        made: int,
        now: datetime,
    ) -> Job:
        """The steps of counting, in their order: note, let go, settle."""
        dismissed = {pod.metadata.uid for pod in todo.dismiss}
        ended = view.active if ending is not None and not dismissed else todo.dismiss
        noted = counting.note(view, ending)
        status = counting.with_figures(noted.status, view, made=made, ended=ended)
        job = await self._write(job, key, _told(job, status, ending, now))
        leaving = [pod for pod in noted.let_go if pod.metadata.uid not in dismissed]
        await self.release_counted(key, leaving)
        held = {pod.metadata.uid for pod in view.pods if is_tracked(pod)}
        held -= {pod.metadata.uid for pod in noted.let_go}
        status = counting.settle(job.status, held)
        over = noted.everything and counting.is_settled(status)
        if ending is not None and over and not status.active and not status.terminating:
            job = await self._write(job, key, counting.conclude(status, ending, now))
            self._tell_end(job, ending)
            return job
        return await self._write(job, key, status)

    async def _write(self, job: Job, key: Key, status: JobStatus) -> Job:
        if status == job.status:
            return job
        wanted = msgspec.structs.replace(job, status=status)
        written = await self.client.update(wanted, subresource="status")
        self._written[key] = written.metadata.resource_version
        self._tell_suspension(job, written)
        return written

    def _tell_suspension(self, before: Job, after: Job) -> None:
        held = conditions.is_true(after.status.conditions, "Suspended")
        if held != conditions.is_true(before.status.conditions, "Suspended"):
            reason = "Suspended" if held else "Resumed"
            self._recorder.event(after, "Normal", reason, f"Job {reason.lower()}")

    def _tell_end(self, job: Job, ending: Ending) -> None:
        if ending.type != SUCCESS:
            self._recorder.event(job, "Warning", ending.reason, ending.message)
            return
        if job.spec.completions is not None and job.status.succeeded > job.spec.completions:
            words = "Too many succeeded pods running after completion count reached"
            self._recorder.event(job, "Warning", "TooManySucceededPods", words)
        self._recorder.event(job, "Normal", "Completed", "Job completed")


def _told(job: Job, status: JobStatus, ending: Ending | None, now: datetime) -> JobStatus:
    """The status with what is to be said of the Job's beginning, rest and end."""
    suspended = bool(job.spec.suspend)
    status = counting.start(status, suspended=suspended and ending is None, now=now)
    if ending is not None:
        return counting.announce(status, ending, now)
    if job.metadata.deletion_timestamp:
        return status
    return counting.suspend(status, now) if suspended else counting.resume(status, now)
