"""Which pods are nobody's, and which finished ones are too many."""

import pytest

from api.core import Taint
from control.controllers.nodes.podgc import Why, is_out_of_service, surplus, verdict
from tests.unit.controllers.making import pod
from tests.unit.scheduler.making import READY, node

SILENT = {**READY, "status": "Unknown"}
OFF = Taint(key="node.kubernetes.io/out-of-service", value="nodeshutdown", effect="NoExecute")


@pytest.mark.parametrize(
    ("where", "leaving", "there", "expected"),
    [
        ("n1", False, True, None),
        ("n1", True, True, None),
        ("n1", False, False, Why.ORPHANED),
        ("n1", True, False, Why.ORPHANED),
        ("", False, False, None),
        ("", True, False, Why.UNSCHEDULED),
    ],
)
def test_whose_pod_is_it(where: str, leaving: bool, there: bool, expected: Why | None) -> None:
    found = pod("p", node=where, deleting=leaving)
    assert verdict(found, node("n1") if there else None) is expected


@pytest.mark.parametrize(
    ("taints", "ready", "leaving", "expected"),
    [
        ([OFF], SILENT, True, Why.OUT_OF_SERVICE),
        ([OFF], SILENT, False, None),
        ([OFF], READY, True, None),
        ([], SILENT, True, None),
    ],
)
def test_out_of_service_takes_a_taint_a_silent_node_and_a_deletion(
    taints: list[Taint], ready: dict[str, str], leaving: bool, expected: Why | None
) -> None:
    one = node("n1", conditions=[ready])
    one.spec.taints = taints
    assert verdict(pod("p", node="n1", deleting=leaving), one) is expected
    assert is_out_of_service(one) == (bool(taints) and ready is SILENT)


def test_evicted_pods_go_before_older_ones() -> None:
    finished = [
        pod("new", phase="Succeeded", created="2026-01-01T00:00:30Z"),
        pod("old", phase="Succeeded", created="2026-01-01T00:00:00Z"),
        pod("evicted", phase="Failed", created="2026-01-01T00:00:40Z"),
    ]
    finished[2].status.reason = "Evicted"
    assert [one.metadata.name for one in surplus(finished, 3)] == []
    assert [one.metadata.name for one in surplus(finished, 1)] == ["evicted", "old"]
    assert [one.metadata.name for one in surplus(finished, 0)] == ["evicted", "old", "new"]
