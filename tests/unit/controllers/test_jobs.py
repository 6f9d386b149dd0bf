"""What a Job does next: its pods sorted, judged, wanted and dismissed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from api import conditions, objects
from api.batch import Job
from api.core import EnvVar, Pod
from api.scheme import resource_of
from control.controllers.workloads.jobs import counting
from control.controllers.workloads.jobs.controller import is_ours, seconds_to_expiry
from control.controllers.workloads.jobs.failures import delay_after, judge
from control.controllers.workloads.jobs.plan import plan, pod_for
from control.controllers.workloads.jobs.strays import is_stray
from control.controllers.workloads.jobs.verdict import ENOUGH, Ending, has_enough, verdict
from control.controllers.workloads.jobs.view import (
    COMPLETION_INDEX,
    INDEX_FAILURES,
    INDEX_IGNORED_FAILURES,
    TRACKING,
    View,
    look,
)
from control.resources import strategy_of

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
EARLIER = "2026-01-01T00:59:55Z"


def job(status: dict[str, Any] | None = None, *, restart: str = "Never", **spec: Any) -> Job:
    template = {"spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}}
    made: Job = msgspec.convert(
        {
            "metadata": {"name": "sums", "namespace": "default", "uid": "u"},
            "spec": {"template": template, **spec},
            "status": status or {},
        },
        type=Job,
    )
    strategy_of(resource_of(Job)).default(made)
    return made


def pod(
    name: str,
    phase: str = "Running",
    *,
    index: int | None = None,
    code: int = 1,
    restarts: int = 0,
    tracked: bool = True,
    deleting: bool = False,
    ready: bool = True,
    at: str = EARLIER,
    **annotations: str,
) -> Pod:
    ended = {"terminated": {"exitCode": code, "finishedAt": at}}
    status = {
        "name": "c",
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "state": ended if phase in ("Failed", "Succeeded") else {},
    }
    known = {COMPLETION_INDEX: str(index)} if index is not None else {}
    made: Pod = msgspec.convert(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": name,
                "creationTimestamp": EARLIER,
                "annotations": {**known, **annotations},
                "finalizers": [TRACKING] if tracked else [],
                **({"deletionTimestamp": EARLIER} if deleting else {}),
            },
            "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"},
            "status": {
                "phase": phase,
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                "containerStatuses": [status],
            },
        },
        type=Pod,
    )
    return made


def names(found: Any) -> list[str]:
    return [one.metadata.name for one in found]


def seen(made: Job, *mine: Pod) -> View:
    return look(made, mine)


INDEXED = {"completionMode": "Indexed", "completions": 4, "parallelism": 4}
PER_INDEX = {**INDEXED, "backoffLimitPerIndex": 1}


# -- view


def test_figures_hold_what_is_noted_and_what_is_new() -> None:
    status = {
        "succeeded": 2,
        "failed": 1,
        "uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["b"]},
    }
    view = seen(
        job(status, completions=9),
        pod("a", "Succeeded"),
        pod("b", "Failed"),
        pod("c", "Succeeded"),
        pod("d", "Failed"),
        pod("e", "Succeeded", tracked=False),
        pod("f", deleting=True),
        pod("g"),
    )
    assert (view.succeeded, view.failed) == (4, 4)
    assert names(view.active) == ["g"]
    assert names(view.terminating) == ["f"]


def test_a_pod_that_is_ending_has_no_outcome_yet_where_one_is_waited_for() -> None:
    going = pod("a", deleting=True)
    assert seen(job(podReplacementPolicy="Failed"), going).failed == 0
    assert seen(job(podFailurePolicy={"rules": []}), going).failed == 0
    assert seen(job(), going).failed == 1


def test_indexes_that_are_done_or_given_up() -> None:
    view = seen(
        job({"completedIndexes": "0", "failedIndexes": ""}, **PER_INDEX),
        pod("a", "Succeeded", index=1),
        pod("b", "Failed", index=2, **{INDEX_FAILURES: "1"}),
        pod("c", "Failed", index=3, **{INDEX_FAILURES: "0"}),
        pod("d", "Succeeded", index=9),
        pod("e", "Succeeded"),
    )
    assert (str(view.completed), str(view.given_up), view.succeeded) == ("0,1", "2", 2)
    assert {index: one.metadata.name for index, one in view.replaceable.items()} == {3: "c"}


def test_annotations_are_not_trusted() -> None:
    broken = pod("a", "Failed", index=1, **{INDEX_FAILURES: "many", COMPLETION_INDEX: "-1"})
    assert str(seen(job(**PER_INDEX), broken).given_up) == ""


# -- failures


def rule(action: str, operator: str = "In", values: tuple[int, ...] = (42,), **more: Any) -> Any:
    return {"action": action, "onExitCodes": {"operator": operator, "values": values, **more}}


@pytest.mark.parametrize(
    ("rules", "code", "action"),
    [
        ([rule("FailJob")], 42, "FailJob"),
        ([rule("FailJob")], 1, ""),
        ([rule("Ignore", "NotIn")], 1, "Ignore"),
        ([rule("Ignore", "NotIn")], 0, ""),
        ([rule("Ignore"), rule("FailJob")], 42, "Ignore"),
        ([rule("FailJob", containerName="c")], 42, "FailJob"),
        ([rule("FailJob", containerName="other")], 42, ""),
        (
            [{"action": "Ignore", "onPodConditions": [{"type": "Ready", "status": "True"}]}],
            1,
            "Ignore",
        ),
        ([{"action": "Count", "onPodConditions": [{"type": "Ready", "status": "False"}]}], 1, ""),
    ],
)
def test_the_first_rule_that_matches_decides(rules: list[Any], code: int, action: str) -> None:
    policy = job(podFailurePolicy={"rules": rules}).spec.pod_failure_policy
    assert judge(policy, pod("a", "Failed", code=code)).action == action


def test_ignored_failures_are_not_counted() -> None:
    view = seen(job(podFailurePolicy={"rules": [rule("Ignore")]}), pod("a", "Failed", code=42))
    assert view.failed == 0
    assert names(counting.note(view, None).let_go) == ["a"]
    assert counting.is_settled(counting.note(view, None).status)


def test_delays_double_up_to_six_minutes() -> None:
    delays = [delay_after(number) for number in range(9)]
    assert delays == [0, 10, 20, 40, 80, 160, 320, 360, 360]


# -- verdict


def why(view: View) -> str:
    found = verdict(view, NOW)
    return found.reason if found is not None else ""


def test_the_backoff_limit() -> None:
    made = job({"failed": 1}, backoffLimit=1)
    assert why(seen(made)) == ""
    assert why(seen(made, pod("a", "Failed"))) == "BackoffLimitExceeded"


@pytest.mark.parametrize(
    ("limit", "restarts", "over"), [(0, 0, 0), (0, 1, 1), (2, 1, 0), (2, 2, 1)]
)
def test_restarts_in_place_count(limit: int, restarts: int, over: bool) -> None:
    running = pod("a", restarts=restarts)
    assert bool(why(seen(job(backoffLimit=limit, restart="OnFailure"), running))) == over
    assert why(seen(job(backoffLimit=limit), running)) == ""


def test_the_deadline_counts_from_the_start() -> None:
    status = {"startTime": "2026-01-01T00:59:50Z"}
    assert why(seen(job(status, activeDeadlineSeconds=11))) == ""
    assert why(seen(job(status, activeDeadlineSeconds=10))) == "DeadlineExceeded"
    assert why(seen(job(status, activeDeadlineSeconds=10, suspend=True))) == ""


def test_failed_indexes() -> None:
    lost = [pod(f"p{n}", "Failed", index=n, **{INDEX_FAILURES: "1"}) for n in (0, 1)]
    done = [pod(f"q{n}", "Succeeded", index=n) for n in (2, 3)]
    assert why(seen(job(**PER_INDEX), *lost)) == ""
    assert why(seen(job(**PER_INDEX), *lost, *done)) == "FailedIndexes"
    assert why(seen(job(**PER_INDEX, maxFailedIndexes=1), *lost)) == "MaxFailedIndexesExceeded"


def test_a_rule_gives_up_an_index_or_spares_it() -> None:
    made = job(
        **PER_INDEX, podFailurePolicy={"rules": [rule("FailIndex"), rule("Ignore", values=(3,))]}
    )
    first = seen(made, pod("a", "Failed", index=0, code=42), pod("b", "Failed", index=1, code=1))
    assert (str(first.given_up), first.failed) == ("0", 2)
    again = {INDEX_FAILURES: "1"}
    spared = seen(made, pod("a", "Failed", index=0, code=3, **again))
    assert (str(spared.given_up), spared.failed) == ("", 0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"succeededCount": 3}], ""),
        ([{"succeededCount": 2}], "Matched rules at index 0"),
        ([{"succeededIndexes": "0-1"}, {"succeededIndexes": "2,3"}], "Matched rules at index 1"),
        ([{"succeededIndexes": "1-2", "succeededCount": 1}], "Matched rules at index 0"),
        ([{"succeededIndexes": "0-1", "succeededCount": 1}], ""),
    ],
)
def test_success_policies(rules: list[Any], message: str) -> None:
    done = [pod(f"p{n}", "Succeeded", index=n) for n in (2, 3)]
    found = verdict(seen(job(**INDEXED, successPolicy={"rules": rules}), *done), NOW)
    assert (found.message if found is not None else "") == message


def test_what_is_announced_holds() -> None:
    announced = [{"type": "FailureTarget", "status": "True", "reason": "R", "message": "m"}]
    found = verdict(seen(job({"conditions": announced}, backoffLimit=0), pod("a", "Failed")), NOW)
    assert found == Ending("FailureTarget", "R", "m", announced=True)


def test_enough() -> None:
    three = [pod(name, "Succeeded") for name in "abc"]
    assert has_enough(seen(job(completions=3), *three), 0)
    assert not has_enough(seen(job(completions=3), *three), 1)
    assert not has_enough(seen(job(completions=4), *three), 0)
    assert has_enough(seen(job(parallelism=2), three[0]), 0)
    assert not has_enough(seen(job(parallelism=2)), 0)
    assert has_enough(seen(job(completions=0)), 0)


# -- plan


def test_as_many_as_are_still_needed_and_may_run() -> None:
    assert plan(seen(job(completions=5, parallelism=3)), NOW).create == (-1,) * 3
    assert plan(seen(job({"succeeded": 4}, completions=5, parallelism=3)), NOW).create == (-1,)
    assert plan(seen(job(completions=5, parallelism=3), pod("a")), NOW).create == (-1,) * 2
    assert plan(seen(job(completions=5, parallelism=0)), NOW).create == ()
    assert plan(seen(job({"succeeded": 1}, parallelism=3), pod("a")), NOW) == plan(
        seen(job(completions=1), pod("a")), NOW
    )


def test_too_many_are_dismissed_the_youngest_state_first() -> None:
    mine = [pod("ready"), pod("unready", ready=False), pod("pending", "Pending", ready=False)]
    assert names(plan(seen(job(completions=9, parallelism=1), *mine), NOW).dismiss) == [
        "pending",
        "unready",
    ]
    assert len(plan(seen(job(completions=9, parallelism=3, suspend=True), *mine), NOW).dismiss) == 3


def test_indexes_without_a_pod_come_next() -> None:
    made = job({"completedIndexes": "0"}, **{**INDEXED, "completions": 6})
    view = seen(made, pod("a", index=2), pod("b", "Succeeded", index=1))
    assert plan(view, NOW).create == (3, 4, 5)


def test_pods_with_a_wrong_index_or_one_that_is_taken_go() -> None:
    mine = [
        pod("a", index=0),
        pod("b", "Pending", index=0, ready=False),
        pod("c", index=7),
        pod("d"),
        pod("e", index=1),
    ]
    assert sorted(names(plan(seen(job(**INDEXED), *mine), NOW).dismiss)) == ["b", "c", "d"]


def test_a_pod_that_is_ending_keeps_its_place_where_its_outcome_is_waited_for() -> None:
    going = pod("a", index=0, deleting=True)
    made = {**INDEXED, "completions": 2, "parallelism": 2}
    assert plan(seen(job(**made, podReplacementPolicy="Failed"), going), NOW).create == (1,)
    assert plan(seen(job(**made), going), NOW).create == (0, 1)


def test_new_pods_wait_after_failures_in_a_row() -> None:
    made = job(completions=5, parallelism=2)
    one = pod("a", "Failed", tracked=False)
    assert plan(seen(made, one), NOW).wait == 5
    assert plan(seen(made, one), NOW + timedelta(seconds=5)).create == (-1, -1)
    two = pod("b", "Failed", tracked=False)
    assert plan(seen(made, one, two), NOW).wait == 15
    later = pod("c", "Succeeded", tracked=False, at="2026-01-01T00:59:58Z")
    assert plan(seen(made, one, two, later), NOW).create == (-1, -1)


def test_each_index_waits_for_itself() -> None:
    view = seen(job(**PER_INDEX), pod("a", "Failed", index=1, **{INDEX_FAILURES: "0"}))
    found = plan(view, NOW)
    assert (found.create, found.wait) == ((0, 2, 3), 5)
    assert plan(view, NOW + timedelta(seconds=5)).create == (0, 1, 2, 3)


def test_a_failed_pod_stays_until_its_successor_knows_of_it() -> None:
    failed = pod("a", "Failed", index=1, **{INDEX_FAILURES: "0"})
    made = job(**PER_INDEX)
    assert counting.note(seen(made, failed), None).let_go == ()
    successor = pod("b", index=1)
    assert names(counting.note(seen(made, failed, successor), None).let_go) == ["a"]


def test_what_a_new_pod_looks_like() -> None:
    made = pod_for(job(), -1, None)
    assert (made.metadata.generate_name, made.metadata.finalizers) == ("sums-", [TRACKING])
    assert not made.spec.hostname and not made.spec.containers[0].env
    failed = pod("a", "Failed", index=2, **{INDEX_FAILURES: "1", INDEX_IGNORED_FAILURES: "1"})
    indexed = pod_for(job(**PER_INDEX), 2, failed)
    assert indexed.metadata.generate_name == "sums-2-"
    assert indexed.spec.hostname == "sums-2"
    assert indexed.metadata.annotations == {
        COMPLETION_INDEX: "2",
        INDEX_FAILURES: "2",
        INDEX_IGNORED_FAILURES: "1",
    }
    assert [variable.name for variable in indexed.spec.containers[0].env] == [
        "JOB_COMPLETION_INDEX"
    ]
    long = job(**INDEXED)
    long.metadata.name = "x" * 63
    assert len(pod_for(long, 2, None).metadata.generate_name) == 58


def test_a_variable_of_the_users_own_stays() -> None:
    made = job(**INDEXED)
    made.spec.template.spec.containers[0].env = [EnvVar(name="JOB_COMPLETION_INDEX", value="x")]
    (variable,) = pod_for(made, 1, None).spec.containers[0].env
    assert variable.value == "x"


# -- counting


def test_the_three_steps() -> None:
    view = seen(job(completions=2), pod("a", "Succeeded"), pod("b", "Failed"))
    noted = counting.note(view, None)
    uncounted = noted.status.uncounted_terminated_pods
    assert uncounted is not None
    assert (uncounted.succeeded, uncounted.failed) == (["a"], ["b"])
    assert (noted.status.succeeded, noted.status.failed) == (0, 0)
    assert names(noted.let_go) == ["a", "b"]
    half = counting.settle(noted.status, {"b"})
    assert (half.succeeded, half.failed, counting.is_settled(half)) == (1, 0, False)
    whole = counting.settle(half, set())
    assert (whole.succeeded, whole.failed, counting.is_settled(whole)) == (1, 1, True)


def test_no_more_than_a_status_can_hold() -> None:
    many = [pod(f"p{n:04}", "Succeeded") for n in range(counting.MAX_UNCOUNTED + 1)]
    noted = counting.note(seen(job(completions=1000), *many), None)
    assert len(noted.let_go) == counting.MAX_UNCOUNTED and not noted.everything


def test_pods_that_are_cut_off_count_as_failed_unless_the_job_succeeded() -> None:
    view = seen(job(completions=2), pod("a"))
    failed = Ending("FailureTarget", "R", "m")
    for ending, expected in ((failed, ["a"]), (ENOUGH, [])):
        uncounted = counting.note(view, ending).status.uncounted_terminated_pods
        assert uncounted is not None and uncounted.failed == expected


def test_conditions_keep_the_time_of_their_change() -> None:
    status = counting.suspend(job().status, NOW)
    assert counting.suspend(status, NOW + timedelta(minutes=1)) is status
    resumed = counting.resume(status, NOW + timedelta(minutes=1))
    assert not conditions.is_true(resumed.conditions, "Suspended")
    assert resumed.start_time == "2026-01-01T01:01:00Z"
    assert counting.resume(job().status, NOW) == job().status


# -- whose, and for how long


def test_who_looks_after_it() -> None:
    assert is_ours(job()) and is_ours(job(managedBy="kubernetes.io/job-controller"))
    assert not is_ours(job(managedBy="acme.io/jobs"))


def test_how_long_a_finished_job_is_kept() -> None:
    ended = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T00:59:30Z"}
    made = job({"conditions": [ended]}, ttlSecondsAfterFinished=60)
    assert seconds_to_expiry(made, NOW) == 30
    assert seconds_to_expiry(job({"conditions": [ended]}), NOW) is None
    assert seconds_to_expiry(job(ttlSecondsAfterFinished=60), NOW) is None


def test_pods_that_wait_in_vain() -> None:
    waiting = pod("a")
    assert is_stray(waiting, None) and is_stray(waiting, job())
    assert not is_stray(pod("a", tracked=False), None)
    waiting.metadata.owner_references = [objects.controller_reference(job())]
    over = job({"conditions": [{"type": "Complete", "status": "True"}]})
    assert not is_stray(waiting, job())
    assert is_stray(waiting, over) and is_stray(waiting, None)
    over.spec.managed_by = "acme.io/jobs"
    assert not is_stray(waiting, over)
    over.metadata.uid = "another"
    assert is_stray(waiting, over)
