"""What Ingresses, their classes, network policies and the books of addresses may say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    make,
    said,
    strategy_of,
)

PATHS = "spec.rules[0].http.paths"
PARAMETERS = {"kind": "Settings", "name": "all"}
RULE = "spec.ingress[0]"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Ingress", {"spec.rules": REMOVE}),
        ("Ingress", {"spec.defaultBackend": REMOVE}),
        ("Ingress", {"spec.tls": [{}]}),
        ("Ingress", {f"{PATHS}[0].pathType": "Exact"}),
        (
            "Ingress",
            {f"{PATHS}[0].path": "/a//b", f"{PATHS}[0].pathType": "ImplementationSpecific"},
        ),
        ("IngressClass", {"spec.parameters": PARAMETERS}),
        (
            "IngressClass",
            {"spec.parameters": {**PARAMETERS, "scope": "Namespace", "namespace": "a"}},
        ),
        ("NetworkPolicy", {"spec": {}}),
        ("NetworkPolicy", {"spec.policyTypes": ["Egress"]}),
        ("NetworkPolicy", {f"{RULE}.from": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}),
        ("NetworkPolicy", {f"{RULE}.ports": [{"protocol": "SCTP"}]}),
        ("IPAddress", {"metadata.name": "2001:db8::1"}),
        ("ServiceCIDR", {"spec.cidrs": ["10.97.0.0/16"]}),
    ],
)
def test_sound(kind: str, change: Change) -> None:
    obj = complete(kind, change)
    errors = strategy_of(kind).validate(obj)
    assert not errors, said(errors)
    assert not strategy_of(kind).validate_name(obj.metadata.name, generated=False)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec": {}}, "spec", "either `defaultBackend` or `rules` must be specified"),
        ({"spec.ingressClassName": "A_B"}, "spec.ingressClassName", "RFC 1123 subdomain"),
        (
            {"metadata.annotations[kubernetes.io/ingress.class]": "old"},
            "metadata.annotations[kubernetes.io/ingress.class]",
            "can not be set when the class field is also set",
        ),
        ({"spec.defaultBackend": {}}, "spec.defaultBackend", "resource or service backend is req"),
        (
            {"spec.defaultBackend.service": {"name": "a", "port": {"number": 1}}},
            "spec.defaultBackend",
            "cannot set both resource and service backends",
        ),
        (
            {"spec.defaultBackend.resource": {"apiGroup": "A", "kind": "", "name": "a/b"}},
            "spec.defaultBackend.resource.apiGroup",
            "RFC 1123 subdomain",
        ),
        (
            {"spec.defaultBackend.resource.kind": ""},
            "spec.defaultBackend.resource.kind",
            "Required value: kind is required",
        ),
        (
            {"spec.defaultBackend.resource.name": "a/b"},
            "spec.defaultBackend.resource.name",
            "may not contain '/'",
        ),
        ({"spec.tls[0].hosts[0]": "a b"}, "spec.tls[0].hosts[0]", "RFC 1123 subdomain"),
        ({"spec.tls[0].hosts[1]": "*b"}, "spec.tls[0].hosts[1]", "must start with '*.'"),
        ({"spec.tls[0].secretName": "A"}, "spec.tls[0].secretName", "RFC 1123 subdomain"),
        ({"spec.rules[0].host": "10.0.0.1"}, "spec.rules[0].host", "must be a DNS name, not an IP"),
        ({"spec.rules[0].host": "a.*.b"}, "spec.rules[0].host", "must start with '*.'"),
        ({PATHS: []}, PATHS, "Required value"),
        ({f"{PATHS}[0].pathType": REMOVE}, f"{PATHS}[0].pathType", "pathType must be specified"),
        (
            {f"{PATHS}[0].pathType": "Glob"},
            f"{PATHS}[0].pathType",
            'supported values: "Exact", "ImplementationSpecific", "Prefix"',
        ),
        ({f"{PATHS}[0].path": "a"}, f"{PATHS}[0].path", "must be an absolute path"),
        ({f"{PATHS}[0].path": REMOVE}, f"{PATHS}[0].path", "must be an absolute path"),
        ({f"{PATHS}[1].path": "a"}, f"{PATHS}[1].path", "must be an absolute path"),
        ({f"{PATHS}[0].path": "/a//b"}, f"{PATHS}[0].path", "must not contain '//'"),
        ({f"{PATHS}[0].path": "/a/.."}, f"{PATHS}[0].path", "cannot end with '/..'"),
        ({f"{PATHS}[0].path": "/a%2Fb"}, f"{PATHS}[0].path", "must not contain '%2F'"),
        (
            {f"{PATHS}[0].backend.service.name": ""},
            f"{PATHS}[0].backend.service.name",
            "Required value",
        ),
        (
            {f"{PATHS}[0].backend.service.name": "1a"},
            f"{PATHS}[0].backend.service.name",
            "DNS-1035 label",
        ),
        (
            {f"{PATHS}[0].backend.service.port.name": "http"},
            f"{PATHS}[0].backend",
            "cannot set both port name & port number",
        ),
        (
            {f"{PATHS}[0].backend.service.port": {}},
            f"{PATHS}[0].backend",
            "port name or number is required",
        ),
        (
            {f"{PATHS}[0].backend.service.port.number": 70000},
            f"{PATHS}[0].backend.service.port.number",
            "must be between 1 and 65535",
        ),
        (
            {f"{PATHS}[1].backend.service.port.name": "Http"},
            f"{PATHS}[1].backend.service.port.name",
            "must contain only alpha-numeric",
        ),
    ],
)
def test_broken_ingress(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of("Ingress").validate(complete("Ingress", change)), field, words)


def test_an_old_annotation_that_is_there_may_stay() -> None:
    change = {"metadata.annotations[kubernetes.io/ingress.class]": "old"}
    old = complete("Ingress", change)
    assert not strategy_of("Ingress").validate_update(changed("Ingress", old, {}), old)


@pytest.mark.parametrize(
    ("entry", "field", "words"),
    [
        ({"ip": "1.2.3"}, "ip", "must be a valid IP address"),
        ({"hostname": "A b"}, "hostname", "RFC 1123 subdomain"),
        ({"hostname": "1.2.3.4"}, "hostname", "must be a DNS name, not an IP address"),
    ],
)
def test_broken_status_of_an_ingress(entry: dict[str, Any], field: str, words: str) -> None:
    new = make("Ingress", {"status.loadBalancer.ingress": [entry]})
    errors = strategy_of("Ingress").validate_subresource("status", new, complete("Ingress"))
    assert_says(errors, f"status.loadBalancer.ingress[0].{field}", words)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.controller": ""}, "spec.controller", "Required value"),
        ({"spec.controller": "proxy"}, "spec.controller", "must be a domain-prefixed path"),
        ({"spec.controller": "A/b"}, "spec.controller", "RFC 1123 subdomain"),
        ({"spec.controller": "a.b/c d"}, "spec.controller", '"c d": Invalid path'),
        ({"spec.controller": f"a/{'b' * 250}"}, "spec.controller", "may not be more than 250"),
        (
            {"spec.parameters": {"kind": "", "name": "a"}},
            "spec.parameters.kind",
            "kind is required",
        ),
        (
            {"spec.parameters": {**PARAMETERS, "namespace": "a"}},
            "spec.parameters.namespace",
            "Forbidden: `parameters.scope` is set to 'Cluster'",
        ),
        (
            {"spec.parameters": {**PARAMETERS, "scope": "Namespace"}},
            "spec.parameters.namespace",
            "Required value: `parameters.scope` is set to 'Namespace'",
        ),
        (
            {"spec.parameters": {**PARAMETERS, "scope": "Namespace", "namespace": "a.b"}},
            "spec.parameters.namespace",
            "must not contain dots",
        ),
        (
            {"spec.parameters": {**PARAMETERS, "scope": "World"}},
            "spec.parameters.scope",
            'supported values: "Cluster", "Namespace"',
        ),
    ],
)
def test_broken_class(change: Change, field: str, words: str) -> None:
    errors = strategy_of("IngressClass").validate(complete("IngressClass", change))
    assert_says(errors, field, words)


def test_the_controller_of_a_class_never_changes() -> None:
    old = complete("IngressClass", {"spec.parameters": PARAMETERS})
    assert old.spec.parameters.scope == "Cluster"
    new = changed("IngressClass", old, {"spec.controller": "example.com/other"})
    errors = strategy_of("IngressClass").validate_update(new, old)
    assert_says(errors, "spec.controller", "field is immutable")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (
            {"spec.podSelector": {"matchLabels": {"a b": "c"}}},
            "spec.podSelector.matchLabels",
            "name part must consist of",
        ),
        ({"spec.policyTypes": ["Both"]}, "spec.policyTypes[0]", '"Ingress", "Egress"'),
        (
            {"spec.policyTypes": ["Ingress", "Egress", "Ingress"]},
            "spec.policyTypes",
            "may not specify more than two policyTypes",
        ),
        ({f"{RULE}.ports[0].protocol": "ICMP"}, f"{RULE}.ports[0].protocol", "Unsupported value"),
        ({f"{RULE}.ports[0].port": 0}, f"{RULE}.ports[0].port", "must be between 1 and 65535"),
        ({f"{RULE}.ports[2].port": "a_b"}, f"{RULE}.ports[2].port", "alpha-numeric"),
        (
            {f"{RULE}.ports[0].endPort": 80},
            f"{RULE}.ports[0].endPort",
            "must be greater than or equal to `port`",
        ),
        ({f"{RULE}.ports[1].endPort": 70000}, f"{RULE}.ports[1].endPort", "must be between 1"),
        (
            {f"{RULE}.ports[2].endPort": 80},
            f"{RULE}.ports[2].endPort",
            "may not be specified when `port` is non-numeric",
        ),
        (
            {f"{RULE}.ports[1].port": REMOVE},
            f"{RULE}.ports[1].endPort",
            "may not be specified when `port` is not specified",
        ),
        ({f"{RULE}.from[0]": {}}, f"{RULE}.from[0]", "must specify a peer"),
        (
            {f"{RULE}.from[0].ipBlock": {"cidr": "10.0.0.0/8"}},
            f"{RULE}.from[0]",
            "may not specify both ipBlock and another peer",
        ),
        (
            {f"{RULE}.from[0].namespaceSelector": {"matchLabels": {"a": "b c"}}},
            f"{RULE}.from[0].namespaceSelector.matchLabels",
            "a valid label must be",
        ),
        ({f"{RULE}.from[1].ipBlock.cidr": ""}, f"{RULE}.from[1].ipBlock.cidr", "Required value"),
        (
            {f"{RULE}.from[1].ipBlock.cidr": "10.0.0.0"},
            f"{RULE}.from[1].ipBlock.cidr",
            "must be a valid CIDR value",
        ),
        (
            {f"{RULE}.from[1].ipBlock.except[0]": "10.1"},
            f"{RULE}.from[1].ipBlock.except[0]",
            "must be a valid CIDR value",
        ),
        (
            {f"{RULE}.from[1].ipBlock.except[0]": "10.0.0.0/8"},
            f"{RULE}.from[1].ipBlock.except[0]",
            "must be a strict subset of `cidr`",
        ),
        (
            {f"{RULE}.from[1].ipBlock.except[0]": "2001:db8::/64"},
            f"{RULE}.from[1].ipBlock.except[0]",
            "must be a strict subset of `cidr`",
        ),
        ({"spec.egress[0].to": [{}]}, "spec.egress[0].to[0]", "must specify a peer"),
        (
            {"spec.egress[0].ports": [{"endPort": 1}]},
            "spec.egress[0].ports[0].endPort",
            "may not be specified when `port` is not specified",
        ),
    ],
)
def test_broken_policy(change: Change, field: str, words: str) -> None:
    errors = strategy_of("NetworkPolicy").validate(complete("NetworkPolicy", change))
    assert_says(errors, field, words)


def test_a_policy_is_about_what_it_speaks_of() -> None:
    both = complete("NetworkPolicy")
    assert both.spec.policy_types == ["Ingress", "Egress"]
    assert [port.protocol for port in both.spec.ingress[0].ports] == ["TCP", "UDP", "TCP"]
    only = complete("NetworkPolicy", {"spec.egress": REMOVE})
    assert only.spec.policy_types == ["Ingress"]
    outgoing = complete("NetworkPolicy", {"spec.egress": [{"ports": [{"port": 53}]}]})
    assert outgoing.spec.egress[0].ports[0].protocol == "TCP"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec": {}}, "spec.parentRef", "Required value"),
        ({"spec.parentRef.name": ""}, "spec.parentRef.name", "Required value"),
        ({"spec.parentRef.resource": ""}, "spec.parentRef.resource", "Required value"),
        ({"spec.parentRef.group": "A"}, "spec.parentRef.group", "RFC 1123 subdomain"),
        ({"spec.parentRef.namespace": "a/b"}, "spec.parentRef.namespace", "may not contain '/'"),
    ],
)
def test_broken_address(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of("IPAddress").validate(complete("IPAddress", change)), field, words)


def test_an_address_is_its_own_name_and_keeps_its_owner() -> None:
    strategy = strategy_of("IPAddress")
    assert "must be a valid IP" in strategy.validate_name("web", generated=False)[0]
    uncanonical = strategy.validate_name("2001:DB8:0::1", generated=False)
    assert uncanonical == ["must be a canonical format IP address"]
    old = complete("IPAddress")
    new = changed("IPAddress", old, {"spec.parentRef.name": "other"})
    assert_says(strategy.validate_update(new, old), "spec.parentRef", "field is immutable")


@pytest.mark.parametrize(
    ("cidrs", "field", "words"),
    [
        ([], "spec.cidrs", "at least one CIDR required"),
        (["10.97.0.1/16"], "spec.cidrs[0]", "must not have bits set beyond the prefix length"),
        (["10.0.0.0"], "spec.cidrs[0]", "must be a valid CIDR value"),
        (["10.0.0.0/16", "10.1.0.0/16"], "spec.cidrs", "may specify no more than one IP for each"),
        (["10.0.0.0/16", "a::/112", "b::/112"], "spec.cidrs", "may only hold up to 2 values"),
    ],
)
def test_broken_ranges(cidrs: list[str], field: str, words: str) -> None:
    obj = complete("ServiceCIDR", {"spec.cidrs": cidrs})
    assert_says(strategy_of("ServiceCIDR").validate(obj), field, words)


def test_a_second_family_may_come_and_no_range_changes() -> None:
    strategy = strategy_of("ServiceCIDR")
    one = complete("ServiceCIDR", {"spec.cidrs": ["10.97.0.0/16"]})
    two = complete("ServiceCIDR")
    assert not strategy.validate_update(two, one)
    assert not strategy.validate_update(two, two)
    assert_says(strategy.validate_update(one, two), "spec.cidrs", "field is immutable")
    other = complete("ServiceCIDR", {"spec.cidrs": ["10.98.0.0/16"]})
    assert_says(strategy.validate_update(other, one), "spec.cidrs[0]", "field is immutable")
