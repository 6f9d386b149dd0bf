"""Rules about pods and nodes, and conditions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from api import conditions, nodes, pods, resources
from api.core import Node, Pod
from api.core.pod import PodCondition
from api.core.scheduling import NodeSelector, NodeSelectorTerm, Taint, Toleration
from api.pods import HostPort, QosClass


def pod(**spec: Any) -> Pod:
    spec.setdefault("containers", [])
    return msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, Pod)


def container(
    requests: dict[str, str] | None = None, limits: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def cpu(amount: str, **more: Any) -> dict[str, Any]:
    return container({"cpu": amount}, **more)


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [cpu("100m"), cpu("0.2")]}, 300),
        ({"containers": [cpu("100m")], "initContainers": [cpu("2"), cpu("1")]}, 2000),
        ({"containers": [cpu("2")], "initContainers": [cpu("1")]}, 2000),
        # a sidecar adds to the app containers, and to the init containers after it
        ({"containers": [cpu("1")], "initContainers": [cpu("500m", **SIDECAR), cpu("1")]}, 1500),
        ({"containers": [cpu("1")], "initContainers": [cpu("500m", **SIDECAR), cpu("2")]}, 2500),
        ({"containers": [cpu("1")], "initContainers": [cpu("2"), cpu("500m", **SIDECAR)]}, 2000),
        ({"containers": [cpu("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [cpu("1")], "resources": {"requests": {"cpu": "3"}}}, 3000),
    ],
)
def test_requests(spec: dict[str, Any], expected: int) -> None:
    assert pods.pod_requests(pod(**spec)) == {"cpu": expected}


def test_requests_of_several_resources() -> None:
    made = pod(
        containers=[container({"cpu": "1", "memory": "1Gi"}), container({"x.io/gpu": "2"})],
        initContainers=[container({"memory": "2Gi"})],
        overhead={"memory": "1Mi"},
    )
    assert pods.pod_requests(made) == {
        "cpu": 1000,
        "memory": 2 * 2**30 + 2**20,
        "x.io/gpu": 2,
    }


RESIZING = [
    # (asked, set aside, in force, the node's answer, held)
    ("1", "2", "2", "", 2000),
    ("2", "1", "1", "", 2000),
    ("1", "1", "2", "", 2000),
    ("8", "1", "1", "Infeasible", 1000),
    ("8", "1", "1", "Deferred", 8000),
    ("1", "", "", "", 1000),
]


@pytest.mark.parametrize(("asked", "aside", "force", "answer", "held"), RESIZING)
def test_a_pod_that_is_resized_holds_the_larger(
    asked: str, aside: str, force: str, answer: str, held: int
) -> None:
    status: dict[str, Any] = {"name": "c", "image": "i", "imageID": "", "ready": True}
    status |= {"restartCount": 0, "state": {}}
    if aside:
        status["allocatedResources"] = {"cpu": aside}
        status["resources"] = {"requests": {"cpu": force}}
    waiting = [{"type": "PodResizePending", "status": "True", "reason": answer}] if answer else []
    body = {
        "metadata": {"name": "p"},
        "spec": {"containers": [cpu(asked)], "overhead": {"cpu": "10m"}},
        "status": {"containerStatuses": [status], "conditions": waiting},
    }
    made = msgspec.convert(body, Pod)
    assert pods.held_requests(made) == {"cpu": held + 10}


def test_limits() -> None:
    made = pod(
        containers=[container(limits={"cpu": "1"}), container()],
        overhead={"cpu": "1", "memory": "1"},
    )
    assert pods.pod_limits(made) == {"cpu": 2000}


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [container()]}, QosClass.BEST_EFFORT),
        ({"containers": [container({"cpu": "0"})]}, QosClass.BEST_EFFORT),
        ({"containers": [container({"x.io/gpu": "1"})]}, QosClass.BEST_EFFORT),
        ({"containers": [container(BOTH, BOTH)]}, QosClass.GUARANTEED),
        ({"containers": [container(BOTH, {"cpu": "1000m", "memory": "1024Mi"})]}, QosClass.GUARANTEED),
        ({"containers": [container(BOTH, BOTH), container()]}, QosClass.BURSTABLE),
        ({"containers": [container(BOTH, BOTH)], "initContainers": [cpu("1")]}, QosClass.BURSTABLE),
        ({"containers": [container({}, BOTH)]}, QosClass.BURSTABLE),
        ({"containers": [container({"cpu": "1"}, BOTH)]}, QosClass.BURSTABLE),
        ({"containers": [container(limits={"cpu": "1"})]}, QosClass.BURSTABLE),
        ({"containers": [container()], "resources": {"requests": BOTH, "limits": BOTH}}, QosClass.GUARANTEED),
    ],
)  # fmt: skip
def test_qos(spec: dict[str, Any], expected: QosClass) -> None:
    assert pods.qos_class(pod(**spec)) is expected


def test_state() -> None:
    made = pod()
    assert pods.is_active(made) and not pods.is_ready(made) and not pods.is_scheduled(made)
    made.status.phase = "Failed"
    assert pods.is_terminal(made) and not pods.is_active(made)
    made.status.phase = "Running"
    made.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    assert pods.is_terminating(made) and not pods.is_active(made)


def test_available() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = pod()
    assert not pods.is_available(made, min_ready_seconds=0, now=now)
    made.status.conditions = [
        PodCondition(type="Ready", status="True", last_transition_time="2026-01-01T00:00:00Z")
    ]
    assert pods.is_ready(made)
    assert pods.is_available(made, min_ready_seconds=0, now=now)
    assert not pods.is_available(made, min_ready_seconds=10, now=now + timedelta(seconds=9))
    assert pods.is_available(made, min_ready_seconds=10, now=now + timedelta(seconds=10))


def test_ports() -> None:
    ports = [
        {"containerPort": 80, "hostPort": 8080, "name": "web"},
        {
            "containerPort": 53,
            "hostPort": 53,
            "protocol": "UDP",
            "hostIP": "10.0.0.1",
            "name": "dns",
        },
        {"containerPort": 99},
    ]
    sidecar = {
        "name": "s",
        "restartPolicy": "Always",
        "ports": [{"containerPort": 7, "hostPort": 7}],
    }
    made = pod(containers=[{"name": "c", "ports": ports}], initContainers=[sidecar])
    assert pods.host_ports(made) == [
        HostPort("", "TCP", 7),
        HostPort("", "TCP", 8080),
        HostPort("10.0.0.1", "UDP", 53),
    ]
    assert pods.find_port(made, "web", "TCP") == 80
    assert pods.find_port(made, "web", "UDP") is None
    assert pods.find_port(made, 1234, "TCP") == 1234
    assert HostPort("", "TCP", 1).conflicts(HostPort("10.0.0.1", "TCP", 1))
    assert not HostPort("10.0.0.2", "TCP", 1).conflicts(HostPort("10.0.0.1", "TCP", 1))
    assert not HostPort("", "UDP", 1).conflicts(HostPort("", "TCP", 1))


TAINT = Taint(key="k", value="v", effect="NoExecute")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (Toleration(key="k", value="v"), True),
        (Toleration(key="k", value="w"), False),
        (Toleration(key="k", operator="Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration(operator="Exists", effect="NoSchedule"), False),
        (Toleration(key="k", operator="Equal", value="v", effect="NoExecute"), True),
        (Toleration(key="x", operator="Exists"), False),
    ],
)
def test_tolerations(toleration: Toleration, expected: bool) -> None:
    assert pods.tolerates([toleration], TAINT) is expected


def test_how_long_a_pod_may_stay() -> None:
    seconds = pods.no_execute_seconds
    forever = Toleration(operator="Exists")
    some = Toleration(key="k", operator="Exists", toleration_seconds=300)
    less = Toleration(operator="Exists", toleration_seconds=-5)
    assert seconds([], []) is None
    assert seconds([Taint(key="a", effect="NoSchedule")], []) is None
    assert seconds([TAINT], []) == 0
    assert seconds([TAINT], [forever]) is None
    assert seconds([TAINT], [forever, some]) == 300
    assert seconds([TAINT], [some, less]) == 0
    assert pods.untolerated([TAINT], [some], "NoExecute") is None
    assert pods.untolerated([TAINT], [], "NoSchedule") is None
    assert pods.untolerated([TAINT], [], "NoExecute") is TAINT


_INFO_FIELDS = (
    "machineID systemUUID bootID kernelVersion osImage containerRuntimeVersion "
    "kubeletVersion kubeProxyVersion operatingSystem architecture"
)
INFO = dict.fromkeys(_INFO_FIELDS.split(), "")
NODE = msgspec.convert(
    {
        "metadata": {"name": "n1", "labels": {"zone": "a", "size": "5", "odd": "x"}},
        "status": {
            "nodeInfo": INFO,
            "allocatable": {"cpu": "2", "memory": "1Gi", "pods": "110"},
            "addresses": [
                {"type": "Hostname", "address": "n1"},
                {"type": "InternalIP", "address": "10.0.0.1"},
            ],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    },
    Node,
)


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("zone", "In", ["a", "b"], True),
        ("zone", "In", ["b"], False),
        ("none", "In", ["a"], False),
        ("zone", "NotIn", ["b"], True),
        ("zone", "NotIn", ["a"], False),
        ("none", "NotIn", ["a"], True),
        ("zone", "Exists", [], True),
        ("none", "Exists", [], False),
        ("zone", "DoesNotExist", [], False),
        ("none", "DoesNotExist", [], True),
        ("size", "Gt", ["4"], True),
        ("size", "Gt", ["5"], False),
        ("size", "Lt", ["6"], True),
        ("odd", "Lt", ["6"], False),
        ("none", "Gt", ["1"], False),
        ("size", "Gt", ["x"], False),
        ("size", "Gt", [], False),
        ("size", "Near", ["5"], False),
    ],
)
def test_node_requirements(key: str, operator: str, values: list[str], expected: bool) -> None:
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}
    selector = msgspec.convert({"nodeSelectorTerms": [term]}, NodeSelector)
    assert nodes.matches_selector(selector, NODE) is expected


def test_node_terms() -> None:
    assert not nodes.matches_term(NodeSelectorTerm(), NODE)
    assert not nodes.matches_selector(NodeSelector(node_selector_terms=[]), NODE)
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    other = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"

    def affine(**affinity: Any) -> Pod:
        return pod(affinity={"nodeAffinity": affinity})

    assert nodes.matches_required(pod().spec, NODE)
    assert nodes.matches_required(pod(nodeSelector={"zone": "a"}).spec, NODE)
    assert not nodes.matches_required(pod(nodeSelector={"zone": "b"}).spec, NODE)
    terms = [other, by_name]
    assert nodes.matches_required(affine(**{required: {"nodeSelectorTerms": terms}}).spec, NODE)
    terms = [other]
    assert not nodes.matches_required(affine(**{required: {"nodeSelectorTerms": terms}}).spec, NODE)
    weighted = [
        {"weight": 5, "preference": by_name},
        {"weight": 3, "preference": other},
        {"weight": 9, "preference": {}},
    ]
    assert nodes.preference(affine(**{preferred: weighted}).spec, NODE) == 5
    assert nodes.preference(pod().spec, NODE) == 0


def test_node_facts() -> None:
    assert nodes.is_ready(NODE)
    assert nodes.allocatable(NODE) == {"cpu": 2000, "memory": 2**30, "pods": 110}
    assert nodes.address(NODE) == "10.0.0.1"
    assert nodes.address(NODE, "ExternalIP", "Hostname") == "n1"
    assert nodes.address(NODE, "ExternalIP") == ""


def test_conditions() -> None:
    first = conditions.put([], PodCondition(type="Ready", status="False"), now="t1")
    assert [(item.type, item.last_transition_time) for item in first] == [("Ready", "t1")]
    again = conditions.put(
        first, PodCondition(type="Ready", status="False", reason="Why"), now="t2"
    )
    assert (again[0].reason, again[0].last_transition_time) == ("Why", "t1")
    assert first[0].reason == ""
    flipped = conditions.put(again, PodCondition(type="Ready", status="True"), now="t3")
    assert flipped[0].last_transition_time == "t3"
    more = conditions.put(flipped, PodCondition(type="Other", status="True"), now="t4")
    assert [item.type for item in more] == ["Ready", "Other"]
    assert conditions.is_true(more, "Other") and not conditions.is_true(more, "None")
    assert [item.type for item in conditions.remove(more, "Ready")] == ["Other"]


def test_resource_lists() -> None:
    assert resources.quantities({"cpu": 1500, "memory": 2**20, "pods": 110}) == {
        "cpu": "1500m",
        "memory": "1Mi",
        "pods": "110",
    }
