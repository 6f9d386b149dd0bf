"""Asking other resolvers: fall-through, failure, sharing, loops. Resolvers here are on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import dnslib
import pytest

from netplugin.dns import message, upstream
from netplugin.dns.message import Query
from netplugin.dns.upstream import NoAnswerError, Source, Upstream

OWN = IPv4Address("10.96.0.10")
Behaviour = Callable[[bytes], bytes | None]


def query(name: str = "example.com") -> Query:
    return message.read(bytes(dnslib.DNSRecord.question(name).pack()))


def good(packet: bytes) -> bytes:
    answer = dnslib.DNSRecord.parse(packet).reply()
    answer.add_answer(*dnslib.RR.fromZone("example.com 60 A 198.51.100.7"))
    return bytes(answer.pack())


def failing(packet: bytes) -> bytes:
    answer = dnslib.DNSRecord.parse(packet).reply()
    answer.header.rcode = message.SERVER_FAILURE
    return bytes(answer.pack())


def forged(packet: bytes) -> bytes:
    return bytes([packet[0] ^ 1]) + good(packet)[1:]


class Resolver(asyncio.DatagramProtocol):
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.asked += 1
        answer = self.behaviour(data)
        if answer is not None:
            self.transport.sendto(answer, addr)

    @property
    def place(self) -> str:
        port = self.transport.get_extra_info("sockname")[1]
        return f"127.0.0.1:{port}"


@asynccontextmanager
async def resolver(behaviour: Behaviour) -> AsyncIterator[Resolver]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Resolver(behaviour), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol
    finally:
        transport.close()


def asking(*places: str) -> Upstream:
    return Upstream(Source(fixed=places, file=Path("/dev/null/none"), own=OWN))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "TIMEOUT", 0.05)
    monkeypatch.setattr(upstream, "DEADLINE", 0.5)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """For who is answered: whose turn it is, is not ours to say."""
    monkeypatch.setattr(upstream, "TIMEOUT", 1.0)
    monkeypatch.setattr(upstream, "DEADLINE", 60.0)


@pytest.mark.usefixtures("patient")
async def test_the_first_useful_answer_counts() -> None:
    async with resolver(lambda _: None) as mute, resolver(failing) as bad, resolver(good) as fine:
        asked = query()
        answer = await asking(mute.place, bad.place, fine.place).ask(asked, tcp=False)
    parsed = dnslib.DNSRecord.parse(answer)
    assert parsed.header.id == asked.id
    assert str(parsed.rr[0].rdata) == "198.51.100.7"


@pytest.mark.usefixtures("patient")
async def test_a_failure_of_all_is_passed_on() -> None:
    async with resolver(failing) as bad:
        answer = await asking(bad.place).ask(query(), tcp=False)
    assert message.rcode(answer) == message.SERVER_FAILURE


async def test_silence_ends_in_an_error() -> None:
    async with resolver(lambda _: None) as mute:
        with pytest.raises(NoAnswerError):
            await asking(mute.place).ask(query(), tcp=False)
    with pytest.raises(NoAnswerError):
        await asking().ask(query(), tcp=False)


async def test_an_answer_to_another_question_is_not_believed() -> None:
    async with resolver(forged) as liar:
        with pytest.raises(NoAnswerError):
            await asking(liar.place).ask(query(), tcp=False)


@pytest.mark.usefixtures("patient")
async def test_equal_questions_share_one_exchange() -> None:
    async with resolver(good) as fine:
        asked = asking(fine.place)
        answers = await asyncio.gather(*(asked.ask(query(), tcp=False) for _ in range(50)))
        assert fine.asked == 1
    assert {len(answer) for answer in answers} == {len(answers[0])}
    assert asked.statistics()["shared"] == 49


async def test_a_resolver_that_asks_us_back_does_not_multiply() -> None:
    asked = asking()
    waiting: list[asyncio.Task[bytes]] = []

    def ask_back(packet: bytes) -> None:
        waiting.append(asyncio.get_running_loop().create_task(asked.ask(query(), tcp=False)))

    async with resolver(ask_back) as looping:
        asked._source = Source(fixed=(looping.place,), file=Path("/dev/null/none"), own=OWN)
        with pytest.raises(NoAnswerError):
            await asked.ask(query(), tcp=False)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert looping.asked <= upstream.ROUNDS
    assert all(isinstance(result, NoAnswerError) for result in results)


async def test_too_many_questions_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "MAX_IN_FLIGHT", 2)
    async with resolver(lambda _: None) as mute:
        asked = asking(mute.place)
        results = await asyncio.gather(
            *(asked.ask(query(f"n{n}.example"), tcp=False) for n in range(4)),
            return_exceptions=True,
        )
    assert sum("are waiting" in str(result) for result in results) == 2
    assert asked.statistics()["in_flight"] == 0


def test_resolv_conf_is_followed_and_never_leads_to_ourselves(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    asked = Upstream(Source(file=file, own=OWN))
    assert asked.resolvers() == ()
    file.write_text("nameserver 10.96.0.10\nnameserver 192.0.2.53\nnameserver fe80::1\n")
    assert asked.resolvers() == (("192.0.2.53", 53),)
    file.write_text("nameserver 192.0.2.54\n")
    os.utime(file, (1, 1))
    assert asked.resolvers() == (("192.0.2.54", 53),)
