"""What keeps a pod from without: its node, its claims, its owner; and what is told of one that is gone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.core import Event, PersistentVolumeClaim
from control.why.around import of_claims, of_node, of_owner
from control.why.events import told_of_missing
from tests.unit.scheduler.making import node, pod


def event(reason: str, message: str, *, uid: str = "", at: int = 0, **more: Any) -> Event:
    body = {
        "metadata": {"name": "e"},
        "involvedObject": {"uid": uid},
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-01-01T12:00:{at:02}Z",
        "reportingComponent": "",
        "reportingInstance": "",
        **more,
    }
    return msgspec.convert(body, type=Event)


def silent(status: str) -> Any:
    ready = {"type": "Ready", "status": status, "reason": "R", "message": "m"}
    return node("n1", conditions=[ready])


def test_a_node_that_is_well_is_not_named() -> None:
    assert not list(of_node(pod("p", nodeName="n1"), node("n1")))


def test_a_node_that_is_gone_or_not_ready() -> None:
    made = pod("p", nodeName="n1")
    (gone,) = of_node(made, None)
    assert gone.message == "its node n1 is gone; the pod garbage collector deletes the pod"
    (bad,) = of_node(made, silent("False"))
    assert bad.message == "its node n1 is not ready: R: m"
    made.metadata.deletion_timestamp = "2026-01-01T12:00:00Z"
    assert [one.message for one in of_node(made, silent("False"))] == [bad.message]
    (lost,) = of_node(made, silent("Unknown"))
    assert "nobody can say that the pod's containers have ended" in lost.message
    assert "out-of-service" in lost.message and "--force" in lost.message


def claim(name: str, phase: str, **metadata: Any) -> PersistentVolumeClaim:
    meta = {"name": name, "namespace": "default", "uid": name, **metadata}
    return msgspec.convert(
        {"metadata": meta, "status": {"phase": phase}}, type=PersistentVolumeClaim
    )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([], ["its claim data does not exist"]),
        ([claim("data", "Bound"), claim("other", "Pending")], []),
        (
            [claim("data", "Pending")],
            ["its claim data is Pending: ProvisioningFailed: disk full (3 times)"],
        ),
        (
            [claim("data", "Lost")],
            ["its claim data is Lost: ProvisioningFailed: disk full (3 times)"],
        ),
        (
            [claim("data", "Bound", deletionTimestamp="2026-01-01T12:00:00Z")],
            [
                "its claim data is being deleted, and goes when no pod uses it: "
                "ProvisioningFailed: disk full (3 times)"
            ],
        ),
    ],
)
def test_claims(claims: list[PersistentVolumeClaim], expected: list[str]) -> None:
    made = pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    events = [
        event("WaitForFirstConsumer", "later", uid="data", at=1),
        event("ProvisioningFailed", "disk full", uid="data", at=2, count=3),
        event("FailedBinding", "nothing", uid="other", at=3),
    ]
    assert [one.message for one in of_claims(made, claims, events)] == expected


def test_an_owner_that_was_refused_others() -> None:
    events = [
        event("SuccessfulCreate", "m"),
        event("FailedCreate", "exceeded quota", at=5, count=2),
    ]
    (found,) = of_owner(pod("p", owner="web"), events)
    assert found.message == (
        "its ReplicaSet web could not make others: FailedCreate: exceeded quota (2 times)"
    )
    assert not list(of_owner(pod("p", owner="web"), events[:1]))
    assert not list(of_owner(pod("p"), events))


def test_a_pod_that_is_not_there_any_more_or_was_never_made() -> None:
    own = [
        event("Started", "m", type="Normal", at=1),
        event("Killing", "Stopping container c", type="Normal", at=2),
        event("Unhealthy", "no answer", type="Warning", at=3),
    ]
    others = [
        event("FailedCreate", 'create Pod db-1 in StatefulSet db failed: pods "db-1" is forbidden'),
        event("FailedCreate", 'Error creating: pods "db-10" is forbidden', at=9),
    ]
    found = [one.message for one in told_of_missing("db-1", own, others)]
    assert found[:2] == ["Unhealthy: no answer", "Killing: Stopping container c"]
    assert len(found) == 3 and found[2].startswith("FailedCreate: create Pod db-1 in")
    assert not told_of_missing("db-2", [], others)
