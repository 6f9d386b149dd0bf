"""CronJobs over a whole control plane, with a clock that jumps from minute to minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from api import conditions, timestamps
from api.batch import CronJob, Job
from api.core import Event
from control.controllers.workloads.jobs import cronplan
from tests.integration.controllers.conftest import Plane, eventually
from tests.integration.controllers.test_jobs import succeeds

POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
JOB = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": POD}}}


@pytest.fixture(autouse=True)
async def early_in_a_minute(plane: Plane) -> None:
    """The next minute begins when a test says so, and not while it looks."""
    plane.clock.ahead += timedelta(seconds=61 - plane.clock.now().second)


async def create(plane: Plane, **spec: Any) -> CronJob:
    made = {
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": "* * * * *", "jobTemplate": JOB, **spec},
    }
    return await plane.client.create(msgspec.convert(made, type=CronJob))


async def get(plane: Plane) -> CronJob:
    return await plane.client.get(CronJob, "tick", "default")


async def jobs(plane: Plane) -> list[Job]:
    found = (await plane.client.list(Job, "default")).items
    return sorted(found, key=lambda job: job.metadata.name)


async def messages(plane: Plane) -> set[str]:
    return {event.message for event in (await plane.client.list(Event, "default")).items}


async def reasons(plane: Plane) -> set[str]:
    return {event.reason for event in (await plane.client.list(Event, "default")).items}


async def pass_minute(plane: Plane, *, said: str = "", minutes: int = 1) -> CronJob:
    """Let time pass; wait until there is a Job for it, or an event says why not."""
    plane.clock.ahead += timedelta(minutes=minutes)
    due = plane.clock.now().replace(second=0, microsecond=0)
    controller = next(c for c in plane.manager.controllers if c.name == "cronjob-controller")
    controller.enqueue(await get(plane))

    async def done() -> CronJob | None:
        found = await get(plane)
        last = found.status.last_schedule_time
        if said in await reasons(plane) or (last and timestamps.parse(last) >= due):
            return found
        return None

    found = await eventually(done)
    assert found is not None
    return found


async def finish_all(plane: Plane) -> None:
    """The status of finished Jobs, as their controller would write it."""
    for job in await jobs(plane):
        if conditions.is_true(job.status.conditions, "Complete"):
            continue
        now = timestamps.now_string(plane.clock)
        ends = [{"type": t, "status": "True"} for t in ("SuccessCriteriaMet", "Complete")]
        status = {"conditions": ends, "startTime": now, "completionTime": now, "active": 0}
        body = {"status": {**status, "ready": 0, "terminating": 0}}
        await plane.client.patch(Job, job.metadata.name, "default", body, subresource="status")


THEIRS = {"metadata": {}, "spec": {"managedBy": "acme.io/none", "template": {"spec": POD}}}
"""Jobs that only the test looks after."""


async def test_a_job_for_each_minute(plane: Plane) -> None:
    await create(plane)
    first = await pass_minute(plane)
    (job,) = await jobs(plane)
    due = timestamps.parse(first.status.last_schedule_time or "")
    assert job.metadata.name == f"tick-{int(due.timestamp()) // 60}"
    assert job.metadata.labels == {"a": "b"}
    assert timestamps.parse(job.metadata.annotations[cronplan.SCHEDULED_AT]) == due
    (owner,) = job.metadata.owner_references
    assert (owner.kind, owner.name, owner.controller) == ("CronJob", "tick", True)
    assert [one.uid for one in first.status.active] == [job.metadata.uid]
    second = await pass_minute(plane)
    assert len(second.status.active) == len(await jobs(plane)) == 2

    async def told() -> bool:
        return f"Created job {job.metadata.name}" in await messages(plane)

    assert await eventually(told)


async def test_what_is_over_is_no_longer_active(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    plane.agents.ends = succeeds
    await create(plane)
    await pass_minute(plane)

    async def done() -> bool:
        found = await get(plane)
        return not found.status.active and bool(found.status.last_successful_time)

    assert await eventually(done)
    (job,) = await jobs(plane)
    assert (await get(plane)).status.last_successful_time == job.status.completion_time

    async def told() -> bool:
        wanted = f"Saw completed job: {job.metadata.name}, condition: Complete"
        return wanted in await messages(plane)

    assert await eventually(told)


async def test_forbidden_while_one_is_running(plane: Plane) -> None:
    await create(plane, concurrencyPolicy="Forbid", jobTemplate=THEIRS)
    await pass_minute(plane)
    await pass_minute(plane, said="JobAlreadyActive")
    assert len(await jobs(plane)) == 1
    await finish_all(plane)

    async def next_one() -> bool:
        return len(await jobs(plane)) == 2

    assert await eventually(next_one)


async def test_one_replaces_the_other(plane: Plane) -> None:
    await create(plane, concurrencyPolicy="Replace", jobTemplate=THEIRS)
    await pass_minute(plane)
    (first,) = await jobs(plane)
    found = await pass_minute(plane)
    (second,) = await jobs(plane)
    assert first.metadata.uid != second.metadata.uid
    assert [one.uid for one in found.status.active] == [second.metadata.uid]


async def test_of_what_was_missed_only_the_last_is_made_up_for(plane: Plane) -> None:
    await create(plane, jobTemplate=THEIRS)
    await pass_minute(plane, minutes=5)
    assert len(await jobs(plane)) == 1
    assert "TooManyMissedTimes" not in await reasons(plane)
    await pass_minute(plane, minutes=200)
    assert len(await jobs(plane)) == 2

    async def told() -> bool:
        return "TooManyMissedTimes" in await reasons(plane)

    assert await eventually(told)


async def test_a_zone_of_its_own(plane: Plane) -> None:
    there = (plane.clock.now() + timedelta(minutes=1)).astimezone(ZoneInfo("Asia/Kolkata"))
    schedule = f"* {there.hour} * * *"
    await create(plane, schedule=schedule, timeZone="Asia/Kolkata", jobTemplate=THEIRS)
    await pass_minute(plane)
    (job,) = await jobs(plane)
    told = job.metadata.annotations[cronplan.SCHEDULED_AT]
    assert told.startswith(f"{there:%Y-%m-%dT%H:}") and told.endswith(":00+05:30")


async def test_too_late(plane: Plane) -> None:
    await create(plane, schedule="0 0 1 1 *", startingDeadlineSeconds=30, timeZone="Etc/UTC")
    await pass_minute(plane, minutes=400 * 24 * 60, said="MissSchedule")
    assert not await jobs(plane)


async def test_suspended(plane: Plane) -> None:
    await create(plane, suspend=True, jobTemplate=THEIRS)
    plane.clock.ahead += timedelta(minutes=3)
    await plane.client.patch(CronJob, "tick", "default", {"metadata": {"labels": {"a": "b"}}})
    assert not await jobs(plane)
    await plane.client.patch(CronJob, "tick", "default", {"spec": {"suspend": False}})

    async def made() -> bool:
        return len(await jobs(plane)) == 1

    assert await eventually(made)


async def test_history_is_kept_within_its_limits(plane: Plane) -> None:
    await create(plane, successfulJobsHistoryLimit=2, jobTemplate=THEIRS)
    names = []
    for _ in range(4):
        await pass_minute(plane)
        names.append((await jobs(plane))[-1].metadata.name)
        await finish_all(plane)

    async def kept() -> bool:
        return [job.metadata.name for job in await jobs(plane)] == names[-2:]

    assert await eventually(kept)


async def test_a_job_that_was_made_and_not_written_down_is_found_again(plane: Plane) -> None:
    cron_job = await create(plane, jobTemplate=THEIRS, suspend=True)
    plane.clock.ahead += timedelta(minutes=1)
    due = plane.clock.now().replace(second=0, microsecond=0)
    made = await plane.client.create(cronplan.job_for(cron_job, due, None))
    await plane.client.patch(CronJob, "tick", "default", {"spec": {"suspend": False}})

    async def known() -> bool:
        return [one.uid for one in (await get(plane)).status.active] == [made.metadata.uid]

    assert await eventually(known)
    assert len(await jobs(plane)) == 1


async def test_a_job_that_somebody_deleted_is_missed(plane: Plane) -> None:
    await create(plane, jobTemplate=THEIRS)
    found = await pass_minute(plane)
    await plane.client.delete(
        Job, found.status.active[0].name, "default", propagation_policy="Background"
    )

    async def told() -> bool:
        return not (await get(plane)).status.active and "MissingJob" in await reasons(plane)

    assert await eventually(told)
