"""What is wrong with objects of the other kinds: the field that is blamed, and the words for it."""

from __future__ import annotations

import base64

import pytest

from base import pki
from tests.unit.resources.examples import (
    REMOVE,
    SOUND,
    Change,
    assert_says,
    complete,
    make,
    said,
    strategy_of,
)

SELECTOR = "spec.selector"
ROLLING = "spec.strategy.rollingUpdate"
PORT = "spec.ports[0]"
AFFINITY = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
TOKEN = "kubernetes.io/service-account-token"
JSON_SECRET = "kubernetes.io/dockerconfigjson"

GOOD: list[tuple[str, Change]] = [
    ("Deployment", {"spec.strategy": {"type": "Recreate"}}),
    ("Deployment", {ROLLING: {"maxSurge": 0, "maxUnavailable": "100%"}}),
    ("Deployment", {ROLLING: {"maxSurge": "200%", "maxUnavailable": 0}}),
    ("Deployment", {"spec.replicas": 0, "spec.paused": True}),
    ("Service", {"spec.clusterIP": "None", "spec.ports": []}),
    (
        "Service",
        {"spec.type": "ExternalName", "spec.externalName": "db.example.com.", "spec.ports": []},
    ),
    ("Service", {"spec.type": "NodePort", f"{PORT}.nodePort": 30080}),
    ("Service", {"spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10.0.0.0/8"]}),
    ("Service", {"spec.ports[1].port": 80}),  # the same number for TCP and UDP
    ("Service", {"spec.sessionAffinity": "ClientIP"}),
    ("Service", {"spec.trafficDistribution": "PreferClose"}),
    ("Service", {"spec.trafficDistribution": "PreferSameNode"}),
    (
        "EndpointSlice",
        {"endpoints[0].hints": {"forZones": [{"name": "A_1"}], "forNodes": [{"name": "n.x"}]}},
    ),
    ("ConfigMap", {"data": REMOVE, "binaryData": REMOVE}),
    ("Secret", {"type": "example.com/own", "data": {}}),
    ("Secret", {"type": "kubernetes.io/basic-auth", "data": {"username": ""}}),
    ("Secret", {"type": JSON_SECRET, "data": {".dockerconfigjson": "e30="}}),
    ("EndpointSlice", {"addressType": "FQDN", "endpoints[0].addresses": ["db.example.com"]}),
    ("EndpointSlice", {"ports[0].name": REMOVE, "ports[0].port": REMOVE}),
    ("Endpoints", {"subsets": []}),
    ("Event", {"involvedObject.namespace": "", "metadata.namespace": "default"}),
    ("Lease", {"spec": {}}),
    ("Node", {"spec": {}, "status.capacity": {}}),
]

BROKEN: list[tuple[str, Change, str, str]] = [
    # Deployment and ReplicaSet
    ("Deployment", {SELECTOR: REMOVE}, SELECTOR, "Required value"),
    ("Deployment", {SELECTOR: {}}, SELECTOR, "empty selector is invalid for deployment"),
    (
        "Deployment",
        {f"{SELECTOR}.matchLabels[app]": "other"},
        "spec.template.metadata.labels",
        'Invalid value: {"app":"web","tier":"front"}: `selector` does not match template `labels`',
    ),
    (
        "Deployment",
        {f"{SELECTOR}.matchLabels[a b]": "c"},
        f"{SELECTOR}.matchLabels",
        'Invalid value: "a b": name part must consist of alphanumeric characters',
    ),
    ("Deployment", {"spec.replicas": -1}, "spec.replicas", "must be greater than or equal to 0"),
    ("Deployment", {"spec.minReadySeconds": -1}, "spec.minReadySeconds", "equal to 0"),
    ("Deployment", {"spec.revisionHistoryLimit": -1}, "spec.revisionHistoryLimit", "equal to 0"),
    (
        "Deployment",
        {"spec.minReadySeconds": 600},
        "spec.progressDeadlineSeconds",
        "Invalid value: 600: must be greater than minReadySeconds",
    ),
    ("Deployment", {"spec.strategy.type": "Blue"}, "spec.strategy.type", '"Recreate", "Rolling'),
    (
        "Deployment",
        {"spec.strategy": {"type": "Recreate", "rollingUpdate": {}}},
        ROLLING,
        "Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ),
    (
        "Deployment",
        {ROLLING: {"maxSurge": 0, "maxUnavailable": "0%"}},
        f"{ROLLING}.maxUnavailable",
        "may not be 0 when `maxSurge` is 0",
    ),
    ("Deployment", {ROLLING: {"maxUnavailable": "101%"}}, f"{ROLLING}.maxUnavailable", "than 100%"),
    (
        "Deployment",
        {ROLLING: {"maxSurge": "five"}},
        f"{ROLLING}.maxSurge",
        "a valid percent string",
    ),
    ("Deployment", {ROLLING: {"maxSurge": "-5%"}}, f"{ROLLING}.maxSurge", "a valid percent string"),
    ("Deployment", {ROLLING: {"maxSurge": -1}}, f"{ROLLING}.maxSurge", "equal to 0"),
    (
        "ReplicaSet",
        {f"{SELECTOR}.matchExpressions[0].operator": "Is"},
        f"{SELECTOR}.matchExpressions[0].operator",
        "not a valid selector operator",
    ),
    (
        "ReplicaSet",
        {f"{SELECTOR}.matchExpressions[0].values": []},
        f"{SELECTOR}.matchExpressions[0].values",
        "must be specified when",
    ),
    (
        "ReplicaSet",
        {"spec.template.metadata.labels": {}},
        "spec.template.metadata.labels",
        "does not match",
    ),
    # Service
    ("Service", {"spec.ports": []}, "spec.ports", "Required value"),
    ("Service", {f"{PORT}.port": 0}, f"{PORT}.port", "must be between 1 and 65535, inclusive"),
    ("Service", {f"{PORT}.name": ""}, f"{PORT}.name", "Required value"),
    ("Service", {f"{PORT}.name": "dns"}, "spec.ports[1].name", 'Duplicate value: "dns"'),
    ("Service", {f"{PORT}.name": "Http"}, f"{PORT}.name", "a lowercase RFC 1123 label"),
    ("Service", {f"{PORT}.protocol": "ICMP"}, f"{PORT}.protocol", 'Unsupported value: "ICMP"'),
    ("Service", {f"{PORT}.targetPort": "a_b"}, f"{PORT}.targetPort", "alpha-numeric characters"),
    ("Service", {f"{PORT}.targetPort": 70000}, f"{PORT}.targetPort", "between 1 and 65535"),
    ("Service", {f"{PORT}.appProtocol": "a b"}, f"{PORT}.appProtocol", "Invalid value"),
    (
        "Service",
        {f"{PORT}.nodePort": 30080},
        f"{PORT}.nodePort",
        "may not be used when `type` is 'ClusterIP'",
    ),
    (
        "Service",
        {
            "spec.type": "NodePort",
            "spec.ports": [
                {"name": "a", "port": 1, "nodePort": 30001},
                {"name": "b", "port": 2, "nodePort": 30001},
            ],
        },
        "spec.ports[1].nodePort",
        "Duplicate value: 30001",
    ),
    ("Service", {"spec.ports[1]": {"name": "x", "port": 80}}, "spec.ports[1]", "Duplicate value"),
    ("Service", {"spec.type": "Cluster"}, "spec.type", '"ClusterIP", "NodePort"'),
    ("Service", {"spec.selector": {"a": "b c"}}, "spec.selector", 'Invalid value: "b c"'),
    ("Service", {"spec.clusterIP": "home"}, "spec.clusterIPs[0]", "must be a valid IP address"),
    ("Service", {"spec.clusterIP": "fd00::1"}, "spec.clusterIPs[0]", "has no IPv6"),
    (
        "Service",
        {"spec.clusterIPs": ["10.96.0.9"], "spec.clusterIP": "10.96.0.8"},
        "spec.clusterIPs",
        "first value must match `clusterIP`",
    ),
    (
        "Service",
        {"spec.clusterIP": "None", "spec.type": "NodePort"},
        "spec.clusterIPs[0]",
        "may not be set to 'None' for NodePort services",
    ),
    ("Service", {"spec.type": "ExternalName"}, "spec.externalName", "Required value"),
    (
        "Service",
        {"spec.type": "ExternalName", "spec.externalName": "a_b"},
        "spec.externalName",
        "RFC 1123 subdomain",
    ),
    (
        "Service",
        {"spec.type": "ExternalName", "spec.clusterIP": "None"},
        "spec.clusterIPs",
        "may not be set for ExternalName services",
    ),
    (
        "Service",
        {"spec.type": "ExternalName", "spec.ipFamilies": ["IPv4"]},
        "spec.ipFamilies",
        "may not be set for ExternalName services",
    ),
    (
        "Service",
        {"spec.trafficDistribution": "PreferFar"},
        "spec.trafficDistribution",
        'supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    ),
    (
        "EndpointSlice",
        {"endpoints[0].hints": {"forZones": [{"name": "a"}, {"name": "a"}]}},
        "endpoints[0].hints.forZones[1].name",
        'Duplicate value: "a"',
    ),
    (
        "EndpointSlice",
        {"endpoints[0].hints": {"forZones": [{"name": str(n)} for n in range(9)]}},
        "endpoints[0].hints.forZones",
        "must have at most 8 items",
    ),
    (
        "EndpointSlice",
        {"endpoints[0].hints": {"forZones": [{"name": "a b"}]}},
        "endpoints[0].hints.forZones[0].name",
        "a valid label must be",
    ),
    (
        "EndpointSlice",
        {"endpoints[0].hints": {"forNodes": [{"name": "A"}, {"name": ""}]}},
        "endpoints[0].hints.forNodes[0].name",
        "RFC 1123 subdomain",
    ),
    ("Service", {"spec.sessionAffinity": "Cookie"}, "spec.sessionAffinity", '"ClientIP", "None"'),
    (
        "Service",
        {"spec.sessionAffinity": "ClientIP", AFFINITY: 86401},
        AFFINITY,
        "must be greater than 0 and less than 86400",
    ),
    (
        "Service",
        {"spec.externalTrafficPolicy": "Local"},
        "spec.externalTrafficPolicy",
        "may only be set for externally-accessible services",
    ),
    (
        "Service",
        {"spec.type": "NodePort", "spec.externalTrafficPolicy": "Near"},
        "spec.externalTrafficPolicy",
        '"Cluster", "Local"',
    ),
    (
        "Service",
        {"spec.internalTrafficPolicy": "Near"},
        "spec.internalTrafficPolicy",
        "Unsupported value",
    ),
    (
        "Service",
        {"spec.ipFamilies": ["IPv6"]},
        "spec.ipFamilies[0]",
        "not configured on this cluster",
    ),
    (
        "Service",
        {"spec.ipFamilyPolicy": "RequireDualStack"},
        "spec.ipFamilyPolicy",
        "not configured for dual-stack",
    ),
    (
        "Service",
        {"spec.externalIPs": ["127.0.0.1"]},
        "spec.externalIPs[0]",
        "may not be in the loopback range",
    ),
    (
        "Service",
        {"spec.loadBalancerClass": "a.b/c"},
        "spec.loadBalancerClass",
        "when `type` is 'LoadBalancer'",
    ),
    (
        "Service",
        {"spec.allocateLoadBalancerNodePorts": True},
        "spec.allocateLoadBalancerNodePorts",
        "when `type` is 'LoadBalancer'",
    ),
    (
        "Service",
        {"spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10"]},
        "spec.loadBalancerSourceRanges[0]",
        "must be a valid CIDR value",
    ),
    (
        "Service",
        {"spec.healthCheckNodePort": 30000},
        "spec.healthCheckNodePort",
        "may only be set when `type` is 'LoadBalancer'",
    ),
    # ConfigMap and Secret
    ("ConfigMap", {"data[a/b]": "x"}, "data[a/b]", "a valid config key must consist of"),
    ("ConfigMap", {"data[..]": "x"}, "data[..]", "must not be '..'"),
    ("ConfigMap", {"data[logo]": "x"}, "data[logo]", "duplicate of key present in binaryData"),
    (
        "ConfigMap",
        {"data[big]": "x" * 2**20},
        "data",
        "Too long: may not be more than 1048576 bytes",
    ),
    ("Secret", {"data[a b]": "eA=="}, "data[a b]", "a valid config key must consist of"),
    ("Secret", {"data[big]": base64.b64encode(bytes(2**20)).decode()}, "data", "Too long: may not"),
    ("Secret", {"type": "kubernetes.io/tls"}, "data[tls.key]", "Required value"),
    (
        "Secret",
        {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}},
        "data[ssh-privatekey]",
        "Required value",
    ),
    (
        "Secret",
        {"type": "kubernetes.io/basic-auth", "data": {}},
        "data[password]",
        "Required value",
    ),
    ("Secret", {"type": JSON_SECRET}, "data[.dockerconfigjson]", "Required value"),
    (
        "Secret",
        {"type": JSON_SECRET, "data": {".dockerconfigjson": "W10="}},
        "data[.dockerconfigjson]",
        '"<secret contents redacted>": must be a JSON object',
    ),
    (
        "Secret",
        {"type": TOKEN},
        "metadata.annotations[kubernetes.io/service-account.name]",
        "Required value",
    ),
    # Endpoints and EndpointSlice
    (
        "Endpoints",
        {"subsets[0].addresses": [], "subsets[0].notReadyAddresses": []},
        "subsets[0]",
        "must specify `addresses` or `notReadyAddresses`",
    ),
    (
        "Endpoints",
        {"subsets[0].addresses[0].ip": "127.0.0.1"},
        "subsets[0].addresses[0].ip",
        "may not be in the loopback range",
    ),
    (
        "Endpoints",
        {"subsets[0].addresses[0].ip": "x"},
        "subsets[0].addresses[0].ip",
        "must be a valid IP address",
    ),
    (
        "Endpoints",
        {"subsets[0].notReadyAddresses[0].hostname": "a.b"},
        "subsets[0].notReadyAddresses[0].hostname",
        "must not contain dots",
    ),
    ("Endpoints", {"subsets[0].ports[0].name": ""}, "subsets[0].ports[0].name", "Required value"),
    (
        "Endpoints",
        {"subsets[0].ports[0].port": 0},
        "subsets[0].ports[0].port",
        "between 1 and 65535",
    ),
    ("EndpointSlice", {"addressType": ""}, "addressType", "Required value"),
    ("EndpointSlice", {"addressType": "IPv5"}, "addressType", '"IPv4", "IPv6", "FQDN"'),
    (
        "EndpointSlice",
        {"endpoints[0].addresses": []},
        "endpoints[0].addresses",
        "must contain at least 1 address",
    ),
    (
        "EndpointSlice",
        {"endpoints[0].addresses[0]": "fd00::1"},
        "endpoints[0].addresses[0]",
        "must be an IPv4 address",
    ),
    (
        "EndpointSlice",
        {"endpoints[0].addresses[0]": "169.254.1.1"},
        "endpoints[0].addresses[0]",
        "link-local",
    ),
    (
        "EndpointSlice",
        {"endpoints[0].hostname": "A"},
        "endpoints[0].hostname",
        "a lowercase RFC 1123 label",
    ),
    ("EndpointSlice", {"ports[1]": {"name": "http"}}, "ports[1].name", 'Duplicate value: "http"'),
    (
        "EndpointSlice",
        {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
        "endpoints",
        "Too many: 1001: must have at most 1000 items",
    ),
    # Node, Namespace, Event, Lease
    ("Node", {"spec.taints[0].effect": ""}, "spec.taints[0].effect", "Required value"),
    (
        "Node",
        {"spec.taints[0].effect": "Never"},
        "spec.taints[0].effect",
        'Unsupported value: "Never"',
    ),
    ("Node", {"spec.taints[0].key": "a b"}, "spec.taints[0].key", "Invalid value"),
    (
        "Node",
        {"spec.taints[1]": {"key": "dedicated", "effect": "NoSchedule"}},
        "spec.taints[1]",
        "Duplicate value",
    ),
    ("Node", {"spec.podCIDR": "10.1.1.1"}, "spec.podCIDRs[0]", "must be a valid CIDR value"),
    (
        "Node",
        {"spec.podCIDRs": ["10.1.0.0/24"]},
        "spec.podCIDRs[0]",
        "must be the same as `podCIDR`",
    ),
    ("Node", {"status.capacity[cpu]": "-1"}, "status.capacity[cpu]", "greater than or equal to 0"),
    ("Namespace", {"spec.finalizers": ["a b"]}, "spec.finalizers[0]", "Invalid value"),
    (
        "Event",
        {"involvedObject.namespace": "other"},
        "involvedObject.namespace",
        "does not match event.namespace",
    ),
    (
        "Lease",
        {"spec.leaseDurationSeconds": 0},
        "spec.leaseDurationSeconds",
        "must be greater than 0",
    ),
    ("Lease", {"spec.leaseTransitions": -1}, "spec.leaseTransitions", "greater than or equal to 0"),
    (
        "Lease",
        {"spec.preferredHolder": "a"},
        "spec.strategy",
        "must be specified when `preferredHolder` is set",
    ),
]


@pytest.mark.parametrize("kind", sorted(SOUND.keys() - {"CertificateSigningRequest"}))
def test_the_examples_are_sound(kind: str) -> None:
    errors = strategy_of(kind).validate(complete(kind))
    assert not errors, said(errors)


@pytest.mark.parametrize(("kind", "change"), GOOD)
def test_sound(kind: str, change: Change) -> None:
    errors = strategy_of(kind).validate(complete(kind, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("kind", "change", "field", "words"), BROKEN, ids=[f"{row[0]}-{row[2]}" for row in BROKEN]
)
def test_broken(kind: str, change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(kind).validate(complete(kind, change)), field, words)


@pytest.mark.parametrize(
    ("kind", "name", "generated", "words"),
    [
        ("Pod", "web.example.com-1", False, ""),
        ("Pod", "Web", False, "RFC 1123 subdomain"),
        ("Pod", "a" * 254, False, "must be no more than 253 bytes"),
        ("Pod", "web-", True, ""),
        ("Pod", "web-", False, "RFC 1123 subdomain"),
        ("Service", "web", False, ""),
        ("Service", "1web", False, "a DNS-1035 label must consist of"),
        ("Service", "a.b", False, "a DNS-1035 label"),
        ("Service", "a" * 64, False, "must be no more than 63 bytes"),
        ("Namespace", "a.b", False, "must not contain dots"),
        ("Namespace", "1a", False, ""),
        ("Node", "node-1.example.com", False, ""),
    ],
)
def test_names(kind: str, name: str, generated: bool, words: str) -> None:
    errors = strategy_of(kind).validate_name(name, generated=generated)
    assert words in "; ".join(errors) if words else not errors


@pytest.fixture(scope="module")
def request_pem() -> str:
    made = pki.make_csr(common_name="system:node:node-1", organizations=["system:nodes"])
    return base64.b64encode(made.csr_pem).decode()


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({}, "", ""),
        (
            {"spec.request": "aGVsbG8="},
            "spec.request",
            "PEM block type must be CERTIFICATE REQUEST",
        ),
        ({"spec.signerName": ""}, "spec.signerName", "Required value"),
        ({"spec.signerName": "me"}, "spec.signerName", "must be a fully qualified domain and path"),
        ({"spec.usages": []}, "spec.usages", "usages must contain at least one value"),
        ({"spec.usages": ["flying"]}, "spec.usages[0]", 'Unsupported value: "flying"'),
        ({"spec.usages": ["any", "any"]}, "spec.usages[1]", 'Duplicate value: "any"'),
        ({"spec.expirationSeconds": 599}, "spec.expirationSeconds", "a duration less than 600"),
    ],
)
def test_certificate_requests(request_pem: str, change: Change, field: str, words: str) -> None:
    obj = complete("CertificateSigningRequest", {"spec.request": request_pem, **change})
    errors = strategy_of("CertificateSigningRequest").validate(obj)
    if field:
        assert_says(errors, field, words)
    else:
        assert not errors, said(errors)


def test_what_a_creator_may_not_set_is_dropped() -> None:
    pod = complete("Pod", {"status": {"phase": "Running", "podIP": "10.0.0.1"}})
    assert (pod.status.phase, pod.status.pod_ip) == ("Pending", "")
    namespace = complete("Namespace", {"status.phase": "Terminating"})
    assert (namespace.status.phase, namespace.spec.finalizers) == ("Active", ["kubernetes"])
    deployment = complete("Deployment", {"status.replicas": 5})
    assert deployment.status.replicas == 0


def test_an_agent_may_bring_the_status_of_its_node_along() -> None:
    assert complete("Node").status.capacity == make("Node").status.capacity
