"""SPDY/3.1 frames, as far as kubectl speaks them. Pure.

Serves exec, attach and port-forward after step 5 of a pod's walk: kubectl before 1.30 speaks nothing
else for exec, and every kubectl speaks it for port-forward, since 1.31 inside WebSocket messages.

`Decoder` turns bytes, in pieces of any size, into frames; `Encoder` turns frames into bytes. Each is
one direction of one connection, because the zlib context of header blocks lives as long as that.
SPDY/3.1 differs from SPDY/3 in its per-connection window only, and as the clients of Kubernetes
neither keep windows nor wait for them, WINDOW_UPDATE is read and forgotten.

Invariants: a decoder never holds more than MAX_CONTROL bytes and one piece of data: data frames are
handed on as they arrive, so their 16 MiB need not fit anywhere. What breaks the protocol, or is
larger than its limit, raises SpdyError; the connection cannot be used any more after that.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_CONTROL = 64 * 1024
"""Bytes of a control frame. A stream of kubectl has four short headers."""
MAX_HEADERS = 64 * 1024
"""Bytes of a header block when it is no longer compressed."""
MAX_FRAME = 2**24 - 1

_CONTROL = 0x8003
_FIN = 0x01
_STREAM_ID = 0x7FFFFFFF


class SpdyError(ValueError):
    """Bytes that are not SPDY/3.1, or too many of them; says how."""


class Kind(enum.IntEnum):
    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class Reason(enum.IntEnum):
    """Why a stream is reset."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    CANCEL = 5
    INTERNAL_ERROR = 6


@dataclass(frozen=True, slots=True)
class SynStream:
    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Headers:
    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    stream: int
    reason: int


@dataclass(frozen=True, slots=True)
class Settings:
    """(flags and id, value) as they came; none of them changes what we do."""

    entries: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    last_stream: int
    reason: int = 0


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    stream: int
    delta: int


@dataclass(frozen=True, slots=True)
class Data:
    """A data frame or, from a decoder, a piece of one: `fin` is with the last piece only."""

    stream: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | Headers | RstStream | Settings | Ping | GoAway | WindowUpdate | Data


class Encoder:
    """The frames that one side sends."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """Frames must be sent in the order in which they were encoded."""
        match frame:
            case Data(stream, data, fin):
                if len(data) > MAX_FRAME:
                    raise SpdyError(f"{len(data)} bytes do not fit into one frame")
                return _head(_id(stream), fin, len(data)) + data
            case SynStream(stream, headers, fin):
                body = struct.pack("!IIH", _id(stream), 0, 0) + self._block(headers)
                return _control(Kind.SYN_STREAM, body, fin)
            case SynReply(stream, headers, fin):
                body = struct.pack("!I", _id(stream)) + self._block(headers)
                return _control(Kind.SYN_REPLY, body, fin)
            case Headers(stream, headers, fin):
                body = struct.pack("!I", _id(stream)) + self._block(headers)
                return _control(Kind.HEADERS, body, fin)
            case RstStream(stream, reason):
                return _control(Kind.RST_STREAM, struct.pack("!II", _id(stream), reason))
            case Settings(entries):
                packed = b"".join(struct.pack("!II", *entry) for entry in entries)
                return _control(Kind.SETTINGS, struct.pack("!I", len(entries)) + packed)
            case Ping(id):
                return _control(Kind.PING, struct.pack("!I", id))
            case GoAway(last_stream, reason):
                return _control(Kind.GOAWAY, struct.pack("!II", last_stream, reason))
            case WindowUpdate(stream, delta):
                return _control(Kind.WINDOW_UPDATE, struct.pack("!II", stream, delta))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = [struct.pack("!I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += [struct.pack("!I", len(text)), text]
        # The other side must be able to read this block now; the context stays for the next one.
        return self._zlib.compress(b"".join(plain)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class Decoder:
    """The frames that one side receives."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        self._data: tuple[int, int, bool] | None = None
        """Of the data frame that has begun: its stream, the bytes still to come, and FIN."""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`. To be read to the end before the next call."""
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._data is not None:
            return self._piece(*self._data)
        if len(self._buffer) < 8:
            return None
        first, second = struct.unpack_from("!II", self._buffer)
        flags, length = second >> 24, second & MAX_FRAME
        if not first >> 31:
            if first == 0:
                raise SpdyError("data for stream 0, which cannot be")
            del self._buffer[:8]
            self._data = (first, length, bool(flags & _FIN))
            return self._piece(*self._data)
        if first >> 16 != _CONTROL:
            raise SpdyError(f"version {(first >> 16) & 0x7FFF} of SPDY is not spoken here, only 3")
        if length > MAX_CONTROL:
            raise SpdyError(f"a control frame of {length} bytes is too large")
        if len(self._buffer) < 8 + length:
            return None
        body = bytes(self._buffer[8 : 8 + length])
        del self._buffer[: 8 + length]
        return self._control(first & 0xFFFF, bool(flags & _FIN), body)

    def _piece(self, stream: int, left: int, fin: bool) -> Data | None:
        if left and not self._buffer:
            return None
        data = bytes(self._buffer[:left])
        del self._buffer[:left]
        left -= len(data)
        self._data = (stream, left, fin) if left else None
        return Data(stream, data, fin=fin and not left)

    def _control(self, kind: int, fin: bool, body: bytes) -> Frame:
        try:
            match kind:
                case Kind.SYN_STREAM:
                    return SynStream(_stream(body), self._headers(body[10:]), fin)
                case Kind.SYN_REPLY:
                    return SynReply(_stream(body), self._headers(body[4:]), fin)
                case Kind.HEADERS:
                    return Headers(_stream(body), self._headers(body[4:]), fin)
                case Kind.RST_STREAM:
                    return RstStream(_stream(body), struct.unpack("!II", body)[1])
                case Kind.SETTINGS:
                    return Settings(_entries(body))
                case Kind.PING:
                    return Ping(struct.unpack("!I", body)[0])
                case Kind.GOAWAY:
                    last, reason = struct.unpack("!II", body)
                    return GoAway(last & _STREAM_ID, reason)
                case Kind.WINDOW_UPDATE:
                    stream, delta = struct.unpack("!II", body)
                    return WindowUpdate(stream & _STREAM_ID, delta & _STREAM_ID)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError(f"a control frame of type {kind} cannot be read: {error}") from None
        raise SpdyError(f"there is no control frame of type {kind}")

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._zlib.decompress(block, MAX_HEADERS)
        if self._zlib.unconsumed_tail or len(plain) >= MAX_HEADERS:
            raise SpdyError("a header block is too large when decompressed")
        (count,) = struct.unpack_from("!I", plain)
        if count > len(plain) // 8:
            raise SpdyError(f"a header block that says {count} headers is shorter than that")
        made: dict[str, str] = {}
        at = 4
        for _ in range(count):
            name, at = _text(plain, at)
            value, at = _text(plain, at)
            if name in made:
                raise SpdyError(f"header {name!r} comes twice")
            made[name] = value
        if at != len(plain):
            raise SpdyError("a header block goes on after its last header")
        return made


def _text(plain: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("!I", plain, at)
    end = at + 4 + length
    if end > len(plain):
        raise SpdyError("a header is longer than its block")
    return plain[at + 4 : end].decode(), end


def _stream(body: bytes) -> int:
    stream: int = struct.unpack_from("!I", body)[0] & _STREAM_ID
    if not stream:
        raise SpdyError("stream 0 cannot be")
    return stream


def _entries(body: bytes) -> tuple[tuple[int, int], ...]:
    (count,) = struct.unpack_from("!I", body)
    if len(body) != 4 + 8 * count:
        raise SpdyError(f"{count} settings do not fit a frame of {len(body)} bytes")
    return tuple(struct.iter_unpack("!II", body[4:]))


def _id(stream: int) -> int:
    if not 0 < stream <= _STREAM_ID:
        raise SpdyError(f"{stream} cannot be the id of a stream")
    return stream


def _control(kind: Kind, body: bytes, fin: bool = False) -> bytes:
    if len(body) > MAX_CONTROL:
        raise SpdyError(f"{len(body)} bytes are too many for a control frame")
    return _head(_CONTROL << 16 | kind, fin, len(body)) + body


def _head(first: int, fin: bool, length: int) -> bytes:
    return struct.pack("!II", first, (_FIN << 24 if fin else 0) | length)


def _dictionary() -> bytes:
    """What both sides' zlib knows before the first header: SPDY/3, section 2.6.10.1."""
    text = """
    options head post put delete trace accept accept-charset accept-encoding accept-language
    accept-ranges age allow authorization cache-control connection content-base content-encoding
    content-language content-length content-location content-md5 content-range content-type date
    etag expect expires from host if-match if-modified-since if-none-match if-range
    if-unmodified-since last-modified location max-forwards pragma proxy-authenticate
    proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
    user-agent vary via warning www-authenticate method get status version url public set-cookie
    keep-alive origin
    """
    words = text.split()
    # "200 OK" and "HTTP/1.1" stand among the words, the codes and phrases behind them as plain text.
    words.insert(words.index("version"), "200 OK")
    words.insert(words.index("url"), "HTTP/1.1")
    prefixed = b"".join(struct.pack("!I", len(word)) + word.encode() for word in words)
    return prefixed + (
        b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
        b"203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
        b"401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
        b"503 Service Unavailable"
        b"Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 "
        b"Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
        b"chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,"
        b"text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
        b"charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
    )


DICTIONARY = _dictionary()
