"""When a CronJob is due, what became of its Jobs, and which of them are kept. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import msgspec

from api import objects, timestamps
from api.batch import CronJob, CronJobStatus, Job
from api.core.references import ObjectReference
from api.meta import ObjectMeta
from base.cron import Schedule
from control.controllers.workloads.jobs.verdict import finish, is_finished

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY_MISSED = 100
"""More than that in a row and something is wrong, a clock perhaps."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The last moment of the schedule that has come and has no Job yet, and the one after now.

    `late`: it is past its starting deadline. `many`: more than a hundred have come since the last.
    """

    due: datetime | None = None
    next: datetime | None = None
    late: bool = False
    many: bool = False


def turn(cron_job: CronJob, schedule: Schedule, zone: tzinfo | None, now: datetime) -> Turn:
    """Where the schedule stands. Of several moments that were missed only the last counts."""
    begin = cron_job.status.last_schedule_time or cron_job.metadata.creation_timestamp
    since = timestamps.parse(begin) if begin else now
    following = schedule.next(now, zone)
    due = schedule.latest(since, now, zone)
    if due is None:
        return Turn(next=following)
    deadline = cron_job.spec.starting_deadline_seconds
    if deadline is None:
        return Turn(due, following, many=_are_many(schedule, since, now, zone))
    earliest = now - timedelta(seconds=deadline)
    if due < earliest:
        return Turn(due, following, late=True)
    many = _are_many(schedule, max(since, earliest), now, zone)
    return Turn(due, following, many=many)


def _are_many(schedule: Schedule, since: datetime, now: datetime, zone: tzinfo | None) -> bool:
    moment: datetime | None = since
    for _ in range(MANY_MISSED + 1):
        moment = schedule.next(moment, zone) if moment is not None else None
        if moment is None or moment > now:
            return False
    return True


def job_name(cron_job: CronJob, due: datetime) -> str:
    """The name of the Job for this moment: the same whoever makes it, so that it is made once."""
    return f"{cron_job.metadata.name}-{int(due.timestamp()) // 60}"


def job_for(cron_job: CronJob, due: datetime, zone: tzinfo | None) -> Job:
    """The Job for this moment."""
    template = objects.copy(cron_job.spec.job_template)
    stamp = due.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Job(
        metadata=ObjectMeta(
            name=job_name(cron_job, due),
            namespace=cron_job.metadata.namespace,
            labels=template.metadata.labels,
            annotations={**template.metadata.annotations, SCHEDULED_AT: stamp},
            owner_references=[objects.controller_reference(cron_job)],
        ),
        spec=template.spec,
    )


@dataclass(frozen=True, slots=True)
class News:
    """What the status says after a look at the Jobs, and what is worth telling."""

    status: CronJobStatus
    completed: tuple[Job, ...] = ()
    unexpected: tuple[Job, ...] = ()
    missing: tuple[ObjectReference, ...] = ()


def news(cron_job: CronJob, children: Sequence[Job]) -> News:
    """Compare the Jobs that the status calls active with those there are.

    `missing` may only be new: whoever asks looks for them before they are struck off.
    """
    known = {reference.uid for reference in cron_job.status.active}
    there = {job.metadata.uid for job in children}
    ended = tuple(job for job in children if is_finished(job))
    completed = tuple(job for job in ended if job.metadata.uid in known)
    unexpected = tuple(
        job for job in children if job.metadata.uid not in known and not is_finished(job)
    )
    successes = [job.status.completion_time for job in ended if job.status.completion_time]
    latest = max((*successes, cron_job.status.last_successful_time or ""), default="")
    gone = {job.metadata.uid for job in completed}
    return News(
        msgspec.structs.replace(
            cron_job.status,
            active=[one for one in cron_job.status.active if one.uid not in gone],
            last_successful_time=latest or None,
        ),
        completed,
        unexpected,
        tuple(one for one in cron_job.status.active if one.uid not in there),
    )


def without(status: CronJobStatus, uids: Iterable[str]) -> CronJobStatus:
    """The status with some Jobs struck off."""
    gone = set(uids)
    kept = [reference for reference in status.active if reference.uid not in gone]
    return msgspec.structs.replace(status, active=kept)


def with_job(status: CronJobStatus, job: Job, due: datetime) -> CronJobStatus:
    """The status once the Job of this moment was made."""
    known = {reference.uid for reference in status.active}
    more = [] if job.metadata.uid in known or is_finished(job) else [objects.reference(job)]
    return msgspec.structs.replace(
        status,
        active=[*status.active, *more],
        last_schedule_time=timestamps.format(due),
    )


def surplus(cron_job: CronJob, children: Sequence[Job]) -> list[Job]:
    """Finished Jobs beyond the history limits, the oldest."""
    found: list[Job] = []
    for type_, limit in (
        ("Complete", cron_job.spec.successful_jobs_history_limit),
        ("Failed", cron_job.spec.failed_jobs_history_limit),
    ):
        ended = [job for job in children if (end := finish(job)) is not None and end.type == type_]
        if limit is not None and len(ended) > limit:
            found += sorted(ended, key=_age)[: len(ended) - limit]
    return found


def _age(job: Job) -> tuple[str, str]:
    return job.status.start_time or "", job.metadata.name
