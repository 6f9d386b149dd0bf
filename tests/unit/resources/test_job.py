"""What a Job may say, what is made for it, what may change, and what is shown of it."""

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

JOB = "Job"
INDEXED: Change = {"spec.completionMode": "Indexed"}
LIMITED: Change = {**INDEXED, "spec.backoffLimitPerIndex": 1}
RULE = "spec.podFailurePolicy.rules"
SUCCESS = "spec.successPolicy.rules"
OWN = {"spec.manualSelector": True, "spec.selector": {"matchLabels": {"app": "sums"}}}


def rules(*made: Any) -> Change:
    return {RULE: list(made)}


def codes(operator: str = "In", values: tuple[int, ...] = (3,), **more: Any) -> dict[str, Any]:
    return {
        "action": "FailJob",
        "onExitCodes": {"operator": operator, "values": list(values)},
        **more,
    }


SOUND: list[Change] = [
    {},
    {"spec.completions": REMOVE, "spec.parallelism": REMOVE},
    {"spec.completions": REMOVE},
    {"spec.parallelism": 0},
    {"spec.template.spec.restartPolicy": "OnFailure"},
    {"spec.template.spec.activeDeadlineSeconds": 10},
    {"spec.managedBy": "acme.io/jobs"},
    {"spec.ttlSecondsAfterFinished": 0, "spec.activeDeadlineSeconds": 0},
    {"spec.podReplacementPolicy": "Failed"},
    OWN,
    INDEXED,
    {**LIMITED, "spec.maxFailedIndexes": 5},
    rules(codes("NotIn", (0, 3, 42))),
    rules({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}),
    {**LIMITED, **rules(codes(action="FailIndex"))},
    {**INDEXED, SUCCESS: [{"succeededIndexes": "0,2-4", "succeededCount": 2}]},
    {**INDEXED, SUCCESS: [{"succeededCount": 5}]},
]

BROKEN: list[tuple[Change, str, str]] = [
    ({"spec.parallelism": -1}, "spec.parallelism", "must be greater than or equal to 0"),
    ({"spec.completions": -1}, "spec.completions", "must be greater than or equal to 0"),
    ({"spec.backoffLimit": -1}, "spec.backoffLimit", "must be greater than or equal to 0"),
    ({"spec.activeDeadlineSeconds": -1}, "spec.activeDeadlineSeconds", "greater than or equal"),
    ({"spec.ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "greater than or equal"),
    ({"spec.completionMode": "Some"}, "spec.completionMode", 'Unsupported value: "Some"'),
    (
        {**INDEXED, "spec.completions": REMOVE},
        "spec.completions",
        "when completion mode is Indexed",
    ),
    (
        {**INDEXED, "spec.parallelism": 100_001},
        "spec.parallelism",
        "must be less than or equal to 100000 when completion mode is Indexed",
    ),
    ({"spec.backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex", "requires indexed completion"),
    (
        {**INDEXED, "spec.maxFailedIndexes": 1},
        "spec.backoffLimitPerIndex",
        "Required value: when maxFailedIndexes is specified",
    ),
    (
        {**LIMITED, "spec.maxFailedIndexes": 6},
        "spec.maxFailedIndexes",
        "must be less than or equal to completions",
    ),
    (
        {**LIMITED, "spec.completions": 100_001},
        "spec.maxFailedIndexes",
        "must be specified when completions is above 100000",
    ),
    (
        {**LIMITED, "spec.completions": 100_001, "spec.parallelism": 10_001},
        "spec.parallelism",
        "must be less than or equal to 10000 when completions are above 100000",
    ),
    ({"spec.managedBy": "acme"}, "spec.managedBy", "must be a domain-prefixed path"),
    ({"spec.managedBy": f"acme.io/{'x' * 60}"}, "spec.managedBy", "may not be more than 63 bytes"),
    (
        {"spec.template.spec.restartPolicy": REMOVE},
        "spec.template.spec.restartPolicy",
        'Required value: valid values: "OnFailure", "Never"',
    ),
    (
        {"spec.template.spec.restartPolicy": "Always"},
        "spec.template.spec.restartPolicy",
        'Required value: valid values: "OnFailure", "Never"',
    ),
    (
        {"spec.template.spec.restartPolicy": "Perhaps"},
        "spec.template.spec.restartPolicy",
        'supported values: "OnFailure", "Never"',
    ),
    (
        {"spec.template.spec.restartPolicy": "OnFailure", **rules(codes())},
        "spec.template.spec.restartPolicy",
        'only "Never" is supported when podFailurePolicy is specified',
    ),
    ({"spec.template.spec.containers": []}, "spec.template.spec.containers", "Required value"),
    (
        {"spec.podReplacementPolicy": "TerminatingOrFailed", **rules(codes())},
        "spec.podReplacementPolicy",
        'supported values: "Failed"',
    ),
    ({"spec.podReplacementPolicy": "Some"}, "spec.podReplacementPolicy", "TerminatingOrFailed"),
    (rules({"action": "FailJob"}), f"{RULE}[0]", "one of OnExitCodes and OnPodConditions is"),
    (
        rules(codes(onPodConditions=[{"type": "Ready"}])),
        f"{RULE}[0]",
        "specifying both OnExitCodes and OnPodConditions is not supported",
    ),
    (rules(codes(action="")), f"{RULE}[0].action", '["Count" "FailIndex" "FailJob" "Ignore"]'),
    (rules(codes(action="Some")), f"{RULE}[0].action", "Unsupported value"),
    (rules(codes(action="FailIndex")), f"{RULE}[0].action", "requires the backoffLimitPerIndex"),
    (rules(codes(values=())), f"{RULE}[0].onExitCodes.values", "at least one value is required"),
    (rules(codes(values=(0,))), f"{RULE}[0].onExitCodes.values[0]", "must not be 0 for the In"),
    (rules(codes(values=(3, 3))), f"{RULE}[0].onExitCodes.values[1]", "Duplicate value: 3"),
    (rules(codes(values=(4, 3))), f"{RULE}[0].onExitCodes.values", "must be ordered"),
    (
        rules(codes(values=tuple(range(1, 257)))),
        f"{RULE}[0].onExitCodes.values",
        "must have at most 255 items",
    ),
    (rules(codes("Is")), f"{RULE}[0].onExitCodes.operator", 'supported values: "In", "NotIn"'),
    (
        {f"{RULE}": [{**codes(), "onExitCodes": {"containerName": "b", **codes()["onExitCodes"]}}]},
        f"{RULE}[0].onExitCodes.containerName",
        "must be one of the container or initContainer names in the pod template",
    ),
    (
        rules({"action": "Ignore", "onPodConditions": [{"type": "a b", "status": "Yes"}]}),
        f"{RULE}[0].onPodConditions[0].status",
        'supported values: "False", "True", "Unknown"',
    ),
    (
        rules({"action": "Ignore", "onPodConditions": [{"type": "a b"}]}),
        f"{RULE}[0].onPodConditions[0].type",
        "name part must consist of",
    ),
    (rules(*[codes()] * 21), RULE, "must have at most 20 items"),
    ({SUCCESS: [{"succeededCount": 1}]}, "spec.successPolicy", "requires indexed completion mode"),
    ({**INDEXED, SUCCESS: []}, SUCCESS, "at least one rules must be specified"),
    ({**INDEXED, SUCCESS: [{}]}, f"{SUCCESS}[0]", "at least one of succeededCount or"),
    (
        {**INDEXED, SUCCESS: [{"succeededIndexes": "1-9"}]},
        f"{SUCCESS}[0].succeededIndexes",
        'error parsing succeededIndexes: too large index: "9"',
    ),
    (
        {**INDEXED, SUCCESS: [{"succeededCount": 6}]},
        f"{SUCCESS}[0].succeededCount",
        "must be less than or equal to 5 (the number of specified completions)",
    ),
    (
        {**INDEXED, SUCCESS: [{"succeededCount": 3, "succeededIndexes": "0,1"}]},
        f"{SUCCESS}[0].succeededCount",
        "must be less than or equal to 2 (the number of indexes in the specified",
    ),
    (
        {**INDEXED, "metadata.name": "x" * 62},
        "metadata.name",
        "will not able to create pod with invalid DNS label",
    ),
    (
        {"spec.template.metadata.labels": {"job-name": "other"}},
        "spec.template.metadata.labels[job-name]",
        "must be 'sums'",
    ),
    (
        {"spec.selector": {"matchLabels": {"app": "sums"}}},
        "spec.selector",
        "`selector` not auto-generated",
    ),
    (
        {"spec.selector": {"matchLabels": {"app": "other"}}, "spec.manualSelector": True},
        "spec.template.metadata.labels",
        "`selector` does not match template `labels`",
    ),
    ({"spec.manualSelector": True}, "spec.selector", "Required value"),
]


@pytest.mark.parametrize("change", SOUND)
def test_sound(change: Change) -> None:
    errors = strategy_of(JOB).validate(complete(JOB, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(("change", "field", "words"), BROKEN)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(JOB).validate(complete(JOB, change)), field, words)


def test_labels_and_selector_are_made_from_name_and_uid() -> None:
    job = complete(JOB)
    made = {
        "batch.kubernetes.io/controller-uid": "5f6e",
        "batch.kubernetes.io/job-name": "sums",
        "controller-uid": "5f6e",
        "job-name": "sums",
    }
    assert job.spec.template.metadata.labels == {"app": "sums", **made}
    assert job.spec.selector.match_labels == {"batch.kubernetes.io/controller-uid": "5f6e"}
    assert job.metadata.labels == job.spec.template.metadata.labels
    assert job.metadata.labels is not job.spec.template.metadata.labels


def test_labels_of_its_own_are_left_alone() -> None:
    assert complete(JOB, {"metadata.labels": {"app": "sums"}}).metadata.labels == {"app": "sums"}


def test_a_selector_of_ones_own_is_taken_as_it_is() -> None:
    job = complete(JOB, OWN)
    assert job.spec.template.metadata.labels == {"app": "sums"}
    assert job.spec.selector.match_labels == {"app": "sums"}


def test_defaults() -> None:
    spec = complete(JOB, {"spec.completions": REMOVE, "spec.parallelism": REMOVE}).spec
    assert (spec.completions, spec.parallelism, spec.backoff_limit) == (1, 1, 6)
    assert (spec.completion_mode, spec.suspend, spec.manual_selector) == (
        "NonIndexed",
        False,
        False,
    )
    assert spec.pod_replacement_policy == "TerminatingOrFailed"
    queue = complete(JOB, {"spec.completions": REMOVE, "spec.parallelism": 3}).spec
    assert (queue.completions, queue.parallelism) == (None, 3)
    assert complete(JOB, LIMITED).spec.backoff_limit == 2**31 - 1
    ruled = complete(JOB, rules({"action": "Ignore", "onPodConditions": [{"type": "A"}]})).spec
    assert ruled.pod_replacement_policy == "Failed"
    assert ruled.pod_failure_policy.rules[0].on_pod_conditions[0].status == "True"


HELD: Change = {"spec.suspend": True}
GROWN: Change = {"spec.completions": 9, "spec.parallelism": 9}


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({}, {"spec.parallelism": 4, "spec.suspend": True, "spec.backoffLimit": 1}),
        ({}, {"spec.activeDeadlineSeconds": 5, "spec.ttlSecondsAfterFinished": 5}),
        (INDEXED, GROWN),
        (HELD, {"spec.template.spec.nodeSelector": {"disk": "ssd"}, "spec.suspend": False}),
        (HELD, {"spec.template.spec.tolerations": [{"operator": "Exists"}]}),
        (HELD, {"spec.template.spec.schedulingGates": [{"name": "a"}]}),
        (HELD, {"spec.template.metadata.annotations": {"a": "b"}}),
        (HELD, {"spec.template.spec.affinity": {"nodeAffinity": {}}}),
    ],
)
def test_what_may_change(before: Change, change: Change) -> None:
    old = complete(JOB, before)
    errors = strategy_of(JOB).validate_update(changed(JOB, old, change), old)
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("before", "change", "field"),
    [
        ({}, {"spec.completions": 6}, "spec.completions"),
        (INDEXED, {"spec.completions": 9}, "spec.completions"),
        ({}, INDEXED, "spec.completionMode"),
        ({}, {"spec.selector": {"matchLabels": {"job-name": "sums"}}}, "spec.selector"),
        ({}, {"spec.template.spec.containers[0].image": "other"}, "spec.template"),
        ({}, {"spec.template.spec.nodeSelector": {"disk": "ssd"}}, "spec.template"),
        (HELD, {"spec.template.spec.containers[0].image": "other"}, "spec.template"),
        (HELD, {"spec.template.spec.affinity": {"podAffinity": {}}}, "spec.template"),
        ({}, {"spec.managedBy": "acme.io/x"}, "spec.managedBy"),
        ({}, rules(codes()), "spec.podFailurePolicy"),
        (LIMITED, {"spec.backoffLimitPerIndex": 2}, "spec.backoffLimitPerIndex"),
        (INDEXED, {SUCCESS: [{"succeededCount": 1}]}, "spec.successPolicy"),
    ],
)
def test_what_may_not_change(before: Change, change: Change, field: str) -> None:
    old = complete(JOB, before)
    errors = strategy_of(JOB).validate_update(changed(JOB, old, change), old)
    assert any(error.field == field for error in errors), said(errors)


def test_a_template_stays_once_the_job_has_run() -> None:
    old = complete(JOB, HELD)
    old.status.start_time = "2026-01-01T00:00:00Z"
    new = changed(JOB, old, {"spec.template.spec.nodeSelector": {"disk": "ssd"}})
    assert_says(strategy_of(JOB).validate_update(new, old), "spec.template", "field is immutable")


START = "2026-01-01T00:00:00Z"
END = "2026-01-01T00:01:30Z"


def conditions(*types: str) -> list[dict[str, str]]:
    return [{"type": type_, "status": "True"} for type_ in types]


DONE = {
    "status.conditions": conditions("SuccessCriteriaMet", "Complete"),
    "status.startTime": START,
    "status.completionTime": END,
}
FAILED = {"status.conditions": conditions("FailureTarget", "Failed"), "status.startTime": START}


def status_errors(before: Change, after: Change, spec: Change | None = None) -> Any:
    old, new = make(JOB, {**(spec or {}), **before}), make(JOB, {**(spec or {}), **after})
    return strategy_of(JOB).validate_subresource("status", new, old)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"status.active": 2, "status.ready": 1, "status.startTime": START}),
        ({}, {"status.uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["b"]}}),
        ({"status.succeeded": 4, "status.startTime": START}, {"status.succeeded": 5, **DONE}),
        ({}, FAILED),
        (DONE, DONE),
    ],
)
def test_a_status_that_is_told(before: Change, after: Change) -> None:
    assert not status_errors(before, after), said(status_errors(before, after))


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ({}, {"status.active": -1}, "status.active", "greater than or equal to 0"),
        ({}, {"status.ready": 1}, "status.ready", "cannot set more ready pods than active"),
        ({"status.failed": 2}, {}, "status.failed", "cannot decrease the failed counter"),
        ({"status.succeeded": 2}, {}, "status.succeeded", "cannot decrease the succeeded counter"),
        (
            {},
            {"status.uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a"]}},
            "status.uncountedTerminatedPods.failed[0]",
            "Duplicate value",
        ),
        (DONE, {"status.startTime": START}, "status.conditions", "terminal Complete=True"),
        (
            {},
            {**DONE, "status.conditions": conditions("Complete")},
            "status.conditions",
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            {},
            {**FAILED, "status.conditions": conditions("Failed")},
            "status.conditions",
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            {},
            {**FAILED, "status.conditions": conditions("SuccessCriteriaMet", "FailureTarget")},
            "status.conditions",
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ),
        ({}, {**DONE, "status.active": 1}, "status.active", "invalid for finished job"),
        ({}, {**FAILED, "status.startTime": None}, "status.startTime", "required for finished job"),
        ({}, {**DONE, "status.completionTime": None}, "status.completionTime", "is required for"),
        (
            {},
            {**DONE, "status.startTime": "2026-02-01T00:00:00Z"},
            "status.completionTime",
            "completionTime cannot be set before startTime",
        ),
        ({}, {**DONE, "status.terminating": 1}, "status.terminating", "invalid for finished job"),
        (
            {},
            {**DONE, "status.uncountedTerminatedPods": {"failed": ["a"]}},
            "status.uncountedTerminatedPods",
            "needs to be empty for finished job",
        ),
        ({"status.startTime": START}, {}, "status.startTime", "cannot be removed for unsuspended"),
        ({}, {"status.completedIndexes": "1"}, "status.completedIndexes", "when non-indexed"),
        ({}, {"status.failedIndexes": "1"}, "status.failedIndexes", "backoffLimitPerIndex is null"),
    ],
)
def test_a_status_that_is_not_believed(
    before: Change, after: Change, field: str, words: str
) -> None:
    assert_says(status_errors(before, after), field, words)


def test_indexes_of_a_status_are_checked() -> None:
    wrong = {"status.completedIndexes": "0-9", "status.failedIndexes": "1,0"}
    errors = status_errors({}, wrong, LIMITED)
    assert_says(errors, "status.completedIndexes", 'too large index: "9"')
    assert_says(errors, "status.failedIndexes", "non-increasing order")
    both = {"status.completedIndexes": "0-2", "status.failedIndexes": "2"}
    assert_says(status_errors({}, both, LIMITED), "status.failedIndexes", "overlap")


def test_columns() -> None:
    now = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)

    def shown(change: Change) -> dict[str, Any]:
        job = make(JOB, {"metadata.creationTimestamp": START, **change})
        return {column.name: column.cell(job, now) for column in strategy_of(JOB).columns}

    row = shown({"status.succeeded": 2, "status.startTime": START})
    assert (row["Status"], row["Completions"], row["Duration"]) == ("Running", "2/5", "2m")
    assert shown(DONE)["Status"] == "Complete"
    assert shown(DONE)["Duration"] == "90s"
    assert shown(FAILED)["Status"] == "Failed"
    assert shown({"status.conditions": conditions("Suspended")})["Status"] == "Suspended"
    assert shown({"status.conditions": conditions("FailureTarget")})["Status"] == "FailureTarget"
    assert shown({"metadata.deletionTimestamp": START})["Status"] == "Terminating"
    assert shown({})["Duration"] == ""
    assert shown({"spec.completions": REMOVE})["Completions"] == "0/1 of 2"
    assert shown({"spec.completions": REMOVE, "spec.parallelism": 1})["Completions"] == "0/1"
    assert (row["Containers"], row["Images"]) == ("app", "busybox")


def test_a_long_name_is_warned_of() -> None:
    assert "a DNS label is recommended" in str(
        strategy_of(JOB).warnings(complete(JOB, {"metadata.name": "a.b"}))
    )
    assert not strategy_of(JOB).warnings(complete(JOB))
