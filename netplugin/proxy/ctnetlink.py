"""The kernel's table of flows on the wire: UDP over IPv4, listed and deleted (used by `conntrack.py`).

A node that serves names or takes calls tracks tens of thousands of UDP flows, and a full table has a
quarter of a million. pyroute2 makes an object of every attribute, which takes one to two milliseconds for
each flow, and the node's rules wait meanwhile; of each we want four fields at fixed depths. So these
messages are put together and taken apart here (netlink(7); linux/netfilter/nfnetlink_conntrack.h): a few
microseconds each. Whatever else the kernel tells of a flow is skipped.

The kernel leaves other protocols out itself since 5.8; older ones tell of all, which are skipped here.
Pure but for `talk`, which uses the namespace of the calling thread.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

UDP = 17
Place = tuple[str, int]

PATIENCE = 30.0
"""Seconds without a word from the kernel after which a question is given up."""
TOGETHER = 64
"""Deletions in one go: their answers must fit into the socket's buffer."""

_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_NESTED = 0x8000
_TYPE = 0x3FFF
_TUPLE_ORIG, _TUPLE_REPLY, _FILTER = 1, 2, 25
_IP, _PROTO = 1, 2
_SOURCE, _DESTINATION = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ORIG_FLAGS, _BY_PROTOCOL = 1, 1 << 3

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_IPV4 = struct.pack("=BBH", socket.AF_INET, 0, 0)


@dataclass(frozen=True, slots=True)
class Flow:
    """A conversation: how it was addressed, and who really answers."""

    source: Place
    destination: Place
    answers: Place


def dump() -> bytes:
    """The question for all flows."""
    protocol = _nested(_TUPLE_ORIG, _nested(_PROTO, _attribute(_NUMBER, bytes([UDP]))))
    by = _nested(_FILTER, _attribute(_ORIG_FLAGS, struct.pack("=I", _BY_PROTOCOL)))
    return _message(_GET, _REQUEST | _DUMP, 1, protocol + by)


def deletion(flow: Flow, number: int) -> bytes:
    """The order to forget a flow."""
    addresses = _attribute(_SOURCE, socket.inet_aton(flow.source[0]))
    addresses += _attribute(_DESTINATION, socket.inet_aton(flow.destination[0]))
    protocol = _attribute(_NUMBER, bytes([UDP]))
    protocol += _attribute(_SOURCE_PORT, struct.pack("!H", flow.source[1]))
    protocol += _attribute(_DESTINATION_PORT, struct.pack("!H", flow.destination[1]))
    original = _nested(_TUPLE_ORIG, _nested(_IP, addresses) + _nested(_PROTO, protocol))
    return _message(_DELETE, _REQUEST | _ACK, number, original)


def flows(answer: bytes) -> tuple[list[Flow], bool]:
    """What a part of an answer tells, and whether it was the last. Raises OSError."""
    found: list[Flow] = []
    for kind, begin, end in _messages(answer):
        if kind == _DONE:
            return found, True
        if kind == _ERROR:
            _check(answer, begin)
        elif (flow := _flow(answer, begin + len(_IPV4), end)) is not None:
            found.append(flow)
    return found, False


def deleted(answer: bytes) -> tuple[int, int]:
    """How many orders are answered, and how many flows were there. Raises OSError."""
    answered = gone = 0
    for kind, begin, _ in _messages(answer):
        if kind == _ERROR:
            answered += 1
            gone += _check(answer, begin, but=errno.ENOENT)  # it may have ended by itself
    return answered, gone


def talk(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Send them, and pass on the kernel's words until nobody listens. Raises OSError."""
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER
    ) as sock:
        sock.settimeout(PATIENCE)
        sock.bind((0, 0))
        sock.send(b"".join(messages))
        while True:
            yield sock.recv(1 << 18)


def _flow(data: bytes, begin: int, end: int) -> Flow | None:
    original = reply = None
    for kind, first, last in _attributes(data, begin, end):
        if kind == _TUPLE_ORIG:
            original = _tuple(data, first, last)
        elif kind == _TUPLE_REPLY:
            reply = _tuple(data, first, last)
    if original is None or reply is None:
        return None
    return Flow(source=original[0], destination=original[1], answers=reply[0])


def _tuple(data: bytes, begin: int, end: int) -> tuple[Place, Place] | None:
    """Where one direction begins and ends; None for other protocols and for IPv6."""
    addresses: dict[int, str] = {}
    ports: dict[int, int] = {}
    for kind, first, last in _attributes(data, begin, end):
        for field, one, other in _attributes(data, first, last) if kind in (_IP, _PROTO) else ():
            if kind == _IP and field in (_SOURCE, _DESTINATION) and other - one == 4:
                addresses[field] = socket.inet_ntoa(data[one:other])
            elif kind == _PROTO and field == _NUMBER and data[one] != UDP:
                return None
            elif kind == _PROTO and field in (_SOURCE_PORT, _DESTINATION_PORT):
                ports[field] = int.from_bytes(data[one:other], "big")
    if len(addresses) < 2 or len(ports) < 2:
        return None
    begins = addresses[_SOURCE], ports[_SOURCE_PORT]
    return begins, (addresses[_DESTINATION], ports[_DESTINATION_PORT])


def _messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, begin and end of each message's content."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        yield kind, at + _HEADER.size, at + length
        at += length + -length % 4


def _attributes(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    while begin + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, begin)
        if not _ATTRIBUTE.size <= length <= end - begin:
            return
        yield kind & _TYPE, begin + _ATTRIBUTE.size, begin + length
        begin += length + -length % 4


def _check(data: bytes, begin: int, *, but: int = 0) -> bool:
    """Whether an order was carried out; raises OSError for refusals other than `but`."""
    code = -int(_CODE.unpack_from(data, begin)[0])
    if code not in (0, but):
        raise OSError(code, os.strerror(code))
    return code == 0


def _message(kind: int, flags: int, number: int, content: bytes) -> bytes:
    length = _HEADER.size + len(_IPV4) + len(content)
    return _HEADER.pack(length, kind, flags, number, 0) + _IPV4 + content


def _attribute(kind: int, content: bytes) -> bytes:
    padding = bytes(-len(content) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), kind) + content + padding


def _nested(kind: int, content: bytes) -> bytes:
    return _attribute(kind | _NESTED, content)
