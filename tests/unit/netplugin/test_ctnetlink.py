"""The kernel's words about flows, taken apart: what is of use, what is skipped, what is a refusal."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator, Sequence

import pytest

from base.errors import TemporaryError
from netplugin.proxy import ctnetlink
from netplugin.proxy.conntrack import Conntrack
from netplugin.proxy.ctnetlink import Flow, Place, deleted, deletion, flows

FLOW = Flow(("10.244.1.9", 4000), ("10.96.0.53", 53), ("10.244.1.2", 5353))
DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 7, 0)


def attribute(kind: int, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack("=HH", 4 + len(inside), kind) + inside + bytes(-len(inside) % 4)


def message(*attributes: bytes) -> bytes:
    inside = struct.pack("=BBH", 2, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(inside), 0x100, 2, 1, 7) + inside


def side(kind: int, source: Place, destination: Place, protocol: int = 17) -> bytes:
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    first = 1 if family == socket.AF_INET else 3
    return attribute(
        kind | 0x8000,
        attribute(
            1 | 0x8000,
            attribute(first, socket.inet_pton(family, source[0])),
            attribute(first + 1, socket.inet_pton(family, destination[0])),
        ),
        attribute(
            2 | 0x8000,
            attribute(1, bytes([protocol])),
            attribute(2, struct.pack("!H", source[1])),
            attribute(3, struct.pack("!H", destination[1])),
        ),
    )


def tracked(flow: Flow, protocol: int = 17) -> bytes:
    """As a kernel has it: with much else, in an order of its own."""
    return message(
        side(1, flow.source, flow.destination, protocol),
        side(2, flow.answers, flow.source, protocol),
        attribute(3, struct.pack("!I", 0x18E)),
        attribute(11, struct.pack("!I", 1)),
        attribute(12, b"\1"),
    )


def answer(code: int) -> bytes:
    return struct.pack("=IHHIIi", 36, 2, 0, 1, 7, -code) + bytes(16)


def test_what_is_of_use() -> None:
    other = Flow(("10.244.1.9", 4001), ("10.96.0.53", 53), ("10.96.0.53", 53))
    assert flows(tracked(FLOW) + tracked(other)) == ([FLOW, other], False)
    assert flows(tracked(FLOW) + DONE + tracked(other)) == ([FLOW], True)
    assert flows(DONE) == ([], True)


def test_what_is_skipped() -> None:
    six = Flow(("2001:db8::1", 1), ("2001:db8::2", 2), ("2001:db8::3", 3))
    half = message(side(1, FLOW.source, FLOW.destination))
    empty = message(attribute(3, b"abcd"))
    assert flows(tracked(FLOW, protocol=6) + tracked(six) + half + empty + DONE) == ([], True)


def test_refusals() -> None:
    with pytest.raises(PermissionError):
        flows(answer(errno.EPERM))
    assert deleted(answer(0) + answer(errno.ENOENT) + answer(0)) == (3, 2)
    with pytest.raises(OSError, match="Device or resource busy"):
        deleted(answer(0) + answer(errno.EBUSY))


def test_words_that_break_off() -> None:
    whole = tracked(FLOW)
    for length in range(16, len(whole)):
        with pytest.raises(OSError, match="Bad message"):
            flows(whole + whole[:length])
    with pytest.raises(OSError, match="Bad message"):
        flows(bytes(32))


def test_a_flow_that_tells_less_than_it_says() -> None:
    whole = tracked(FLOW)
    for at in range(20, len(whole), 2):
        broken = whole[:at] + b"\xff\x7f" + whole[at + 2 :]
        found, last = flows(broken)
        assert len(found) <= 1 and not last


def test_a_deletion_names_the_flow() -> None:
    order = deletion(FLOW, 5)
    length, kind, flags, number, _ = struct.unpack_from("=IHHII", order)
    assert (length, kind, flags, number) == (len(order), 0x102, 5, 5)
    assert order[20:] == side(1, FLOW.source, FLOW.destination)


def test_many_orders_are_given_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def talk(orders: Sequence[bytes]) -> Iterator[bytes]:
        given.append(len(orders))
        yield from (answer(0) for _ in orders[1:])
        yield answer(errno.ENOENT)

    monkeypatch.setattr(ctnetlink, "talk", talk)
    assert Conntrack().delete([FLOW] * 150) == 147
    assert given == [64, 64, 22]


@pytest.mark.parametrize("ask", [lambda: Conntrack().flows(), lambda: Conntrack().delete([FLOW])])
def test_a_kernel_that_says_nothing(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(orders: Sequence[bytes]) -> Iterator[bytes]:
        raise TimeoutError("timed out")
        yield

    monkeypatch.setattr(ctnetlink, "talk", talk)
    with pytest.raises(TemporaryError, match="timed out"):
        ask()
