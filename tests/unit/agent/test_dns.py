"""The pod's hostname, hosts file and resolv.conf."""

from __future__ import annotations

import pytest

from agent.spec import dns
from agent.spec.dns import ResolvConf
from agent.spec.errors import ConfigError
from api.core import HostAlias, PodDNSConfig, PodDNSConfigOption
from tests.unit.agent.builders import make_pod

NODE = ResolvConf(nameservers=("192.0.2.53",), searches=("example.org",), options=("timeout:1",))
OWN = ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local")
CLUSTER = ResolvConf(
    nameservers=("10.96.0.10",), searches=(*OWN, "example.org"), options=("ndots:5",)
)


def conf(**spec: object) -> ResolvConf:
    return dns.resolv_conf(
        make_pod(**spec),  # type: ignore[arg-type]
        node=NODE,
        cluster_dns=("10.96.0.10",),
        cluster_domain="cluster.local",
    )


POLICIES = [
    ({}, CLUSTER),
    ({"dns_policy": "ClusterFirst"}, CLUSTER),
    ({"dns_policy": "Default"}, NODE),
    ({"dns_policy": "None"}, ResolvConf()),
    ({"host_network": True}, NODE),
    ({"host_network": True, "dns_policy": "ClusterFirst"}, NODE),
    ({"host_network": True, "dns_policy": "ClusterFirstWithHostNet"}, CLUSTER),
]


@pytest.mark.parametrize(("spec", "expected"), POLICIES)
def test_policies(spec: dict[str, object], expected: ResolvConf) -> None:
    assert conf(**spec) == expected


def test_a_config_adds_to_the_policy() -> None:
    config = PodDNSConfig(
        nameservers=["192.0.2.99", "10.96.0.10"],
        searches=["more.example.org", "example.org"],
        options=[PodDNSConfigOption(name="ndots", value="2"), PodDNSConfigOption(name="edns0")],
    )
    found = conf(dns_config=config)
    assert found.nameservers == ("10.96.0.10", "192.0.2.99")
    assert found.searches == (*OWN, "example.org", "more.example.org")
    assert found.options == ("ndots:2", "edns0")


def test_limits() -> None:
    config = PodDNSConfig(
        nameservers=[f"192.0.2.{n}" for n in range(9)],
        searches=[f"s{n}.example.org" for n in range(50)],
    )
    found = conf(dns_policy="None", dns_config=config)
    assert (len(found.nameservers), len(found.searches)) == (3, 32)
    long = PodDNSConfig(
        searches=["x" * 250 for _ in range(3)] + ["y" * 250 + str(n) for n in range(20)]
    )
    assert len(" ".join(conf(dns_policy="None", dns_config=long).searches)) <= 2048


def test_text_and_back() -> None:
    text = CLUSTER.text()
    assert text == (
        "search ns.svc.cluster.local svc.cluster.local cluster.local example.org\n"
        "nameserver 10.96.0.10\n"
        "options ndots:5\n"
    )
    assert dns.parse(text) == CLUSTER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ResolvConf()),
        ("# comment\n; other\nnameserver 1.1.1.1 # x\n", ResolvConf(nameservers=("1.1.1.1",))),
        ("search a b\nsearch c\n", ResolvConf(searches=("c",))),
        ("domain a\n", ResolvConf(searches=("a",))),
        ("options ndots:1\noptions rotate\n", ResolvConf(options=("ndots:1", "rotate"))),
        ("nonsense\nnameserver\n", ResolvConf()),
    ],
)
def test_parsing(text: str, expected: ResolvConf) -> None:
    assert dns.parse(text) == expected


HOSTNAMES = [
    ({}, "pod"),
    ({"hostname": "web-0"}, "web-0"),
    ({"hostname_override": "other"}, "other"),
    ({"hostname_override": "x" * 64, "hostname": "web", "subdomain": "sub"}, "x" * 64),
    ({"hostname": "x" * 70}, "x" * 63),
    ({"hostname": "x" * 62 + "-y"}, "x" * 62),
    ({"hostname": "web", "subdomain": "sub"}, "web"),
    (
        {"hostname": "web", "subdomain": "sub", "set_hostname_as_fqdn": True},
        "web.sub.ns.svc.cluster.local",
    ),
    ({"set_hostname_as_fqdn": True}, "pod"),
]


@pytest.mark.parametrize(("spec", "expected"), HOSTNAMES)
def test_hostnames(spec: dict[str, object], expected: str) -> None:
    assert dns.kernel_hostname(make_pod(**spec), "cluster.local") == expected  # type: ignore[arg-type]


def test_a_whole_name_that_is_too_long_is_not_cut() -> None:
    def name(length: int) -> str:
        pod = make_pod(hostname="h" * length, subdomain="sub", set_hostname_as_fqdn=True)
        return dns.kernel_hostname(pod, "cluster.local")

    rest = len(".sub.ns.svc.cluster.local")
    assert len(name(64 - rest)) == 64
    with pytest.raises(ConfigError) as raised:
        name(65 - rest)
    assert raised.value.message == (
        f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {'h' * (65 - rest)}"
        ".sub.ns.svc.cluster.local is too long (64 characters is the max, 65 characters requested)"
    )


def compromises(cluster_dns: tuple[str, ...] = ("10.96.0.10",), **spec: object) -> dict[str, str]:
    pod = make_pod(**spec)  # type: ignore[arg-type]
    return {
        words.partition(",")[0]: reason
        for reason, words in dns.compromises(
            pod, node=NODE, cluster_dns=cluster_dns, cluster_domain="cluster.local"
        )
    }


def test_compromises_are_told() -> None:
    assert compromises() == {}
    many = PodDNSConfig(
        nameservers=[f"192.0.2.{n}" for n in range(4)],
        searches=[f"s{n}.example.org" for n in range(33)],
    )
    assert compromises(dns_policy="None", dns_config=many) == {
        "Nameserver limits were exceeded": "DNSConfigForming",
        "Search Line limits were exceeded": "DNSConfigForming",
    }
    for policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        assert list(compromises((), dns_policy=policy).values()) == ["MissingClusterDNS"]
    for spec in ({"dns_policy": "Default"}, {"dns_policy": "None"}, {"host_network": True}):
        assert compromises((), **spec) == {}


HEAD = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


@pytest.mark.parametrize(
    ("spec", "ip", "tail"),
    [
        ({}, "10.244.1.7", "10.244.1.7\tpod\n"),
        ({}, "", ""),
        (
            {"hostname": "web", "subdomain": "sub"},
            "10.244.1.7",
            "10.244.1.7\tweb.sub.ns.svc.cluster.local\tweb\n",
        ),
        (
            {"host_aliases": [HostAlias(ip="192.0.2.9", hostnames=["a", "b.example"])]},
            "10.244.1.7",
            "10.244.1.7\tpod\n\n# Entries added by HostAliases.\n192.0.2.9\ta\tb.example\n",
        ),
    ],
)
def test_hosts(spec: dict[str, object], ip: str, tail: str) -> None:
    assert dns.hosts(make_pod(**spec), ip=ip, cluster_domain="cluster.local") == HEAD + tail  # type: ignore[arg-type]


def test_hosts_of_a_host_network_pod() -> None:
    pod = make_pod(host_network=True, host_aliases=[HostAlias(ip="192.0.2.9", hostnames=["a"])])
    text = dns.host_network_hosts(pod, node_hosts="127.0.0.1 localhost\n")
    assert text == (
        "# Kubernetes-managed hosts file (host network).\n"
        "127.0.0.1 localhost\n"
        "\n# Entries added by HostAliases.\n192.0.2.9\ta\n"
    )
