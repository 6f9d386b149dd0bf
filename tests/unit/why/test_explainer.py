"""Nobody learns by asking why what he may not read otherwise."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from api import errors
from api.core import Event, Node, Pod
from api.scheme import resource_of
from api.why import Death, Explanation
from base.clock import FakeClock
from control.apiserver.http.reports import ReportHandler
from control.auth.authorization import NO_OPINION, Access, Decision
from control.auth.user import User
from control.why.explainer import Explainer
from tests.unit.scheduler.making import node, pod
from tests.unit.why.test_around import event

LOGS = ("get", "pods", "log")


class FakeClient:
    """One pod on a node that is silent, and what was told of it."""

    def __init__(self, *pods: Pod) -> None:
        self.pods = {one.metadata.name: one for one in pods}

    async def get(self, type_: type, name: str, namespace: str = "") -> Any:
        if type_ is Node:
            return node(name, conditions=[])
        if name not in self.pods:
            raise errors.not_found(resource_of(Pod), name)
        return self.pods[name]

    async def list(self, type_: type, *_: Any, **__: Any) -> Any:
        found = [event("Unhealthy", "no answer", type="Warning")] if type_ is Event else []
        return SimpleNamespace(items=found)


class Rights:
    """Allows what is named, and remembers what it was asked."""

    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed = allowed
        self.asked: list[Access] = []

    async def authorize(self, access: Access) -> Decision:
        self.asked.append(access)
        named = (access.verb, access.resource, access.subresource)
        return Decision(True) if named in self.allowed else NO_OPINION


async def asked(name: str, rights: Rights, **records: Any) -> dict[str, Any]:
    death = Death(container="c", container_id="x", cause="it ended", last_lines=["password: 1"])

    async def deaths(_: Pod) -> list[Death]:
        return [death]

    known: Any = SimpleNamespace(**{"last_decision": lambda _: None, **records})
    client: Any = FakeClient(pod("p", nodeName="n1"), pod("gated", schedulingGates=[{"name": "g"}]))
    explainer = Explainer(client, known, ["default-scheduler"], deaths, FakeClock())
    handler = ReportHandler(rights)
    handler.attach(Explanation, explainer.explain)
    resource = SimpleNamespace(type=Explanation, plural="pods")
    request: Any = SimpleNamespace(
        target=SimpleNamespace(resource=resource, namespace="default", name=name),
        form=lambda: SimpleNamespace(media_type="application/json"),
        user=User(name="jane"),
    )
    response: Any = await handler(request)
    found: dict[str, Any] = json.loads(response.body)
    return found


def topics(answer: dict[str, Any]) -> set[str]:
    return {one["topic"] for one in answer["findings"]}


async def test_log_lines_are_for_those_who_may_read_logs() -> None:
    rights = Rights(LOGS)
    (death,) = (await asked("p", rights))["deaths"]
    assert death["lastLines"] == ["password: 1"]
    (access,) = [one for one in rights.asked if one.subresource == "log"]
    assert (access.user.name, access.namespace, access.name) == ("jane", "default", "p")

    (death,) = (await asked("p", Rights()))["deaths"]
    assert "lastLines" not in death and death["cause"] == "it ended"


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ((), {"Scheduling"}),
        ((("list", "events", ""),), {"Scheduling", "Event"}),
        ((("get", "nodes", ""),), {"Scheduling", "Node"}),
    ],
)
async def test_events_and_nodes_are_for_those_who_may_read_them(
    allowed: tuple[tuple[str, str, str], ...], expected: set[str]
) -> None:
    rights = Rights(*allowed)
    assert topics(await asked("p", rights)) == expected
    assert {one.namespace for one in rights.asked if one.resource == "nodes"} == {""}


async def test_a_pod_that_is_gone_is_told_of_by_its_events() -> None:
    answer = await asked("gone", Rights(("list", "events", "")))
    assert answer["summary"] == "pod default/gone does not exist: Unhealthy: no answer"
    with pytest.raises(errors.ApiError, match='pods "gone" not found'):
        await asked("gone", Rights())


async def test_other_namespaces_pods_are_named_for_those_who_may_list_them_everywhere() -> None:
    def remedies(_: Pod, *, strangers: bool) -> list[str]:
        return ["theirs/secret" if strangers else "another"]

    rights = Rights(("list", "pods", ""))
    assert (await asked("gated", rights, remedies=remedies))["remedies"] == ["theirs/secret"]
    assert {
        one.namespace for one in rights.asked if one.resource == "pods" and not one.subresource
    } == {""}
    assert (await asked("gated", Rights(), remedies=remedies))["remedies"] == ["another"]
