"""What names mean: every form of Kubernetes' DNS specification, and the right kind of "no"."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.discovery import EndpointPort
from netplugin.dns.zone import A, Answer, Cname, Outcome, Ptr, Srv, Zone
from tests.unit.netplugin.objects import endpoint, endpoint_slice, port, service

SERVICES = [
    service(ports=[port("http", 80), port("dns", 53, protocol="UDP")]),
    service("db", "None", ports=[port("pg", 5432)]),
    service("early", "None", publish_not_ready_addresses=True),
    service(
        "legacy",
        "None",
        annotations={"service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"},
    ),
    service("empty", "None"),
    service("away", "", type="ExternalName", external_name="db.Example.com."),
    service("alias", "", type="ExternalName", external_name="web.default.svc.cluster.local"),
    service("loop", "", type="ExternalName", external_name="loop.default.svc.cluster.local"),
    service("kubernetes", "10.96.0.1", ports=[port("https", 443)]),
    service("kube-dns", "10.96.0.10", namespace="kube-system", ports=[port("dns", 53)]),
]
SLICES = [
    endpoint_slice(
        endpoint("10.244.1.2", hostname="db-0"),
        endpoint("10.244.2.2", hostname="db-1"),
        endpoint("10.244.2.3"),
        endpoint("10.244.2.4", ready=False, hostname="db-9"),
        of="db",
        ports=[EndpointPort(name="pg", port=5432, protocol="TCP")],
    ),
    endpoint_slice(endpoint("10.244.3.1", ready=False), of="early"),
    endpoint_slice(endpoint("10.244.3.2", ready=False), of="legacy"),
    endpoint_slice(endpoint("10.244.1.9", hostname="web-0")),
]
ZONE = Zone(
    SERVICES,
    SLICES,
    domain="cluster.local",
    server=IPv4Address("10.96.0.10"),
    ranges=(IPv4Network("10.96.0.0/12"), IPv4Network("10.244.0.0/16")),
)
BELOW = "svc.cluster.local"


def ask(name: str, kind: str = "A") -> Answer:
    return ZONE.answer(name, kind)


def addresses(name: str) -> list[str]:
    return [record.address for record in ask(name).records if isinstance(record, A)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"web.default.{BELOW}", ["10.96.1.1"]),
        (f"WEB.Default.{BELOW}.", ["10.96.1.1"]),
        (f"kubernetes.default.{BELOW}", ["10.96.0.1"]),
        (f"db.default.{BELOW}", ["10.244.1.2", "10.244.2.2", "10.244.2.3"]),
        (f"db-0.db.default.{BELOW}", ["10.244.1.2"]),
        (f"10-244-2-3.db.default.{BELOW}", ["10.244.2.3"]),
        (f"web-0.web.default.{BELOW}", ["10.244.1.9"]),
        (f"early.default.{BELOW}", ["10.244.3.1"]),
        (f"legacy.default.{BELOW}", ["10.244.3.2"]),
        ("10-244-1-2.default.pod.cluster.local", ["10.244.1.2"]),
        ("ns.dns.cluster.local", ["10.96.0.10"]),
    ],
)
def test_addresses(name: str, expected: list[str]) -> None:
    assert ask(name).outcome is Outcome.FOUND
    assert addresses(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        f"nobody.default.{BELOW}",
        f"web.nowhere.{BELOW}",
        f"nowhere.{BELOW}",
        f"db-9.db.default.{BELOW}",  # not ready
        f"10-244-1-2.db.default.{BELOW}",  # it has a hostname
        f"_nope._tcp.web.default.{BELOW}",
        f"a.b.c.web.default.{BELOW}",
        "nonsense.cluster.local",
        "not-an-address.default.pod.cluster.local",
        "99.99.244.10.in-addr.arpa",
    ],
)
@pytest.mark.parametrize("kind", ["A", "AAAA", "SRV", "ANY", "PTR"])
def test_what_does_not_exist(name: str, kind: str) -> None:
    assert ask(name, kind).outcome is Outcome.NO_NAME


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"web.default.{BELOW}", "AAAA"),
        (f"web.default.{BELOW}", "MX"),
        (f"web.default.{BELOW}", ""),
        (f"empty.default.{BELOW}", "A"),
        (f"default.{BELOW}", "A"),
        (f"kube-system.{BELOW}", "A"),
        (BELOW, "A"),
        ("cluster.local", "A"),
        (f"_tcp.web.default.{BELOW}", "A"),
        (f"_http._tcp.web.default.{BELOW}", "A"),
        ("1.0.96.10.in-addr.arpa", "A"),
    ],
)
def test_what_exists_without_such_a_record(name: str, kind: str) -> None:
    assert ask(name, kind) == Answer(Outcome.NO_DATA)


def test_srv_of_a_vip_names_the_service() -> None:
    found = ask(f"_http._tcp.web.default.{BELOW}", "SRV")
    name = f"_http._tcp.web.default.{BELOW}"
    assert found.records == (Srv(name, 80, f"web.default.{BELOW}"),)
    assert found.additional == (A(f"web.default.{BELOW}", "10.96.1.1"),)
    assert ask(f"_dns._udp.web.default.{BELOW}", "SRV").outcome is Outcome.FOUND
    assert ask(f"_dns._tcp.web.default.{BELOW}", "SRV").outcome is Outcome.NO_NAME


def test_srv_of_a_headless_service_names_every_endpoint() -> None:
    found = ask(f"_pg._tcp.db.default.{BELOW}", "SRV")
    assert [(r.target, r.port) for r in found.records if isinstance(r, Srv)] == [
        (f"10-244-2-3.db.default.{BELOW}", 5432),
        (f"db-0.db.default.{BELOW}", 5432),
        (f"db-1.db.default.{BELOW}", 5432),
    ]
    assert {r.address for r in found.additional if isinstance(r, A)} == {
        "10.244.1.2",
        "10.244.2.2",
        "10.244.2.3",
    }


def test_srv_of_a_service_itself_lists_its_members() -> None:
    """`dig SRV kubia.default.svc.cluster.local`: how members of a StatefulSet find each other."""
    name = f"db.default.{BELOW}"
    found = ask(name, "SRV")
    assert found.records == (
        Srv(name, 5432, f"10-244-2-3.{name}"),
        Srv(name, 5432, f"db-0.{name}"),
        Srv(name, 5432, f"db-1.{name}"),
    )
    assert A(f"db-0.{name}", "10.244.1.2") in found.additional
    web = f"web.default.{BELOW}"
    assert ask(web.upper(), "SRV").records == (Srv(web, 80, web), Srv(web, 53, web))
    assert ask(f"empty.default.{BELOW}", "SRV") == Answer(Outcome.NO_DATA)
    assert addresses(name) == ["10.244.1.2", "10.244.2.2", "10.244.2.3"]


def test_external_names_are_aliases() -> None:
    away = ask(f"away.default.{BELOW}")
    assert away.records == (Cname(f"away.default.{BELOW}", "db.example.com"),)
    assert away.chase == "db.example.com"
    alias = ask(f"alias.default.{BELOW}")
    assert alias.records[1] == A(f"web.default.{BELOW}", "10.96.1.1")
    assert alias.chase == ""
    assert len(ask(f"loop.default.{BELOW}").records) <= 8
    assert ask(f"away.default.{BELOW}", "CNAME").chase == ""


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("1.0.96.10.in-addr.arpa", f"kubernetes.default.{BELOW}"),
        ("2.1.244.10.in-addr.arpa", f"db-0.db.default.{BELOW}"),
        ("3.2.244.10.IN-ADDR.arpa.", f"10-244-2-3.db.default.{BELOW}"),
    ],
)
def test_reverse(name: str, target: str) -> None:
    assert ask(name, "PTR").records == (Ptr(name.rstrip(".").lower(), target),)


def test_what_is_ours_to_answer() -> None:
    for name in (
        "cluster.local",
        f"x.{BELOW}",
        "1.0.96.10.in-addr.arpa",
        "9.9.244.10.in-addr.arpa",
    ):
        assert ZONE.owns(name)
    for name in ("example.com", "notcluster.local", "local", "", "1.2.0.192.in-addr.arpa"):
        assert not ZONE.owns(name)


def test_the_apex() -> None:
    assert {type(record).__name__ for record in ask("cluster.local", "ANY").records} == {
        "Soa",
        "Ns",
    }
    assert ask("dns-version.cluster.local", "TXT").outcome is Outcome.FOUND


@given(
    st.lists(
        st.sampled_from(
            [
                "web",
                "db",
                "default",
                "svc",
                "pod",
                "cluster",
                "local",
                "_tcp",
                "_http",
                "",
                "in-addr",
                "arpa",
                "10",
                "db-0",
                "dns",
            ]
        ),
        max_size=8,
    ),
    st.sampled_from(["A", "AAAA", "SRV", "CNAME", "PTR", "ANY", "TXT", "NS", "SOA", "HINFO"]),
)
def test_every_name_has_an_answer(labels: list[str], kind: str) -> None:
    found = ask(".".join(labels), kind)
    assert (found.outcome is Outcome.FOUND) == bool(found.records)
