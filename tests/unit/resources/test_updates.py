"""What may change once an object exists, and what an update keeps."""

from __future__ import annotations

from typing import Any

import pytest

from api.codec import decode
from api.meta import DeleteOptions
from control.resources import strategy as strategies
from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    said,
    strategy_of,
)

C0 = "spec.containers[0]"
TERMS = (
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
)
GATED = {"spec.schedulingGates": [{"name": "a"}, {"name": "b"}]}
ALLOWED = "pod updates may not change fields other than `spec.containers[*].image`"
IMMUTABLE = "field is immutable when `immutable` is set"
NODE_PORT = {"spec.type": "NodePort", "spec.ports": [{"name": "a", "port": 80, "nodePort": 30080}]}
ADDRESS = {"spec.clusterIP": "10.96.0.7"}

GOOD: list[tuple[str, Change, Change]] = [
    ("Pod", {}, {f"{C0}.image": "app:2", "spec.initContainers[0].image": "busybox:2"}),
    ("Pod", {}, {"spec.activeDeadlineSeconds": 10}),
    ("Pod", {"spec.activeDeadlineSeconds": 10}, {"spec.activeDeadlineSeconds": 5}),
    ("Pod", {}, {"spec.tolerations[2]": {"key": "new", "operator": "Exists"}}),
    ("Pod", {}, {"spec.tolerations[1].tolerationSeconds": 5}),
    ("Pod", {}, {"metadata.labels": {"app": "other"}}),
    ("Pod", GATED, {"spec.schedulingGates": [{"name": "b"}]}),
    ("Pod", GATED, {"spec.nodeSelector[zone]": "a"}),
    ("Pod", GATED, {f"{TERMS}[0].matchExpressions[1]": {"key": "k", "operator": "Exists"}}),
    ("Deployment", {}, {"spec.replicas": 0, "spec.template.spec.containers[0].image": "b"}),
    ("Service", ADDRESS, {"spec.selector": {"app": "other"}, "spec.type": "NodePort"}),
    ("ConfigMap", {}, {"data": {"other": "x"}, "immutable": True}),
    ("ConfigMap", {"immutable": True}, {"metadata.labels": {"a": "b"}}),
    ("Secret", {}, {"data": {}}),
    ("Node", {"spec.podCIDR": REMOVE}, {"spec.podCIDR": "10.244.9.0/24"}),
    ("Node", {}, {"spec.unschedulable": True, "spec.providerID": "x"}),
    ("EndpointSlice", {}, {"endpoints": []}),
]

BROKEN: list[tuple[str, Change, Change, str, str]] = [
    ("Pod", {}, {f"{C0}.command": ["sh"]}, "spec", f"Forbidden: {ALLOWED}"),
    ("Pod", {}, {f"{C0}.name": "other"}, "spec", ALLOWED),
    ("Pod", {}, {"spec.nodeName": "node-2"}, "spec", ALLOWED),
    ("Pod", {}, {"spec.terminationGracePeriodSeconds": 5}, "spec", ALLOWED),
    ("Pod", {}, {"spec.nodeSelector": {}}, "spec", ALLOWED),
    (
        "Pod",
        {},
        {"spec.containers[2]": {"name": "third", "image": "x"}},
        "spec.containers",
        "Forbidden: pod updates may not add or remove containers",
    ),
    ("Pod", {}, {"spec.initContainers": []}, "spec.initContainers", "may not add or remove"),
    ("Pod", {}, {f"{C0}.image": ""}, f"{C0}.image", "Required value"),
    (
        "Pod",
        {},
        {"spec.tolerations[0].value": "other"},
        "spec.tolerations",
        "existing toleration can not be modified except its tolerationSeconds",
    ),
    (
        "Pod",
        {"spec.activeDeadlineSeconds": 5},
        {"spec.activeDeadlineSeconds": 6},
        "spec.activeDeadlineSeconds",
        "Invalid value: 6: must be less than or equal to previous value",
    ),
    (
        "Pod",
        {"spec.activeDeadlineSeconds": 5},
        {"spec.activeDeadlineSeconds": REMOVE},
        "spec.activeDeadlineSeconds",
        "must not update from a positive integer to nil value",
    ),
    (
        "Pod",
        {},
        GATED,
        "spec.schedulingGates[0]",
        "only deletion is allowed, but found new scheduling gate",
    ),
    (
        "Pod",
        GATED,
        {"spec.nodeSelector": {"disk": "hdd"}},
        "spec.nodeSelector",
        "only additions to spec.nodeSelector are allowed",
    ),
    (
        "Pod",
        GATED,
        {f"{TERMS}[0].matchExpressions": []},
        f"{TERMS}[0]",
        "only additions are allowed (no mutations or deletions)",
    ),
    ("Pod", GATED, {f"{TERMS}[1]": {}}, TERMS, "no additions/deletions to non-empty"),
    ("Pod", GATED, {"spec.affinity.podAntiAffinity": REMOVE}, "spec", ALLOWED),
    (
        "Deployment",
        {},
        {"spec.selector.matchLabels[tier]": "front"},
        "spec.selector",
        'Invalid value: {"matchLabels":{"app":"web","tier":"front"}}: field is immutable',
    ),
    (
        "ReplicaSet",
        {},
        {"spec.selector": {"matchLabels": {"app": "web"}}},
        "spec.selector",
        "field is immutable",
    ),
    ("Service", ADDRESS, {"spec.clusterIP": "10.96.0.8"}, "spec.clusterIPs[0]", "may not change"),
    ("Service", ADDRESS, {"spec.clusterIP": "None"}, "spec.clusterIPs[0]", "may not change"),
    ("Secret", {}, {"type": "example.com/own"}, "type", "field is immutable"),
    ("Secret", {"immutable": True}, {"data": {}}, "data", IMMUTABLE),
    ("Secret", {"immutable": True}, {"immutable": False}, "immutable", IMMUTABLE),
    ("ConfigMap", {"immutable": True}, {"data[a]": "b"}, "data", IMMUTABLE),
    ("ConfigMap", {"immutable": True}, {"binaryData": {}}, "binaryData", IMMUTABLE),
    ("ConfigMap", {"immutable": True}, {"immutable": REMOVE}, "immutable", IMMUTABLE),
    (
        "Node",
        {},
        {"spec.podCIDR": "10.244.9.0/24", "spec.podCIDRs": ["10.244.9.0/24"]},
        "spec.podCIDRs",
        'node updates may not change podCIDR except from "" to valid',
    ),
    (
        "Node",
        {"spec.providerID": "a"},
        {"spec.providerID": "b"},
        "spec.providerID",
        "node updates may not change providerID",
    ),
    ("EndpointSlice", {}, {"addressType": "IPv6"}, "addressType", "field is immutable"),
]


@pytest.mark.parametrize(("kind", "before", "change"), GOOD)
def test_allowed(kind: str, before: Change, change: Change) -> None:
    old = complete(kind, before)
    errors = strategy_of(kind).validate_update(changed(kind, old, change), old)
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("kind", "before", "change", "field", "words"),
    BROKEN,
    ids=[f"{row[0]}-{row[3]}-{row[4][:20]}" for row in BROKEN],
)
def test_refused(kind: str, before: Change, change: Change, field: str, words: str) -> None:
    old = complete(kind, before)
    assert_says(strategy_of(kind).validate_update(changed(kind, old, change), old), field, words)


# What an update keeps, drops, or carries over


def service(change: Change) -> Any:
    return complete("Service", {**ADDRESS, **change})


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        # a replace that does not mention what was given out
        (NODE_PORT, {"spec.ports": [{"name": "a", "port": 81}]}, ("10.96.0.7", [30080])),
        (NODE_PORT, {"spec.clusterIP": REMOVE, "spec.clusterIPs": REMOVE}, ("10.96.0.7", [30080])),
        (NODE_PORT, {"spec.ports[0].nodePort": 30081}, ("10.96.0.7", [30081])),
        (
            NODE_PORT,
            {
                "spec.ports": [
                    {"name": "b", "port": 80},
                    {"name": "a", "port": 81, "nodePort": 30080},
                ]
            },
            ("10.96.0.7", [0, 30080]),
        ),
        # a change of type alone, as a patch makes it
        (NODE_PORT, {"spec.type": "ClusterIP"}, ("10.96.0.7", [0])),
        (NODE_PORT, {"spec.type": "LoadBalancer"}, ("10.96.0.7", [30080])),
        (
            {},
            {"spec.type": "ExternalName", "spec.externalName": "a.b"},
            ("", [0, 0]),
        ),
    ],
)
def test_service_addresses(before: Change, change: Change, expected: tuple[str, list[int]]) -> None:
    old = service(before)
    new = changed("Service", old, change)
    assert (new.spec.cluster_ip, [port.node_port for port in new.spec.ports]) == expected
    errors = strategy_of("Service").validate_update(new, old)
    assert not errors, said(errors)


def test_a_service_type_takes_its_own_fields_along() -> None:
    old = service({"spec.type": "LoadBalancer", "spec.externalTrafficPolicy": "Local"})
    new = changed("Service", old, {"spec.type": "ClusterIP"})
    assert new.spec.external_traffic_policy == ""
    assert new.spec.allocate_load_balancer_node_ports is None


def test_main_resource_keeps_status_and_status_keeps_the_rest() -> None:
    old = complete("Deployment")
    old.status.replicas = 3
    new = changed("Deployment", old, {"spec.replicas": 9, "status.replicas": 7})
    assert (new.spec.replicas, new.status.replicas) == (9, 3)
    status = decode.convert(decode.to_tree(old), type(old)).obj
    status.spec.replicas, status.status.replicas = 9, 7
    status.metadata.labels = status.metadata.annotations = {"a": "b"}
    strategy_of("Deployment").prepare_subresource("status", status, old)
    assert (status.spec.replicas, status.status.replicas) == (3, 7)
    assert (status.metadata.labels, status.metadata.annotations) == ({}, {"a": "b"})


def test_a_slice_counts_what_it_holds() -> None:
    rules, old = strategy_of("EndpointSlice"), complete("EndpointSlice")
    assert rules.has_generation
    assert rules.generation_changes(changed("EndpointSlice", old, {"ports": []}), old)
    assert not rules.generation_changes(
        changed("EndpointSlice", old, {"metadata.labels": {"a": "b"}}), old
    )


def test_a_cluster_address_that_changes_is_told_once() -> None:
    """Whoever changes `clusterIP` alone means `clusterIPs`, too."""
    old = service({"spec.clusterIP": "10.96.0.7", "spec.clusterIPs": ["10.96.0.7"]})
    new = changed("Service", old, {"spec.clusterIP": "10.96.0.8"})
    errors = strategy_of("Service").validate_update(new, old)
    assert [(one.field, one.message) for one in errors] == [
        ("spec.clusterIPs[0]", 'Invalid value: "10.96.0.8": may not change once set')
    ]


def test_finalizers_of_a_namespace_have_a_domain() -> None:
    rules, old = strategy_of("Namespace"), complete("Namespace")
    new = changed("Namespace", old, {})
    new.spec.finalizers = ["kubernetes", "example.com/mine", "mine"]
    (error,) = rules.validate_subresource("finalize", new, old)
    assert error.field == "spec.finalizers[2]" and "nor is it fully qualified" in error.message
    assert not rules.validate_subresource("status", new, old)


def test_pod_status_cannot_change_the_class_nor_revive_the_dead() -> None:
    rules = strategy_of("Pod")
    dead = {
        "spec.restartPolicy": "Never",
        "spec.initContainers": [],
        "status": {"containerStatuses": [state("app", {"terminated": {"exitCode": 0}})]},
    }
    old = complete("Pod", dead)
    old.status = decode.convert(dead["status"], type(old.status)).obj
    new = decode.convert(decode.to_tree(old), type(old)).obj
    new.status.container_statuses = decode.convert(
        {"containerStatuses": [state("app", {"running": {}})]}, type(old.status)
    ).obj.container_statuses
    new.status.qos_class = "Guaranteed"
    rules.prepare_subresource("status", new, old)
    assert new.status.qos_class == old.status.qos_class
    assert_says(
        rules.validate_subresource("status", new, old),
        "status.containerStatuses[0].state",
        "may not be transitioned to non-terminated state",
    )


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"podIP": "10.244.1.7"}, []),
        ({"podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00::7"}]}, []),
        ({"podIP": ""}, []),
        ({"podIP": "10.244.1345.66"}, ["status.podIPs[0]"]),
        (
            {"podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "web"}]},
            ["status.podIPs[1]"],
        ),
    ],
)
def test_a_pod_has_addresses_that_are_addresses(told: dict[str, Any], said: list[str]) -> None:
    old = complete("Pod")
    new = decode.convert(decode.to_tree(old), type(old)).obj
    new.status = decode.convert(told, type(old.status)).obj
    errors = strategy_of("Pod").validate_subresource("status", new, old)
    assert [one.field for one in errors] == said
    assert all("must be a valid IP address" in one.message for one in errors)


def state(name: str, now: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "state": now,
        "ready": False,
        "restartCount": 0,
        "image": "i",
        "imageID": "",
    }


@pytest.mark.parametrize(
    ("kind", "change", "raises"),
    [
        ("Pod", {f"{C0}.image": "app:2"}, True),
        ("Pod", {"metadata.labels": {"a": "b"}}, False),
        ("Deployment", {"spec.replicas": 9}, True),
        ("Deployment", {"status.replicas": 9}, False),
        ("Service", {"spec.selector": {"a": "b"}}, False),
        ("ConfigMap", {"data": {}}, False),
        ("Node", {"spec.unschedulable": True}, False),
        ("EndpointSlice", {"endpoints": []}, True),
    ],
)
def test_generation(kind: str, change: Change, raises: bool) -> None:
    old = complete(kind)
    assert strategy_of(kind).generation_changes(changed(kind, old, change), old) is raises


@pytest.mark.parametrize(
    ("change", "asked", "seconds"),
    [
        ({"spec.nodeName": "n"}, None, 30),
        ({"spec.nodeName": "n", "spec.terminationGracePeriodSeconds": 5}, None, 5),
        ({"spec.nodeName": "n"}, 7, 7),
        ({"spec.nodeName": "n"}, 0, 0),
        ({"spec.nodeName": "n"}, -1, 1),
        ({}, 7, 0),
    ],
)
def test_grace_period(change: Change, asked: int | None, seconds: int) -> None:
    options = DeleteOptions(grace_period_seconds=asked)
    assert strategy_of("Pod").grace_period(complete("Pod", change), options) == seconds


def test_a_finished_pod_is_deleted_at_once() -> None:
    pod = complete("Pod", {"spec.nodeName": "n"})
    pod.status.phase = "Succeeded"
    assert strategy_of("Pod").grace_period(pod, DeleteOptions()) == 0


def test_a_namespace_stays_until_it_is_empty() -> None:
    rules, namespace = strategy_of("Namespace"), complete("Namespace")
    assert rules.keeps_on_delete(namespace)
    rules.mark_deleted(namespace)
    assert namespace.status.phase == "Terminating"
    emptied = changed("Namespace", namespace, {"spec.finalizers": []})
    assert emptied.spec.finalizers == ["kubernetes"]  # only `finalize` may
    emptied.spec.finalizers = []
    rules.prepare_subresource("finalize", emptied, namespace)
    assert not rules.keeps_on_delete(emptied)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([], ["Approved"], ""),
        ([], ["Approved", "Denied"], "Approved and Denied conditions are mutually exclusive"),
        (["Approved"], [], "updates may not remove a condition of type Approved"),
        (["Approved"], ["Denied"], "updates may not remove a condition of type Approved"),
    ],
)
def test_decisions_about_certificates(before: list[str], after: list[str], words: str) -> None:
    rules = strategy_of("CertificateSigningRequest")

    def decided(types: list[str]) -> Any:
        return complete("CertificateSigningRequest"), [
            {"type": type_, "status": "True"} for type_ in types
        ]

    old, conditions = decided(before)
    old.status = decode.convert({"conditions": conditions}, type(old.status)).obj
    new, conditions = decided(after)
    new.status = decode.convert({"conditions": conditions}, type(new.status)).obj
    rules.prepare_subresource("approval", new, old)
    errors = rules.validate_subresource("approval", new, old)
    if words:
        assert_says(errors, "status.conditions", words)
    else:
        assert not errors, said(errors)


def test_the_status_path_cannot_decide_about_certificates() -> None:
    rules = strategy_of("CertificateSigningRequest")
    old, new = complete("CertificateSigningRequest"), complete("CertificateSigningRequest")
    new.status = decode.convert(
        {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="},
        type(new.status),
    ).obj
    rules.prepare_subresource("status", new, old)
    assert (new.status.conditions, new.status.certificate) == ([], b"x")


def test_generated_names_are_judged_as_they_will_look() -> None:
    assert strategies.mask_trailing_dash("web-") == "weba"
    assert strategies.mask_trailing_dash("-") == "-"
