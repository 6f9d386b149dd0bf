"""CronJob: a Job at each time of a schedule. Walk step 1."""

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from api.batch import ConcurrencyPolicy, CronJob, JobTemplateSpec
from api.fielderrors import FieldError, Path, invalid, not_supported, required
from api.scheme import resource_of
from base import cron
from control.resources.apps.replicaset import container_images, container_names
from control.resources.batch.jobspec import default_job_template, job_spec_errors
from control.resources.checks import check_enum, check_non_negative
from control.resources.columns import AGE, NONE, format_selector, since
from control.resources.strategy import Column, Strategy

DEFAULT_SUCCESSFUL = 3
DEFAULT_FAILED = 1
NAME_LENGTH = 52
"""A Job is called after it and the minute: `-` and ten digits more, 63 together."""

_ZONE_PART = re.compile(r"(?!-)[A-Za-z._0-9+-]{1,14}")
"""A component of a time zone's name, by the rules of the tz database; `.` and `..` are none."""


class CronJobStrategy(Strategy[CronJob]):
    """The Jobs it makes are checked with it, as far as they are known."""

    columns = (
        Column("Schedule", "string", lambda cj, now: cj.spec.schedule),
        Column("Timezone", "string", lambda cj, now: cj.spec.time_zone or NONE),
        Column("Suspend", "boolean", lambda cj, now: str(bool(cj.spec.suspend))),
        Column("Active", "integer", lambda cj, now: len(cj.status.active)),
        Column("Last Schedule", "string", lambda cj, now: _last_schedule(cj, now)),
        AGE,
        Column(
            "Containers",
            "string",
            lambda cj, now: container_names(cj.spec.job_template.spec.template.spec),
            priority=1,
        ),
        Column(
            "Images",
            "string",
            lambda cj, now: container_images(cj.spec.job_template.spec.template.spec),
            priority=1,
        ),
        Column(
            "Selector",
            "string",
            lambda cj, now: format_selector(cj.spec.job_template.spec.selector),
            priority=1,
        ),
    )

    def default(self, obj: CronJob) -> None:
        spec = obj.spec
        spec.concurrency_policy = spec.concurrency_policy or "Allow"
        if spec.suspend is None:
            spec.suspend = False
        if spec.successful_jobs_history_limit is None:
            spec.successful_jobs_history_limit = DEFAULT_SUCCESSFUL
        if spec.failed_jobs_history_limit is None:
            spec.failed_jobs_history_limit = DEFAULT_FAILED
        default_job_template(spec.job_template.spec)

    def validate(self, obj: CronJob) -> list[FieldError]:
        errors = [*_spec_errors(obj), *_zone_errors(obj.spec.time_zone)]
        name = obj.metadata.name
        if len(name) > NAME_LENGTH:
            words = f"must be no more than {NAME_LENGTH} characters"
            errors.append(invalid(Path("metadata").child("name"), name, words))
        return errors

    def validate_update(self, new: CronJob, old: CronJob) -> list[FieldError]:
        """A time zone that the machine no longer knows must not keep others fields from changing."""
        same = new.spec.time_zone == old.spec.time_zone
        return [*_spec_errors(new), *(() if same else _zone_errors(new.spec.time_zone))]


def _last_schedule(job: CronJob, now: datetime) -> str:
    return since(job.status.last_schedule_time, now) if job.status.last_schedule_time else NONE


def _spec_errors(obj: CronJob) -> Iterator[FieldError]:
    path, spec = Path("spec"), obj.spec
    yield from _schedule_errors(spec.schedule, path.child("schedule"))
    for name, value in (
        ("startingDeadlineSeconds", spec.starting_deadline_seconds),
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ):
        yield from check_non_negative(path.child(name), value)
    where = path.child("concurrencyPolicy")
    yield from check_enum(where, spec.concurrency_policy, ConcurrencyPolicy, needed=True)
    yield from _template_errors(spec.job_template, path.child("jobTemplate", "spec"))


def _schedule_errors(schedule: str, path: Path) -> Iterator[FieldError]:
    if not schedule:
        yield required(path, "")
    elif "TZ" in schedule:
        words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid(path, schedule, words)
    else:
        try:
            cron.parse(schedule)
        except cron.CronError as error:
            yield invalid(path, schedule, str(error))


def _zone_errors(zone: str | None) -> Iterator[FieldError]:
    path = Path("spec").child("timeZone")
    if zone is None:
        return
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        words = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        yield invalid(path, zone, words)
    elif not _is_zone(zone):
        yield invalid(path, zone, f"unknown time zone {zone}")


def _is_zone(name: str) -> bool:
    for part in name.split("/"):
        if part in (".", "..") or not _ZONE_PART.fullmatch(part):
            return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a zone's file, or a folder of them
        return False
    return True


def _template_errors(template: JobTemplateSpec, path: Path) -> Iterator[FieldError]:
    yield from job_spec_errors(template.spec, path)
    if template.spec.selector is not None:
        words = "`selector` will be auto-generated"
        yield invalid(path.child("selector"), template.spec.selector, words)
    if template.spec.manual_selector:
        yield not_supported(path.child("manualSelector"), True, ("nil", "false"))


STRATEGY = CronJobStrategy(resource_of(CronJob))
