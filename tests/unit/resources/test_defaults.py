"""What is filled in when the user says nothing, as the API documents it, and only then."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.codec import decode
from api.poddefaults import default_pull_policy
from tests.unit.resources.examples import SOUND, Change, complete, make, strategy_of, tree

BARE_POD = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c}]}}"
C0 = "spec.containers[0]"
DATA = {"apiVersion": "v1", "fieldPath": "metadata.name"}

POD: list[tuple[Change, str, Any]] = [
    ({}, "spec.restartPolicy", "Always"),
    ({}, "spec.dnsPolicy", "ClusterFirst"),
    ({}, "spec.schedulerName", "default-scheduler"),
    ({}, "spec.terminationGracePeriodSeconds", 30),
    ({}, "spec.securityContext", {}),
    ({}, "spec.enableServiceLinks", True),
    ({"spec.enableServiceLinks": False}, "spec.enableServiceLinks", False),
    ({"spec.terminationGracePeriodSeconds": 0}, "spec.terminationGracePeriodSeconds", 0),
    ({"spec.terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds", 1),
    ({"spec.serviceAccount": "robot"}, "spec.serviceAccountName", "robot"),
    ({"spec.serviceAccountName": "robot"}, "spec.serviceAccount", "robot"),
    ({}, "status.phase", "Pending"),
    ({}, "status.qosClass", "BestEffort"),
    ({}, f"{C0}.terminationMessagePath", "/dev/termination-log"),
    ({}, f"{C0}.terminationMessagePolicy", "File"),
    ({}, f"{C0}.resources", {}),
    ({f"{C0}.ports": [{"containerPort": 1}]}, f"{C0}.ports[0].protocol", "TCP"),
    ({f"{C0}.ports": [{"containerPort": 1}]}, f"{C0}.ports[0].hostPort", None),
    (
        {"spec.hostNetwork": True, f"{C0}.ports": [{"containerPort": 80}]},
        f"{C0}.ports[0].hostPort",
        80,
    ),
    (
        {f"{C0}.resources.limits": {"cpu": "1", "memory": "1Gi"}},
        f"{C0}.resources.requests",
        {"cpu": "1", "memory": "1Gi"},
    ),
    ({f"{C0}.resources.limits": {"cpu": "1", "memory": "1Gi"}}, "status.qosClass", "Guaranteed"),
    (
        {f"{C0}.resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}},
        f"{C0}.resources.requests",
        {"cpu": "100m"},
    ),
    ({f"{C0}.resources.requests": {"cpu": "0.5"}}, f"{C0}.resources.requests[cpu]", "500m"),
    # Of a pod as a whole: what its containers request, else its limit, and nothing without limits.
    (
        {"spec.resources": {"limits": {"cpu": "2", "memory": "1Gi"}}},
        "spec.resources.requests",
        {"cpu": "2", "memory": "1Gi"},
    ),
    (
        {"spec.resources": {"limits": {"cpu": "2", "memory": "1Gi"}}},
        "status.qosClass",
        "Guaranteed",
    ),
    (
        {
            "spec.resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            f"{C0}.resources.requests": {"cpu": "500m", "example.com/gpu": "1"},
        },
        "spec.resources.requests",
        {"cpu": "500m", "memory": "1Gi"},
    ),
    (
        {
            "spec.resources": {"requests": {"memory": "1Gi"}},
            f"{C0}.resources.requests": {"cpu": "500m"},
        },
        "spec.resources.requests",
        {"memory": "1Gi"},
    ),
    (
        {f"{C0}.livenessProbe": {"exec": {"command": ["a"]}}},
        f"{C0}.livenessProbe.timeoutSeconds",
        1,
    ),
    (
        {f"{C0}.livenessProbe": {"exec": {"command": ["a"]}}},
        f"{C0}.livenessProbe.periodSeconds",
        10,
    ),
    (
        {f"{C0}.livenessProbe": {"exec": {"command": ["a"]}}},
        f"{C0}.livenessProbe.successThreshold",
        1,
    ),
    (
        {f"{C0}.livenessProbe": {"exec": {"command": ["a"]}}},
        f"{C0}.livenessProbe.failureThreshold",
        3,
    ),
    ({f"{C0}.startupProbe": {"httpGet": {"port": 1}}}, f"{C0}.startupProbe.httpGet.path", "/"),
    ({f"{C0}.startupProbe": {"httpGet": {"port": 1}}}, f"{C0}.startupProbe.httpGet.scheme", "HTTP"),
    ({f"{C0}.readinessProbe": {"grpc": {"port": 1}}}, f"{C0}.readinessProbe.grpc.service", ""),
    (
        {f"{C0}.lifecycle": {"preStop": {"httpGet": {"port": 1}}}},
        f"{C0}.lifecycle.preStop.httpGet.path",
        "/",
    ),
    (
        {f"{C0}.env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        f"{C0}.env[0].valueFrom.fieldRef.apiVersion",
        "v1",
    ),
    ({"spec.volumes": [{"name": "a"}]}, "spec.volumes[0].emptyDir", {}),
    (
        {"spec.volumes": [{"name": "a", "secret": {"secretName": "s"}}]},
        "spec.volumes[0].secret.defaultMode",
        0o644,
    ),
    (
        {"spec.volumes": [{"name": "a", "configMap": {"name": "s", "defaultMode": 0o400}}]},
        "spec.volumes[0].configMap.defaultMode",
        0o400,
    ),
    (
        {"spec.volumes": [{"name": "a", "hostPath": {"path": "/a"}}]},
        "spec.volumes[0].hostPath.type",
        "",
    ),
    (
        {
            "spec.volumes": [
                {"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
            ]
        },
        "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
        3600,
    ),
    (
        {
            "spec.volumes": [
                {
                    "name": "a",
                    "downwardAPI": {
                        "items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]
                    },
                }
            ]
        },
        "spec.volumes[0].downwardAPI.items[0].fieldRef",
        DATA,
    ),
    (
        {"spec.volumes": [{"name": "a", "image": {"reference": "data:latest"}}]},
        "spec.volumes[0].image.pullPolicy",
        "Always",
    ),
    (
        {"spec.volumes": [{"name": "a", "rbd": {"monitors": ["m"], "image": "i"}}]},
        "spec.volumes[0].rbd.keyring",
        "/etc/ceph/keyring",
    ),
    (
        {"spec.volumes": [{"name": "a", "azureDisk": {"diskName": "d", "diskURI": "u"}}]},
        "spec.volumes[0].azureDisk.readOnly",
        False,
    ),
]

OTHERS: list[tuple[str, Change, str, Any]] = [
    ("Deployment", {}, "spec.strategy.type", "RollingUpdate"),
    ("Deployment", {}, "spec.strategy.rollingUpdate", {"maxSurge": "25%", "maxUnavailable": "25%"}),
    ("Deployment", {"spec.strategy": {"type": "Recreate"}}, "spec.strategy.rollingUpdate", None),
    (
        "Deployment",
        {"spec.strategy": {"rollingUpdate": {"maxSurge": 0}}},
        "spec.strategy.rollingUpdate",
        {"maxSurge": 0, "maxUnavailable": "25%"},
    ),
    ("Deployment", {"spec.replicas": 0}, "spec.replicas", 0),
    ("Deployment", {}, "spec.revisionHistoryLimit", 10),
    ("Deployment", {}, "spec.progressDeadlineSeconds", 600),
    ("Deployment", {}, "spec.template.spec.restartPolicy", "Always"),
    ("Deployment", {}, "spec.template.spec.enableServiceLinks", None),
    (
        "Deployment",
        {"spec.template.spec.containers[0].resources": {"limits": {"cpu": "1"}}},
        "spec.template.spec.containers[0].resources",
        {"limits": {"cpu": "1"}},
    ),
    ("ReplicaSet", {}, "spec.replicas", 1),
    ("Service", {}, "spec.type", "ClusterIP"),
    ("Service", {}, "spec.sessionAffinity", "None"),
    ("Service", {"spec.sessionAffinityConfig.clientIP": {}}, "spec.sessionAffinityConfig", None),
    (
        "Service",
        {"spec.sessionAffinity": "ClientIP"},
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        10800,
    ),
    ("Service", {}, "spec.internalTrafficPolicy", "Cluster"),
    ("Service", {}, "spec.externalTrafficPolicy", None),
    ("Service", {"spec.type": "NodePort"}, "spec.externalTrafficPolicy", "Cluster"),
    ("Service", {"spec.externalIPs": ["10.1.1.1"]}, "spec.externalTrafficPolicy", "Cluster"),
    ("Service", {}, "spec.allocateLoadBalancerNodePorts", None),
    ("Service", {"spec.type": "LoadBalancer"}, "spec.allocateLoadBalancerNodePorts", True),
    ("Service", {}, "spec.ipFamilies", ["IPv4"]),
    ("Service", {}, "spec.ipFamilyPolicy", "SingleStack"),
    ("Service", {}, "spec.ports[0].protocol", "TCP"),
    ("Service", {}, "spec.ports[0].targetPort", "http"),
    ("Service", {}, "spec.ports[1].targetPort", 53),
    ("Service", {"spec.clusterIP": "10.96.0.7"}, "spec.clusterIPs", ["10.96.0.7"]),
    ("Service", {"spec.clusterIPs": ["None"]}, "spec.clusterIP", "None"),
    ("Service", {"spec.type": "ExternalName"}, "spec.ipFamilies", None),
    ("Secret", {}, "type", "Opaque"),
    ("Secret", {"stringData": {"user": "me"}}, "data[user]", "bWU="),
    ("Secret", {"stringData": {"password": "new"}}, "data[password]", "bmV3"),
    ("Secret", {"stringData": {"user": "me"}}, "stringData", None),
    ("Namespace", {}, "metadata.labels", {"kubernetes.io/metadata.name": "team-a"}),
    ("Node", {}, "spec.podCIDRs", ["10.244.1.0/24"]),
    ("Node", {}, "status.allocatable", {"cpu": "2", "memory": "4Gi", "pods": "110"}),
    ("Endpoints", {}, "subsets[0].ports[0].protocol", "TCP"),
    ("EndpointSlice", {}, "ports[0].protocol", "TCP"),
    ("EndpointSlice", {"ports[0]": {"port": 1}}, "ports[0].name", ""),
]


def at(document: Any, path: str) -> Any:
    for step in path.replace("]", "").replace("[", ".").split("."):
        if document is None:
            return None
        document = document[int(step)] if isinstance(document, list) else document.get(step)
    return document


@pytest.mark.parametrize(("change", "path", "value"), POD, ids=[row[1] for row in POD])
def test_pod(change: Change, path: str, value: Any) -> None:
    assert at(decode.to_tree(complete("Pod", change, base=BARE_POD)), path) == value


@pytest.mark.parametrize(
    ("kind", "change", "path", "value"), OTHERS, ids=[f"{row[0]}-{row[2]}" for row in OTHERS]
)
def test_others(kind: str, change: Change, path: str, value: Any) -> None:
    obj = make(kind, change)
    strategy_of(kind).default(obj)
    assert at(decode.to_tree(obj), path) == value


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


def test_what_is_given_is_kept() -> None:
    """Defaults only add: every value of the examples is still there."""
    for kind in SOUND:
        given_, obj = tree(kind), make(kind)
        strategy_of(kind).default(obj)
        assert_contains(decode.to_tree(obj), given_, kind)


def assert_contains(found: Any, wanted: Any, where: str) -> None:
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            if value not in ("", {}, []):  # zero values may be left out
                assert_contains(found[key], value, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for number, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
            assert_contains(mine, theirs, f"{where}[{number}]")
    else:
        assert found == wanted, where


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, Any]:
    """A sound object from which some fields have been taken."""
    kind = draw(st.sampled_from(sorted(SOUND)))
    document = tree(kind)
    for _ in range(draw(st.integers(0, 6))):
        node = document
        while isinstance(node, dict | list) and node:
            key = draw(
                st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node)))
            )
            if key in ("apiVersion", "kind"):
                break
            if draw(st.booleans()) and isinstance(node, dict):
                del node[key]
                break
            node = node[key]
    return kind, decode.convert(document, strategy_of(kind).resource.type).obj


@given(objects())
def test_defaulting_twice_changes_nothing(case: tuple[str, Any]) -> None:
    kind, obj = case
    strategy = strategy_of(kind)
    strategy.default(obj)
    once = copy.deepcopy(obj)
    strategy.default(obj)
    assert obj == once


@given(objects())
def test_no_object_breaks_the_rules_themselves(case: tuple[str, Any]) -> None:
    """Validation, warnings and selectable fields answer for whatever can be decoded."""
    kind, obj = case
    strategy = strategy_of(kind)
    strategy.default(obj)
    strategy.prepare_create(obj)
    old = copy.deepcopy(obj)
    assert all(error.message for error in strategy.validate(obj))
    strategy.validate_update(obj, old)
    strategy.warnings(obj)
    assert strategy.fields(obj).keys() <= strategy.selectable_fields()
