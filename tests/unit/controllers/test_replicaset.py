"""ReplicaSet: who counts, who goes first."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import timestamps
from api.core import (
    Container,
    ContainerStatus,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from api.selectors import from_labels
from base.clock import FakeClock
from control.controllers.claims import claim
from control.controllers.expectations import LAPSE_SECONDS, Expectations
from control.controllers.workloads import podowner, replicaset
from control.controllers.workloads.ranking import DELETION_COST, deletion_order, magnitude
from control.controllers.workloads.replicaset import plan
from tests.unit.controllers.making import pod, replica_set, replication_controller

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def names(pods: object) -> list[str]:
    return [each.metadata.name for each in pods]  # type: ignore[attr-defined]


def test_claiming() -> None:
    pods = [
        pod("mine", owner="me"),
        pod("strayed", owner="me", labels={"app": "other"}),
        pod("orphan"),
        pod("foreign", owner="somebody"),
        pod("orphan-going", deleting=True),
        pod("orphan-done", phase="Succeeded"),
        pod("stranger", labels={"app": "other"}),
    ]
    claimed = claim("me", from_labels({"app": "web"}), pods, lives=True)
    assert names(claimed.mine) == ["mine"]
    assert names(claimed.adopt) == ["orphan"]
    assert names(claimed.release) == ["strayed"]


def test_a_replica_set_being_deleted_takes_nobody_and_lets_nobody_go() -> None:
    pods = [pod("orphan"), pod("mine", owner="me"), pod("strayed", owner="me", labels={})]
    claimed = claim("me", from_labels({"app": "web"}), pods, lives=False)
    assert (names(claimed.mine), claimed.adopt, claimed.release) == (["mine"], (), ())


def test_finished_and_leaving_pods_do_not_count() -> None:
    pods = [pod("a"), pod("b", phase="Failed"), pod("c", deleting=True)]
    assert plan(3, pods, NOW).create == 2


@given(wanted=st.integers(0, 20), have=st.integers(0, 20))
def test_the_plan_makes_up_the_difference(wanted: int, have: int) -> None:
    made = plan(wanted, [pod(f"p{number}") for number in range(have)], NOW)
    assert made.create == max(0, wanted - have)
    assert len(made.delete) == max(0, have - wanted)


def ago(seconds: float) -> str:
    return timestamps.format(NOW - timedelta(seconds=seconds))


def test_deletion_order_is_the_documented_one() -> None:
    pods = [
        pod("older", created=ago(3600), since=ago(60)),
        pod("newer", created=ago(60), since=ago(60)),
        pod("ready-shortly", created=ago(3600), since=ago(5)),
        pod("cheap", annotations={DELETION_COST: "-5"}),
        pod("dear", annotations={DELETION_COST: "1000"}),
        pod("unready", ready=False),
        pod("pending", phase="Pending", ready=False),
        pod("unknown", phase="Unknown", ready=False),
        pod("unscheduled", node="", phase="Pending", ready=False),
        pod("alone", node="n2", created=ago(30), since=ago(1)),
    ]
    expected = [
        "unscheduled",
        "pending",
        "unknown",
        "unready",
        "cheap",
        "ready-shortly",
        "newer",
        "older",
        "alone",
        "dear",
    ]
    assert names(deletion_order(pods, NOW)) == expected
    assert names(deletion_order(pods[::-1], NOW)) == expected, "whatever order they come in"


def test_who_restarts_more_goes_first_and_a_container_says_more_than_a_sidecar() -> None:
    steady, restless, beside = pod("a"), pod("b"), pod("c")
    restless.status.container_statuses = [_restarted("c", 3)]
    beside.spec.init_containers = [Container(name="log", image="i", restart_policy="Always")]
    beside.status.init_container_statuses = [_restarted("log", 9), _restarted("once", 50)]
    assert names(deletion_order([steady, beside, restless], NOW)) == ["b", "c", "a"]


def _restarted(name: str, times: int) -> ContainerStatus:
    return ContainerStatus(name=name, image="i", image_id="i", ready=True, restart_count=times)


def test_ages_of_one_magnitude_are_the_same_and_chance_decides() -> None:
    """Else a cluster that breathes would always lose its latest pods."""
    assert magnitude(ago(70), NOW) == magnitude(ago(120), NOW) > magnitude(ago(60), NOW)
    assert magnitude(None, NOW) == magnitude(ago(-5), NOW) == magnitude(ago(0), NOW) == -1
    pods = [pod(name, created=ago(age), since=ago(age)) for name, age in (("b", 70), ("a", 120))]
    assert names(deletion_order(pods, NOW)) == ["a", "b"]


def test_pods_of_other_revisions_make_a_node_full() -> None:
    mine = [pod("a", node="n1"), pod("b", node="n2"), pod("c", node="n2")]
    theirs = [pod("d", node="n1"), pod("e", node="n1"), pod("f", node="n2", phase="Failed")]
    assert names(plan(2, mine, NOW).delete) == ["b"]
    assert names(plan(2, mine, NOW, related=lambda: [*mine, *theirs]).delete) == ["a"]


@pytest.mark.parametrize(("text", "first"), [("-1", "b"), ("1", "a"), ("x", "a"), ("", "a")])
def test_a_deletion_cost_that_is_no_number_is_none(text: str, first: str) -> None:
    pods = [pod("a"), pod("b", annotations={DELETION_COST: text})]
    assert names(plan(1, pods, NOW).delete) == [first]


def test_no_more_than_a_burst_at_once() -> None:
    assert plan(2000, [], NOW).create == 500
    assert len(plan(0, [pod(f"p{n}") for n in range(600)], NOW).delete) == 500


def test_a_failure_says_whether_making_or_deleting_failed() -> None:
    for size, reason in ((3, "FailedCreate"), (0, "FailedDelete")):
        status = replicaset.status_of(replica_set("rs", size=size), [pod("a")], "no", NOW)
        (condition,) = status.conditions
        assert (condition.type, condition.status, condition.reason, condition.message) == (
            "ReplicaFailure",
            "True",
            reason,
            "no",
        )


def test_the_same_failure_of_another_pod_is_no_news() -> None:
    """A status that changed at each try would be a reason for the next try."""
    rs = replica_set("rs", size=3)
    rs.status = replicaset.status_of(rs, [], 'pods "rs-abcde" is forbidden: exceeded quota', NOW)
    later = NOW + timedelta(minutes=1)
    again = replicaset.status_of(rs, [], 'pods "rs-vwxyz" is forbidden: exceeded quota', later)
    assert again == rs.status
    assert replicaset.status_of(rs, [], "", later).conditions == []


def test_status_counts() -> None:
    rs = replica_set("rs", size=3, minReadySeconds=30)
    pods = [
        pod("long", since="2026-01-01T00:00:00Z"),
        pod("short", since="2026-01-01T00:00:45Z"),
        pod("unready", ready=False),
        pod("leaving", deleting=True),
    ]
    status = replicaset.status_of(rs, pods, "", NOW)
    assert (status.replicas, status.ready_replicas, status.available_replicas) == (3, 2, 1)
    failed = replicaset.status_of(rs, pods, "quota exceeded", NOW)
    assert failed.conditions[0].message == "quota exceeded"
    rs.status = failed
    assert replicaset.status_of(rs, pods, "", NOW).conditions == []


def test_a_replication_controller_counts_the_same() -> None:
    rc = replication_controller(replicas=3)
    assert podowner.selector_of(rc).matches({"app": "web", "more": "labels"})
    failed = replicaset.status_of(rc, [pod("a"), pod("b", labels={"x": "y"})], "no room", NOW)
    assert isinstance(failed, ReplicationControllerStatus)
    assert (failed.replicas, failed.fully_labeled_replicas) == (2, 1)
    assert isinstance(failed.conditions[0], ReplicationControllerCondition)
    made = replicaset.pod_from_template(rc)
    assert (made.metadata.generate_name, made.metadata.labels) == ("web-", {"app": "web"})


def test_expectations_are_met_by_sight() -> None:
    expected: Expectations[str] = Expectations(FakeClock())
    assert expected.met("rs")
    expected.created("rs", "a")
    expected.deleted("rs", "b")
    assert not expected.met("rs")
    expected.seen("rs", "a", leaving=False)
    expected.seen("rs", "b", leaving=False)
    assert not expected.met("rs")
    expected.seen("rs", "b", leaving=True)
    assert expected.met("rs")


async def test_expectations_lapse() -> None:
    clock = FakeClock()
    expected: Expectations[str] = Expectations(clock)
    expected.created("rs", "a")
    await clock.run_for(LAPSE_SECONDS + 1)
    assert expected.met("rs")
