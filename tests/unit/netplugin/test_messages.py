"""Packets in and out, and the server between them, without a socket."""

from __future__ import annotations

import asyncio
import random
import socket
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import dnslib
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from base.tasks import TaskGuard
from netplugin.dns import message
from netplugin.dns.message import MalformedError, Query
from netplugin.dns.server import DnsServer
from netplugin.dns.upstream import Source, Upstream
from netplugin.dns.zone import Answer, Cname, Outcome, Zone
from tests.unit.netplugin.objects import endpoint, endpoint_slice, service

WEB = "web.default.svc.cluster.local"
MANY = "many.default.svc.cluster.local"


def zone(*services: Any, slices: Any = ()) -> Zone:
    return Zone(
        services,
        slices,
        domain="cluster.local",
        server=IPv4Address("10.96.0.10"),
        ranges=(IPv4Network("10.96.0.0/12"),),
    )


def server(*, loaded: bool = True) -> DnsServer:
    made = DnsServer(
        address=IPv4Address("127.0.0.1"),
        domain="cluster.local",
        nothing=zone(),
        upstream=Upstream(Source(file=Path("/dev/null/none"), own=IPv4Address("127.0.0.1"))),
        guard=TaskGuard("test"),
        shuffle=random.Random(1),
    )
    if loaded:
        pods = [endpoint(f"10.244.1.{n}") for n in range(1, 101)]
        made.set_zone(
            zone(
                service(),
                service("many", "None"),
                service("few", "None"),
                slices=[endpoint_slice(*pods, of="many"), endpoint_slice(*pods[:3], of="few")],
            )
        )
    return made


def question(name: str, kind: str = "A", *, edns: int = 0) -> bytes:
    record = dnslib.DNSRecord.question(name, kind)
    if edns:
        record.add_ar(dnslib.EDNS0(udp_len=edns))
    return bytes(record.pack())


def reply(made: DnsServer, packet: bytes, *, tcp: bool = False) -> Any:
    answer = made.answer_now(packet, tcp=tcp)
    assert isinstance(answer, bytes)
    assert answer[:2] == packet[:2]
    return dnslib.DNSRecord.parse(answer)


def test_reading_a_question() -> None:
    query = message.read(question("Web.Example.COM", "SRV", edns=4096))
    assert (query.name, query.kind_name, query.edns) == ("web.example.com", "SRV", True)
    assert query.limit == message.EDNS_LIMIT
    assert message.read(question("example.com")).limit == message.PLAIN_LIMIT


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (b"\0\1\x80\0\0\1\0\0\0\0\0\0\0\0\1\0\1", None),  # a response
        (b"\0\1\x28\0\0\1\0\0\0\0\0\0\0\0\1\0\1", message.NOT_IMPLEMENTED),  # an update
        (b"\0\1\1\0\0\0\0\0\0\0\0\0", message.FORMAT_ERROR),
        (b"\0\1\1\0\0\2\0\0\0\0\0\0\0\0\1\0\1\0\0\1\0\1", message.FORMAT_ERROR),
        (b"\0\1\1\0\0\1\0\0\0\0\0\0\3ab", message.FORMAT_ERROR),
        (b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", message.FORMAT_ERROR),  # a pointer at itself
        (b"\0\1\1\0\0\1\0\0\0\0\0\0\0\0\1\0\3", message.REFUSED),  # class CHAOS
    ],
)
def test_what_is_not_a_question(packet: bytes, rcode: int | None) -> None:
    with pytest.raises(MalformedError) as caught:
        message.read(packet)
    assert caught.value.rcode == rcode


def test_an_answer_repeats_the_questions_spelling() -> None:
    answer = reply(server(), question("wEb.DeFault.svc.cluster.LOCAL"))
    assert str(answer.q.qname) == "wEb.DeFault.svc.cluster.LOCAL."
    assert str(answer.rr[0].rdata) == "10.96.1.1"
    assert (answer.header.aa, answer.header.ra, answer.header.rd) == (1, 1, 1)


def test_kept_answers_equal_fresh_ones() -> None:
    made = server()
    first = reply(made, question(WEB))
    second = reply(made, question(WEB.upper()))
    assert made.statistics()["kept_hits"] == 1
    assert [str(r.rdata) for r in first.rr] == [str(r.rdata) for r in second.rr]
    assert str(second.q.qname) == WEB.upper() + "."
    made.set_zone(zone())
    assert reply(made, question(WEB)).header.rcode == message.NO_SUCH_NAME


def test_a_no_carries_the_soa() -> None:
    missing = reply(server(), question("nobody.default.svc.cluster.local"))
    assert missing.header.rcode == message.NO_SUCH_NAME
    assert missing.auth[0].rtype == dnslib.QTYPE.SOA
    assert missing.auth[0].rdata.times[-1] == 5
    nothing = reply(server(), question(WEB, "AAAA", edns=1232))
    assert (nothing.header.rcode, nothing.rr) == (0, [])
    assert any(record.rtype == dnslib.QTYPE.OPT for record in nothing.ar)


def test_names_are_not_denied_before_they_are_known() -> None:
    early = reply(server(loaded=False), question(WEB))
    assert early.header.rcode == message.SERVER_FAILURE


def test_long_answers_are_cut_over_udp_only() -> None:
    made = server()
    for packet in (question(MANY), question(MANY, edns=4096)):
        cut = reply(made, packet)
        assert (cut.header.tc, cut.rr) == (1, [])
    whole = reply(made, question(MANY), tcp=True)
    assert (whole.header.tc, len(whole.rr)) == (0, 100)


def test_several_addresses_come_in_changing_order() -> None:
    made = server()
    firsts = {
        str(reply(made, question("few.default.svc.cluster.local")).rr[0].rdata) for _ in range(50)
    }
    assert firsts == {"10.244.1.1", "10.244.1.2", "10.244.1.3"}


def test_other_names_are_for_upstream() -> None:
    assert isinstance(server().answer_now(question("example.com"), tcp=False), Query)


labels = st.lists(st.binary(min_size=1, max_size=63), max_size=6)


@given(labels, st.integers(0, 65535), st.booleans())
def test_any_name_in_our_zone_has_an_answer(names: list[bytes], kind: int, tcp: bool) -> None:
    ours = [*names, b"default", b"svc", b"cluster", b"local"]
    encoded = b"".join(bytes([len(label)]) + label for label in ours) + b"\0"
    packet = b"\0\7\1\0\0\1\0\0\0\0\0\0" + encoded + kind.to_bytes(2, "big") + b"\0\1"
    answer = server().answer_now(packet, tcp=tcp)
    assert answer is not None


@given(labels)
def test_any_pod_name_has_an_answer(names: list[bytes]) -> None:
    ours = [b"10-244-1-2", *names[:1], b"pod", b"cluster", b"local"]
    encoded = b"".join(bytes([len(label)]) + label for label in ours) + b"\0"
    packet = b"\0\7\1\0\0\1\0\0\0\0\0\0" + encoded + b"\0\1\0\1"
    assert isinstance(server().answer_now(packet, tcp=False), bytes)


@given(st.binary(max_size=300))
def test_any_packet_is_survived(packet: bytes) -> None:
    server().answer_now(packet, tcp=False)


LONG = "e.default.svc.cluster.local"


@pytest.mark.parametrize("external", ["a" * 64 + ".example", "a..b", ("a" * 60 + ".") * 5 + "z"])
def test_a_name_that_fits_no_packet_is_a_failure_and_not_silence(external: str) -> None:
    """Also on the agent's own loop, which survives what a protocol raises."""

    async def ask(port: int, name: str, kind: str) -> int:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(("127.0.0.1", port))
            await loop.sock_sendall(sock, bytes(dnslib.DNSRecord.question(name, kind).pack()))
            async with asyncio.timeout(60):
                return message.rcode(await loop.sock_recv(sock, 2000))

    async def body() -> list[int]:
        made = server()
        made._port = 0
        long = service("e", "", type="ExternalName", external_name=external)
        made.set_zone(zone(service(), long))
        await made.start()
        assert made._udp is not None
        port = made._udp.get_extra_info("sockname")[1]
        try:
            questions = [(LONG, "CNAME"), (LONG, "A"), (WEB, "A")]
            return [await ask(port, *question) for question in questions]
        finally:
            await made.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(body()) == [
            message.SERVER_FAILURE,
            message.SERVER_FAILURE,
            message.NO_ERROR,
        ]


def test_what_another_server_answers_may_be_anything() -> None:
    """A record of the wrong type: dnslib raises an IndexError of its own."""
    packet = bytes.fromhex(
        "f76f858000010006000000000178076578616d706c650000010001c00c000100010000003c00"
        "0401020304c00c002100010000003c00110001000200030179076578616d706c6500c00c002f"
        "00010000003c00060568656c6c6fc00c000600010000003c001a016100016200000000010000"
        "0002000000030000000400000005c00c002300010000003c000e000100020161016201630164"
        "c00ec00c000f00010000003c00060005017ac00e"
    )
    query = message.read(bytes(dnslib.DNSRecord.question(LONG, "A").pack()))
    found = Answer(Outcome.FOUND, (Cname(LONG, "x.example"),), chase="x.example")
    with pytest.raises(MalformedError):
        message.answer(query, found, domain="cluster.local", chased=packet)
