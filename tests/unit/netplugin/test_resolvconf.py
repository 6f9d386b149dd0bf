"""The resolv.conf of pods by policy, with what dnsConfig adds."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from api.core import Container, Pod, PodSpec
from api.core.pod import PodDNSConfig, PodDNSConfigOption
from api.meta import ObjectMeta
from netplugin.dns.resolvconf import PodResolvConf, ResolvConf, parse, pod_resolv_conf

NODE = ResolvConf(("192.0.2.53",), ("corp.example",), ("timeout:1",))


def conf(*, config: PodDNSConfig | None = None, **spec: object) -> PodResolvConf:
    pod = Pod(
        metadata=ObjectMeta(name="p", namespace="shop"),
        spec=PodSpec(
            containers=[Container(name="c")],
            dns_config=config,
            **spec,  # type: ignore[arg-type]
        ),
    )
    return pod_resolv_conf(
        pod, cluster_dns=IPv4Address("10.96.0.10"), domain="cluster.local", node=NODE
    )


CLUSTER = (
    "nameserver 10.96.0.10\n"
    "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\n"
    "options ndots:5\n"
)
HOST = "nameserver 192.0.2.53\nsearch corp.example\noptions timeout:1\n"


@pytest.mark.parametrize(
    ("policy", "host_network", "expected"),
    [
        ("", False, CLUSTER),
        ("ClusterFirst", False, CLUSTER),
        ("ClusterFirst", True, HOST),
        ("ClusterFirstWithHostNet", True, CLUSTER),
        ("Default", False, HOST),
        ("None", False, ""),
    ],
)
def test_policies(policy: str, host_network: bool, expected: str) -> None:
    assert conf(dns_policy=policy, host_network=host_network).content == expected


def test_dns_config_adds_and_overrides() -> None:
    config = PodDNSConfig(
        nameservers=["192.0.2.1", "10.96.0.10"],
        searches=["extra.example", "cluster.local"],
        options=[
            PodDNSConfigOption(name="ndots", value="2"),
            PodDNSConfigOption(name="use-vc"),
        ],
    )
    assert conf(config=config).content == (
        "nameserver 10.96.0.10\nnameserver 192.0.2.1\n"
        "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example extra.example\n"
        "options ndots:2 use-vc\n"
    )
    only = conf(config=PodDNSConfig(nameservers=["192.0.2.1"]), dns_policy="None")
    assert only.content == "nameserver 192.0.2.1\n"


def test_what_exceeds_the_limits_is_named() -> None:
    many = PodDNSConfig(
        nameservers=[f"192.0.2.{n}" for n in range(1, 6)],
        searches=[f"n{n}.{'x' * 60}.example" for n in range(40)],
    )
    result = conf(config=many)
    assert result.content.count("nameserver") == 3
    assert [problem.split(";")[0] for problem in result.problems] == [
        "more than 3 nameservers",
        "the search path is too long",
    ]


def test_parsing_follows_the_c_library() -> None:
    text = (
        "# comment\nnameserver 192.0.2.1 # first\nsearch a.example b.example\n"
        "domain c.example\noptions ndots:2 rotate\noptions edns0\nnonsense\n; end\n"
    )
    assert parse(text) == ResolvConf(("192.0.2.1",), ("c.example",), ("ndots:2", "rotate", "edns0"))
