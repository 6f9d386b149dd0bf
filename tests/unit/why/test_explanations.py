"""Answers to "why?": the record and the status of a pod in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from api.core import Event, Pod, PodStatus
from api.meta import ManagedFieldsEntry, ObjectMeta
from api.why import Explanation
from control.scheduler.decide import decide
from control.scheduler.journal import Entry, Journal
from control.scheduler.preemption import Choice
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from control.why import placing, running
from control.why.events import told
from control.why.explainer import summary
from tests.unit.scheduler.making import node, pod

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def with_status(made: Pod, **status: Any) -> Pod:
    made.status = msgspec.convert(status, type=PodStatus)
    return made


def entry(made: Pod, *nodes: Any) -> Entry:
    snapshot, journal = Snapshot(), Journal()
    for each in nodes:
        snapshot.set_node(each)
    for _ in range(2):
        decision = decide(request_of(made), snapshot, lambda rows: rows[0])
        journal.record("uid", decision, NOW - timedelta(seconds=12))
    found = journal.last("uid")
    assert found is not None
    return found


def explained(
    made: Pod, record: Entry | None, *remedies: str, strangers: bool = True
) -> Explanation:
    answer, ours = Explanation(), ["default-scheduler"]
    placing.explain(answer, made, record, remedies, ours, NOW, strangers=strangers)
    return answer


def test_a_pending_pod_shows_every_node_with_its_numbers() -> None:
    wanted = pod("p", cpu="2")
    record = entry(wanted, node("n1", cpu="700m"), node("n2", unschedulable=True))

    answer = explained(wanted, record, "if only")

    assert [one.message for one in answer.findings] == [
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable."
        " (tried 2 times, last 12 s ago)"
    ]
    cordoned, small = sorted(answer.nodes, key=lambda one: one.filter != "NodeUnschedulable")
    assert (cordoned.node, cordoned.reasons) == ("n2", ["node(s) were unschedulable"])
    assert (small.node, small.filter) == ("n1", "NodeResourcesFit")
    assert [(one.resource, one.needed, one.free) for one in small.lacking] == [("cpu", "2", "700m")]
    assert answer.remedies == ["if only"]
    assert (answer.attempts, answer.decided_at) == (2, "2026-01-01T12:00:18Z")


def test_a_pod_that_others_make_room_for_says_where_and_who() -> None:
    record = entry(pod("p", cpu="2"), node("n1", cpu="1"))
    room = Choice("n1", (request_of(pod("a")), request_of(pod("b"))), violations=0)

    answer = explained(pod("p", cpu="2"), replace(record, room=room))

    assert answer.findings[0].message.endswith(
        "; n1 is being vacated for it, by less important pods: default/a, default/b"
    )


def test_who_makes_room_is_not_named_of_other_namespaces_to_who_may_not_list_them() -> None:
    record = entry(pod("p", cpu="2"), node("n1", cpu="1"))
    victims = (pod("a"), pod("b", namespace="theirs"), pod("c", namespace="theirs"))
    room = Choice("n1", tuple(map(request_of, victims)), violations=0)
    waiting = replace(record, room=room)

    answer = explained(pod("p", cpu="2"), waiting, strangers=False)
    assert answer.findings[0].message.endswith(
        "; n1 is being vacated for it, by less important pods: default/a, 2 of other namespaces"
    )
    answer = explained(pod("p", cpu="2"), waiting)
    assert answer.findings[0].message.endswith(": default/a, theirs/b, theirs/c")


def test_a_placed_pod_shows_scores() -> None:
    placed = pod("p", cpu="1", nodeName="n1")
    record = entry(pod("p", cpu="1"), node("n1"), node("n2", cpu="2"), node("n3", cpu="500m"))

    answer = explained(placed, record)

    assert answer.findings[0].message.startswith("it is on n1, which scored highest with ")
    assert answer.findings[0].message.endswith("of 2 node(s) that could run it; 1 could not")
    first = answer.nodes[0]
    assert first.node == "n1"
    assert first.score is not None
    assert abs(sum(first.scores.values()) - first.score) <= len(first.scores)
    assert answer.remedies == []


def test_chance_among_equals_is_admitted() -> None:
    record = entry(pod("p"), node("n1"), node("n2"))
    answer = explained(pod("p", nodeName="n1"), record)
    assert "(as had 1 more, and chance chose)" in answer.findings[0].message


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod("p"), "the scheduler has not tried it yet"),
        (
            pod("p", schedulingGates=[{"name": "example.com/quota"}]),
            "it is not scheduled before these scheduling gates are removed: example.com/quota",
        ),
        (
            pod("p", schedulerName="mine"),
            'it waits for the scheduler "mine", which is not this one',
        ),
        (pod("p", nodeName="n9"), f"it is on n9; {placing.FORGOTTEN}"),
    ],
)
def test_without_a_decision(made: Pod, expected: str) -> None:
    assert explained(made, None).findings[0].message == expected


def test_whoever_named_the_node_is_told() -> None:
    made = pod("p", nodeName="n9")
    made.metadata.managed_fields = [
        ManagedFieldsEntry(manager="agent", subresource="status", fields_v1={"f:status": {}}),
        ManagedFieldsEntry(manager="kubectl", fields_v1={"f:spec": {"f:nodeName": {}}}),
    ]
    words = "it is on n9, as its spec.nodeName said when kubectl made it; no scheduler chose"
    assert explained(made, None).findings[0].message == words


RESTARTED = {
    "name": "web",
    "ready": False,
    "restartCount": 3,
    "image": "web",
    "imageID": "",
    "state": {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed"}
    },
    "lastState": {
        "terminated": {
            "exitCode": 137,
            "reason": "OOMKilled",
            "message": "cache full\n",
            "finishedAt": "2026-01-01T12:00:00Z",
        }
    },
}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            with_status(pod("p", nodeName="n1"), phase="Running", containerStatuses=[RESTARTED]),
            [
                (
                    "Start",
                    "container web waits with CrashLoopBackOff: back-off 40s restarting failed",
                ),
                (
                    "Restart",
                    "container web was restarted 3 times; before, it ended with exit code 137,"
                    " SIGKILL (OOMKilled): cache full",
                ),
            ],
        ),
        (
            with_status(
                pod("p", nodeName="n1"),
                phase="Failed",
                reason="Evicted",
                message="The node was low on resource: memory.",
            ),
            [("End", "its phase is Failed: Evicted: The node was low on resource: memory.")],
        ),
        (
            with_status(
                pod("p", nodeName="n1", readinessGates=[{"conditionType": "example.com/lb"}]),
                phase="Running",
                conditions=[
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "ReadinessGatesNotReady",
                        "message": "the status of pod readiness gate is not True",
                    }
                ],
            ),
            [
                (
                    "Readiness",
                    "it is not ready: ReadinessGatesNotReady: the status of pod readiness gate is not True",
                ),
                (
                    "Readiness",
                    "its readiness gate example.com/lb is not True; whoever it belongs to has to set that"
                    " condition",
                ),
            ],
        ),
    ],
)
def test_a_pod_on_a_node(made: Pod, expected: list[tuple[str, str]]) -> None:
    assert [(one.topic, one.message) for one in running.findings(made)] == expected


def test_a_pod_that_goes_and_what_keeps_it() -> None:
    made = pod("p", nodeName="n1")
    made.metadata.deletion_timestamp = "2026-01-01T12:00:00Z"
    made.metadata.deletion_grace_period_seconds = 30
    (found,) = running.findings(made)
    assert found.message == (
        "it is being deleted, and has 30 s to end; it goes when the agent on n1 has seen its"
        " containers end"
    )
    made.metadata.finalizers = ["example.com/backup"]
    (found,) = running.findings(made)
    assert found.message.endswith("it stays until these finalizers are removed: example.com/backup")
    assert summary(made, [found]).startswith("pod default/p is Terminating: it is being deleted")


def test_warnings_the_last_first_and_none_that_the_scheduler_tells_better() -> None:
    events = [
        Event(
            metadata=ObjectMeta(name=str(number)),
            type=type_,
            reason=reason,
            message="m",
            count=number,
            last_timestamp=f"2026-01-01T12:00:0{number}Z",
            reporting_component="",
            reporting_instance="",
        )
        for number, (type_, reason) in enumerate(
            [
                ("Warning", "BackOff"),
                ("Normal", "Pulled"),
                ("Warning", "FailedScheduling"),
                ("Warning", "Unhealthy"),
            ]
        )
    ]
    assert [one.message for one in told(events)] == ["Unhealthy: m (3 times)", "BackOff: m"]
