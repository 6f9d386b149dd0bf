"""ReplicaSet: who counts, who goes first."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api.core import ReplicationControllerCondition, ReplicationControllerStatus
from api.selectors import from_labels
from base.clock import FakeClock
from control.controllers.claims import claim
from control.controllers.expectations import LAPSE_SECONDS, Expectations
from control.controllers.workloads import podowner, replicaset
from control.controllers.workloads.replicaset import DELETION_COST, deletion_order, plan
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
    assert plan(3, pods).create == 2


@given(wanted=st.integers(0, 20), have=st.integers(0, 20))
def test_the_plan_makes_up_the_difference(wanted: int, have: int) -> None:
    made = plan(wanted, [pod(f"p{number}") for number in range(have)])
    assert made.create == max(0, wanted - have)
    assert len(made.delete) == max(0, have - wanted)


def test_deletion_order_is_the_documented_one() -> None:
    pods = [
        pod("older", created="2026-01-01T00:00:00Z"),
        pod("newer", created="2026-01-01T00:00:30Z"),
        pod("cheap", annotations={DELETION_COST: "-5"}),
        pod("unready", ready=False),
        pod("pending", phase="Pending", ready=False),
        pod("unscheduled", node="", phase="Pending", ready=False),
        pod("alone", node="n2", created="2026-01-01T00:00:30Z"),
    ]
    assert names(deletion_order(pods)) == [
        "unscheduled",
        "pending",
        "unready",
        "cheap",
        "newer",
        "older",
        "alone",
    ]


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
