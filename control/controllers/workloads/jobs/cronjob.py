"""The CronJob controller: makes the Jobs of a schedule, follows them, and clears the old ones away.

Concurrency: one worker per CronJob, woken by changes of it and of its Jobs, and when its next moment
comes. Names of Jobs follow from the moment, so whoever is killed between making one and writing it
down finds it again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from api import objects
from api.batch import CronJob, CronJobStatus, Job
from api.core.references import ObjectReference
from api.errors import is_already_exists, is_namespace_terminating, is_not_found
from api.objects import Key
from base import cron
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Behind, Controller
from control.controllers.workloads.jobs import cronplan
from control.controllers.workloads.jobs.cronplan import Turn
from control.controllers.workloads.jobs.verdict import finish

_OWNER = "owner"
_LONGEST_WAIT_SECONDS = 600.0  # the clock on the wall can be set, and timers do not notice
_MARGIN_SECONDS = 0.1  # a timer that ends a little early must not find nothing to do


class CronJobController(Controller):
    """Carries out what `cronplan` decides."""

    name = "cronjob-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._cron_jobs = context.informers.of(CronJob)
        self._jobs = context.informers.of(Job)
        self._jobs.add_index(_OWNER, _owner_of)
        self._recorder = context.recorder(self.name)
        self._written: dict[Key, str] = {}
        self.watch_own(CronJob)
        self.watch_owned(Job, "CronJob")

    async def reconcile(self, key: Key) -> float | None:
        cron_job = self._cron_jobs.get(key.name, key.namespace)
        if not self._cron_jobs.shows(self._written.get(key, "")):
            raise Behind("waiting to see the status that was just written")
        if cron_job is None:
            self._written.pop(key, None)
            return None
        children = self._jobs.by_index(_OWNER, cron_job.metadata.uid)
        cron_job = await self._write(cron_job, key, await self._follow(cron_job, children))
        if cron_job.metadata.deletion_timestamp:
            return None
        status, wait = await self._run(cron_job, cron_job.status)
        await self._write(cron_job, key, status)
        await self._delete(cron_job, cronplan.surplus(cron_job, children))
        return wait

    async def _follow(self, cron_job: CronJob, children: Sequence[Job]) -> CronJobStatus:
        """The status as the Jobs are, and events about those that changed."""
        news = cronplan.news(cron_job, children)
        for job in news.completed:
            end, name = finish(job), job.metadata.name
            assert end is not None
            words = f"Saw completed job: {name}, condition: {end.type}"
            self._recorder.event(cron_job, "Normal", "SawCompletedJob", words)
        for job in news.unexpected:
            words = "Saw a job that the controller did not create or forgot: " + job.metadata.name
            self._recorder.event(cron_job, "Warning", "UnexpectedJob", words)
        gone = [one for one in news.missing if not await self._is_there(one)]
        for one in gone:
            words = f"Active job went missing: {one.name}"
            self._recorder.event(cron_job, "Normal", "MissingJob", words)
        return cronplan.without(news.status, (one.uid for one in gone))

    async def _is_there(self, reference: ObjectReference) -> bool:
        """The informer may not show a Job yet that was just made."""
        try:
            live = await self.client.get(Job, reference.name, reference.namespace)
        except PodwrightError as error:
            if not is_not_found(error):
                raise
            return False
        return live.metadata.uid == reference.uid

    async def _run(
        self, cron_job: CronJob, status: CronJobStatus
    ) -> tuple[CronJobStatus, float | None]:
        """Make the Job that is due, if one is; and how long it is until the next."""
        found = self._schedule(cron_job)
        if found is None or cron_job.spec.suspend:
            return status, None
        schedule, zone = found
        now = self.clock.now()
        turn = cronplan.turn(cron_job, schedule, zone, now)
        if turn.due is not None and await self._may_start(cron_job, status, turn):
            if cron_job.spec.concurrency_policy == "Replace":
                status = await self._end_active(cron_job, status)
            job = await self._create(cron_job, turn.due, zone)
            status = cronplan.with_job(status, job, turn.due)
        if turn.next is None:
            return status, None
        wait = (turn.next - now).total_seconds() + _MARGIN_SECONDS
        return status, min(wait, _LONGEST_WAIT_SECONDS)

    def _schedule(self, cron_job: CronJob) -> tuple[cron.Schedule, tzinfo | None] | None:
        """Both were checked when they were written, but by a machine that may have known more."""
        name = cron_job.spec.time_zone
        try:
            zone = ZoneInfo(name) if name else None
        except (KeyError, ValueError, OSError) as error:
            words = f'invalid timeZone: "{name}": {error}'
            self._recorder.event(cron_job, "Warning", "UnknownTimeZone", words)
            return None
        try:
            return cron.parse(cron_job.spec.schedule), zone
        except cron.CronError as error:
            words = f'unparseable schedule: "{cron_job.spec.schedule}" : {error}'
            self._recorder.event(cron_job, "Warning", "UnparseableSchedule", words)
            return None

    async def _may_start(self, cron_job: CronJob, status: CronJobStatus, turn: Turn) -> bool:
        assert turn.due is not None
        if turn.late:
            moment = turn.due.strftime("%a, %d %b %Y %H:%M:%S %z")
            words = f"Missed scheduled time to start a job: {moment}"
            self._recorder.event(cron_job, "Warning", "MissSchedule", words)
            return False
        if turn.many:
            words = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds "
                "or check clock skew"
            )
            self._recorder.event(cron_job, "Warning", "TooManyMissedTimes", words)
        if cron_job.spec.concurrency_policy == "Forbid" and status.active:
            words = (
                "Not starting job because prior execution is running and concurrency policy is "
                "Forbid"
            )
            self._recorder.event(cron_job, "Normal", "JobAlreadyActive", words)
            return False
        return True

    async def _create(self, cron_job: CronJob, due: datetime, zone: tzinfo | None) -> Job:
        wanted = cronplan.job_for(cron_job, due, zone)
        try:
            job = await self.client.create(wanted)
        except PodwrightError as error:
            if is_already_exists(error):
                return await self._made_before(cron_job, wanted)
            if not is_namespace_terminating(error):
                words = f"Error creating job: {error}"
                self._recorder.event(cron_job, "Warning", "FailedCreate", words)
            raise
        words = f"Created job {job.metadata.name}"
        self._recorder.event(cron_job, "Normal", "SuccessfulCreate", words)
        return job

    async def _made_before(self, cron_job: CronJob, wanted: Job) -> Job:
        """The Job of that name, if it is this moment's: made, but not written down."""
        live = await self.client.get(Job, wanted.metadata.name, wanted.metadata.namespace)
        owner = objects.controller_of(live)
        if owner is None or owner.uid != cron_job.metadata.uid:
            name = live.metadata.name
            raise PodwrightError(
                f"job {name} exists and is not of CronJob {cron_job.metadata.name}"
            )
        return live

    async def _end_active(self, cron_job: CronJob, status: CronJobStatus) -> CronJobStatus:
        for one in status.active:
            await self._delete_job(cron_job, one.name, one.uid)
        return cronplan.without(status, [one.uid for one in status.active])

    async def _delete(self, cron_job: CronJob, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if not job.metadata.deletion_timestamp:
                await self._delete_job(cron_job, job.metadata.name, job.metadata.uid)

    async def _delete_job(self, cron_job: CronJob, name: str, uid: str) -> None:
        try:
            await self.client.delete(
                Job, name, cron_job.metadata.namespace, uid=uid, propagation_policy="Background"
            )
        except PodwrightError as error:
            if not is_not_found(error):
                words = f"Deleted job: {error}"
                self._recorder.event(cron_job, "Warning", "FailedDelete", words)
                raise
            return
        words = f"Deleted job {name}"
        self._recorder.event(cron_job, "Normal", "SuccessfulDelete", words)

    async def _write(self, cron_job: CronJob, key: Key, status: CronJobStatus) -> CronJob:
        if status == cron_job.status:
            return cron_job
        wanted = msgspec.structs.replace(cron_job, status=status)
        written = await self.client.update(wanted, subresource="status")
        self._written[key] = written.metadata.resource_version
        return written


def _owner_of(job: Job) -> list[str]:
    owner = objects.controller_of(job)
    return [owner.uid] if owner is not None and owner.kind == "CronJob" else []
