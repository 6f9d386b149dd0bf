"""DNS packets: reading a query's question, writing an answer. Pure.

Only the question is read, by hand, because that is all that decides: a packet that is not one plain
question is refused or dropped before any library sees it. Answers are written with dnslib.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

import dnslib
from dnslib.bimap import BimapError
from dnslib.buffer import BufferError
from dnslib.label import DNSLabelError

from netplugin.dns.zone import TTL, A, Answer, Cname, Ns, Outcome, Ptr, Record, Soa, Srv, Txt

NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = range(6)
PLAIN_LIMIT = 512
"""Bytes of a UDP answer to a client that says nothing about its buffer."""
EDNS_LIMIT = 1232
"""What passes every link unfragmented (DNS flag day 2020)."""

_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0080
_RECURSION_DESIRED = 0x0100
_OPCODE = 0x7800
_OPT = 41
_CLASS_IN = 1
_MAX_NAME = 255
_UNWRITABLE = (
    *(dnslib.DNSError, DNSLabelError, BimapError, BufferError),
    *(struct.error, ValueError, LookupError, TypeError, AttributeError),
)
"""What dnslib raises for names and packets that are none; the latter ones by mistake."""
_PLAIN_LABEL = re.compile(rb"[A-Za-z0-9_-]+")


class MalformedError(Exception):
    """Not a DNS query. `answerable`: its header can be echoed with an error."""

    def __init__(self, why: str, *, rcode: int | None) -> None:
        super().__init__(why)
        self.rcode = rcode


@dataclass(frozen=True, slots=True)
class Query:
    """One question."""

    id: int
    name: str
    """Lower case, without the last dot."""
    kind: int
    recursion: bool
    question: bytes
    """The question section as it came: answers must repeat its spelling."""
    edns: bool
    plain: bool
    """Only letters, digits, dashes and underscores: no other name can be one of the cluster's."""
    limit: int
    """Bytes that a UDP answer may have."""

    @property
    def kind_name(self) -> str:
        name: str = dnslib.QTYPE.forward.get(self.kind, "")
        return name


def read(packet: bytes) -> Query:
    """The question of a query."""
    if len(packet) < _HEADER.size:
        raise MalformedError("shorter than a header", rcode=None)
    ident, flags, questions, answers, authorities, additional = _HEADER.unpack_from(packet)
    if flags & _RESPONSE:
        raise MalformedError("a response", rcode=None)
    if flags & _OPCODE:
        raise MalformedError("an operation other than a query", rcode=NOT_IMPLEMENTED)
    if questions != 1:
        raise MalformedError(f"{questions} questions", rcode=FORMAT_ERROR)
    labels, end = _read_name(packet, _HEADER.size)
    if end + 4 > len(packet):
        raise MalformedError("the question ends early", rcode=FORMAT_ERROR)
    kind, class_ = struct.unpack_from("!HH", packet, end)
    if class_ != _CLASS_IN:
        raise MalformedError(f"class {class_}", rcode=REFUSED)
    size = _edns_size(packet, end + 4) if additional and not answers + authorities else 0
    return Query(
        id=ident,
        name=b".".join(labels).decode("ascii", "replace").lower(),
        kind=kind,
        recursion=bool(flags & _RECURSION_DESIRED),
        question=packet[_HEADER.size : end + 4],
        edns=size > 0,
        plain=all(_PLAIN_LABEL.fullmatch(label) for label in labels),
        limit=min(max(size, PLAIN_LIMIT), EDNS_LIMIT),
    )


def error(packet: bytes, rcode: int) -> bytes:
    """The answer to a packet whose question cannot be used: its header only."""
    ident, flags = struct.unpack_from("!HH", packet)
    kept = flags & (_OPCODE | _RECURSION_DESIRED)
    return _HEADER.pack(ident, _RESPONSE | kept | rcode, 0, 0, 0, 0)


def failure(query: Query, rcode: int) -> bytes:
    """An error that repeats the question."""
    flags = _RESPONSE | _RECURSION_AVAILABLE | rcode
    return _HEADER.pack(query.id, flags | _asked(query), 1, 0, 0, 0) + query.question


def answer(query: Query, found: Answer, *, domain: str, chased: bytes = b"") -> bytes:
    """The whole answer. `chased`: another server's answer for the end of a CNAME chain.

    Raises MalformedError when it cannot be written: an ExternalName may be longer than names are,
    and another server may have answered anything.
    """
    try:
        return _written(query, found, domain, chased)
    except _UNWRITABLE as error:
        raise MalformedError(f"no answer to write: {error}", rcode=SERVER_FAILURE) from error


def _written(query: Query, found: Answer, domain: str, chased: bytes) -> bytes:
    # dnslib compresses names against the question, so it must know it; its spelling of it is then
    # replaced by the query's, which differs only in upper and lower case.
    reply: Any = dnslib.DNSRecord.parse(_HEADER.pack(0, 0, 1, 0, 0, 0) + query.question)
    for record in found.records:
        reply.add_answer(_resource(record, domain))
    if chased:
        for resource in dnslib.DNSRecord.parse(chased).rr:
            resource.ttl = min(resource.ttl, TTL)
            reply.add_answer(resource)
    for record in found.additional:
        reply.add_ar(_resource(record, domain))
    if found.outcome is not Outcome.FOUND:
        reply.add_auth(_resource(Soa(domain), domain))
    if query.edns:
        reply.add_ar(dnslib.EDNS0(udp_len=EDNS_LIMIT))
    packet = bytes(reply.pack())
    counts = packet[4 : _HEADER.size]
    rcode = NO_SUCH_NAME if found.outcome is Outcome.NO_NAME else NO_ERROR
    flags = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | rcode | _asked(query)
    rest = packet[_HEADER.size + len(query.question) :]
    return struct.pack("!HH", query.id, flags) + counts + query.question + rest


def truncated(packet: bytes, query: Query) -> bytes:
    """The same answer cut down to its question, telling the client to come back over TCP."""
    flags = struct.unpack_from("!H", packet, 2)[0] | _TRUNCATED
    return _HEADER.pack(query.id, flags, 1, 0, 0, 0) + query.question


def readdressed(packet: bytes, query: Query) -> bytes:
    """The same answer for another query with the same question."""
    start = _HEADER.size
    rest = packet[start + len(query.question) :]
    return query.id.to_bytes(2, "big") + packet[2:start] + query.question + rest


def answers_question(packet: bytes, ident: int, question: bytes) -> bool:
    """Whether a packet from another server is the answer to what we asked."""
    if len(packet) < _HEADER.size + len(question):
        return False
    got, flags, questions, *_ = _HEADER.unpack_from(packet)
    asked = packet[_HEADER.size : _HEADER.size + len(question)]
    return (
        got == ident
        and bool(flags & _RESPONSE)
        and questions == 1
        and asked.lower() == question.lower()
    )


def rcode(packet: bytes) -> int:
    return packet[3] & 0x0F


def is_truncated(packet: bytes) -> bool:
    return bool(packet[2] & (_TRUNCATED >> 8))


def ask(ident: int, question: bytes, *, edns: bool) -> bytes:
    """A query of our own."""
    opt = b"\0" + struct.pack("!HHIH", _OPT, EDNS_LIMIT, 0, 0) if edns else b""
    return _HEADER.pack(ident, _RECURSION_DESIRED, 1, 0, 0, int(edns)) + question + opt


def question_for(name: str, kind: int) -> bytes:
    """The question section that asks for a name."""
    labels = [label.encode("ascii", "ignore") for label in name.rstrip(".").split(".") if label]
    encoded = b"".join(bytes([len(label[:63])]) + label[:63] for label in labels)
    return encoded + b"\0" + struct.pack("!HH", kind, _CLASS_IN)


def _asked(query: Query) -> int:
    return _RECURSION_DESIRED if query.recursion else 0


def _read_name(packet: bytes, start: int) -> tuple[list[bytes], int]:
    labels: list[bytes] = []
    position = start
    while True:
        if position >= len(packet):
            raise MalformedError("the name ends early", rcode=FORMAT_ERROR)
        length = packet[position]
        position += 1
        if length == 0:
            return labels, position
        # A pointer in the only question can only point into the header or at itself.
        if length > 63 or position + length - start > _MAX_NAME:
            raise MalformedError("a bad label", rcode=FORMAT_ERROR)
        labels.append(packet[position : position + length])
        position += length


def _edns_size(packet: bytes, position: int) -> int:
    """The client's buffer from an OPT record that follows the question directly; 0 when none does."""
    if len(packet) < position + 11 or packet[position] != 0:
        return 0
    kind, size = struct.unpack_from("!HH", packet, position + 1)
    return max(size, PLAIN_LIMIT) if kind == _OPT else 0


def _resource(record: Record, domain: str) -> Any:
    def made(name: str, kind: str, data: Any) -> Any:
        return dnslib.RR(name, getattr(dnslib.QTYPE, kind), rdata=data, ttl=TTL)

    match record:
        case A(name, address):
            return made(name, "A", dnslib.A(address))
        case Srv(name, port, target):
            return made(name, "SRV", dnslib.SRV(0, 100, port, target))
        case Cname(name, target):
            return made(name, "CNAME", dnslib.CNAME(target))
        case Ptr(name, target):
            return made(name, "PTR", dnslib.PTR(target))
        case Txt(name, text):
            return made(name, "TXT", dnslib.TXT(text))
        case Ns(name, target):
            return made(name, "NS", dnslib.NS(target))
        case Soa(name):
            # Serial 1: nobody transfers this zone. The last number is how long a "no" is believed.
            times = (1, 7200, 1800, 86400, TTL)
            return made(name, "SOA", dnslib.SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", times))
