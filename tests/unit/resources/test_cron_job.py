"""What a CronJob may say, and what is shown of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    make,
    said,
    strategy_of,
)

CRON = "CronJob"
JOB = "spec.jobTemplate.spec"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"spec.timeZone": REMOVE},
        {"spec.timeZone": "Etc/GMT+5"},
        {"spec.schedule": "@hourly"},
        {"spec.schedule": "@every 90s"},
        {"spec.concurrencyPolicy": "Replace", "spec.startingDeadlineSeconds": 0},
        {"spec.successfulJobsHistoryLimit": 0, "spec.failedJobsHistoryLimit": 0},
        {"metadata.name": "x" * 52},
        {f"{JOB}.completionMode": "Indexed", f"{JOB}.completions": 3},
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(CRON).validate(complete(CRON, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.schedule": ""}, "spec.schedule", "Required value"),
        (
            {"spec.schedule": "* * *"},
            "spec.schedule",
            "expected exactly 5 fields, found 3: [* * *]",
        ),
        (
            {"spec.schedule": "TZ=UTC 0 * * * *"},
            "spec.schedule",
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        ({"spec.timeZone": ""}, "spec.timeZone", "timeZone must be nil or non-empty string"),
        ({"spec.timeZone": "Mars/Olympus"}, "spec.timeZone", "unknown time zone Mars/Olympus"),
        ({"spec.timeZone": "Europe"}, "spec.timeZone", "unknown time zone Europe"),
        ({"spec.timeZone": "../etc/passwd"}, "spec.timeZone", "unknown time zone ../etc/passwd"),
        ({"spec.timeZone": "local"}, "spec.timeZone", "must be an explicit time zone"),
        ({"spec.concurrencyPolicy": "Never"}, "spec.concurrencyPolicy", '"Allow", "Forbid"'),
        ({"spec.startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds", "greater than or"),
        ({"spec.failedJobsHistoryLimit": -1}, "spec.failedJobsHistoryLimit", "greater than or"),
        (
            {"spec.successfulJobsHistoryLimit": -1},
            "spec.successfulJobsHistoryLimit",
            "greater than or",
        ),
        ({"metadata.name": "x" * 53}, "metadata.name", "must be no more than 52 characters"),
        (
            {f"{JOB}.template.spec.restartPolicy": REMOVE},
            f"{JOB}.template.spec.restartPolicy",
            'Required value: valid values: "OnFailure", "Never"',
        ),
        ({f"{JOB}.parallelism": -1}, f"{JOB}.parallelism", "greater than or equal to 0"),
        ({f"{JOB}.selector": {}}, f"{JOB}.selector", "`selector` will be auto-generated"),
        ({f"{JOB}.manualSelector": True}, f"{JOB}.manualSelector", 'values: "nil", "false"'),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(CRON).validate(complete(CRON, change)), field, words)


def test_defaults() -> None:
    spec = complete(CRON).spec
    assert (spec.concurrency_policy, spec.suspend) == ("Allow", False)
    assert (spec.successful_jobs_history_limit, spec.failed_jobs_history_limit) == (3, 1)
    job = spec.job_template.spec
    assert job.template.spec.dns_policy == "ClusterFirst"
    assert (job.completions, job.backoff_limit, job.completion_mode) == (None, None, None)


def test_a_zone_that_is_gone_and_a_long_name_do_not_keep_it_from_changing() -> None:
    old = complete(CRON, {"spec.timeZone": "Mars/Olympus", "metadata.name": "x" * 60})
    new = changed(CRON, old, {"spec.suspend": True})
    assert not strategy_of(CRON).validate_update(new, old)
    new = changed(CRON, old, {"spec.timeZone": "Mars/Ares"})
    assert_says(strategy_of(CRON).validate_update(new, old), "spec.timeZone", "unknown time zone")


def test_columns() -> None:
    now = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)

    def shown(change: Change) -> dict[str, Any]:
        job = make(CRON, {"spec.suspend": False, **change})
        return {column.name: column.cell(job, now) for column in strategy_of(CRON).columns}

    row = shown(
        {"status.lastScheduleTime": "2026-01-01T00:01:00Z", "status.active": [{"uid": "a"}]}
    )
    assert (row["Schedule"], row["Timezone"]) == ("30 2 * * *", "Europe/Berlin")
    assert (row["Suspend"], row["Active"], row["Last Schedule"]) == ("False", 1, "60s")
    assert (row["Containers"], row["Images"], row["Selector"]) == ("app", "busybox", "<none>")
    bare = shown({"spec.timeZone": REMOVE})
    assert (bare["Timezone"], bare["Last Schedule"]) == ("<none>", "<none>")
