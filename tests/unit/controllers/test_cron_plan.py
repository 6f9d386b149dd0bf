"""When a CronJob is due, and what becomes of its Jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from api.batch import CronJob, Job
from base import cron
from control.controllers.workloads.jobs.cronplan import (
    Turn,
    job_for,
    job_name,
    news,
    surplus,
    turn,
    with_job,
)

POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}


def cron_job(schedule: str = "*/10 * * * *", *, last: str = "", **spec: Any) -> CronJob:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": POD}}}
    created = "2026-01-01T00:00:00Z"
    made = {
        "metadata": {
            "name": "tick",
            "namespace": "default",
            "uid": "u",
            "creationTimestamp": created,
        },
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
        "status": {"lastScheduleTime": last} if last else {},
    }
    return msgspec.convert(made, type=CronJob)


def child(name: str, end: str = "", started: str = "2026-01-01T00:10:00Z") -> Job:
    conditions = [{"type": end, "status": "True"}] if end else []
    status = {"conditions": conditions, "startTime": started}
    if end == "Complete":
        status["completionTime"] = started
    made = {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"template": {"spec": POD}},
        "status": status,
    }
    return msgspec.convert(made, type=Job)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-{text}+00:00")


def turned(made: CronJob, now: str) -> Turn:
    return turn(made, cron.parse(made.spec.schedule), UTC, at(now))


@pytest.mark.parametrize(
    ("made", "now", "due", "following"),
    [
        (cron_job(), "01T00:09:59", None, "01T00:10"),
        (cron_job(), "01T00:10:00", "01T00:10", "01T00:20"),
        (cron_job(), "01T00:35:00", "01T00:30", "01T00:40"),
        (cron_job(last="2026-01-01T00:30:00Z"), "01T00:35:00", None, "01T00:40"),
        (cron_job(last="2026-01-01T00:20:00Z"), "01T00:35:00", "01T00:30", "01T00:40"),
        (cron_job("0 0 30 2 *"), "01T00:35:00", None, None),
    ],
)
def test_the_last_moment_without_a_job(
    made: CronJob, now: str, due: str | None, following: str | None
) -> None:
    found = turned(made, now)
    assert found.due == (at(due) if due else None)
    assert found.next == (at(following) if following else None)
    assert not found.late and not found.many


def test_a_starting_deadline() -> None:
    made = cron_job(startingDeadlineSeconds=30)
    assert not turned(made, "01T00:10:30").late
    assert turned(made, "01T00:10:31").late


def test_too_many_were_missed() -> None:
    made = cron_job("* * * * *")
    assert not turned(made, "01T01:40:00").many
    assert turned(made, "01T01:41:00").many
    assert not turned(cron_job("* * * * *", startingDeadlineSeconds=200), "03T00:00:00").many


def test_a_job_is_named_after_its_moment() -> None:
    due = at("01T00:10:00")
    job = job_for(cron_job(), due, ZoneInfo("Europe/Berlin"))
    assert job.metadata.name == job_name(cron_job(), due) == "tick-29453770"
    assert job.metadata.annotations == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T01:10:00+01:00"
    }
    assert job.metadata.labels == {"a": "b"}
    (owner,) = job.metadata.owner_references
    assert (owner.controller, owner.block_owner_deletion, owner.uid) == (True, True, "u")


def test_news_of_its_jobs() -> None:
    made = cron_job()
    for name in ("running", "done", "gone"):
        made.status = with_job(made.status, child(name), at("01T00:10:00"))
    found = news(made, [child("running"), child("done", "Complete"), child("by-hand")])
    assert [one.uid for one in found.status.active] == ["running", "gone"]
    assert [job.metadata.name for job in found.completed] == ["done"]
    assert [job.metadata.name for job in found.unexpected] == ["by-hand"]
    assert [one.uid for one in found.missing] == ["gone"]
    assert found.status.last_successful_time == "2026-01-01T00:10:00Z"
    made.status = found.status
    assert news(made, [child("running"), child("done", "Complete")]).completed == ()


def test_a_success_of_long_ago_changes_nothing() -> None:
    made = cron_job()
    made.status.last_successful_time = "2026-01-01T00:20:00Z"
    found = news(made, [child("old", "Complete")])
    assert found.status.last_successful_time == "2026-01-01T00:20:00Z"


def test_the_oldest_of_each_outcome_go_first() -> None:
    made = cron_job(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
    children = [
        child("new", "Complete", "2026-01-01T00:30:00Z"),
        child("old", "Complete", "2026-01-01T00:10:00Z"),
        child("bad", "Failed"),
        child("running"),
    ]
    assert [job.metadata.name for job in surplus(made, children)] == ["old", "bad"]
    assert surplus(cron_job(), children) == []
