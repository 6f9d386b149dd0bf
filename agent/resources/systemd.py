"""Slices of systemd (step 4 of the pod's walk): cgroups that belong to it are made and limited through it.

Where the engine has the systemd driver, systemd owns the tree: it writes its own values into every cgroup
that it starts something in, and forgets limits that others wrote there. So a pod's slice is a transient unit
whose limits are properties. This module says so over D-Bus: one connection to the system bus, blocking calls
of which systemd answers each within milliseconds, one at a time. A lost connection is made anew once.

The messages are few and their shapes fixed, so they are put together here ("Message Protocol" and "Type
System" of the D-Bus specification; methods and properties: org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from base.errors import TemporaryError

BUS = Path("/run/dbus/system_bus_socket")
TIMEOUT = 10.0
"""Seconds for one answer; systemd is single-threaded, and may be reloading its units."""
INFINITY = 2**64 - 1
"""How systemd writes that there is no limit."""

Value = bool | int | str
_EXISTS = "org.freedesktop.systemd1.UnitExists"
_ABSENT = "org.freedesktop.systemd1.NoSuchUnit"
_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = (
    1, 2, 3, 4, 5, 6, 8,
)  # fmt: skip


class SystemdError(TemporaryError):
    """systemd refused, or cannot be asked now. `name` is that of the D-Bus error, if it was one."""

    def __init__(self, message: str, *, name: str = "") -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Reply:
    """An answer, as far as it is looked at."""

    kind: int
    serial: int
    error: str
    text: str


class Systemd:
    """Makes, limits and removes slices."""

    def __init__(self, bus: Path = BUS) -> None:
        self._bus = bus
        self._serials = count(1)
        self._connection: socket.socket | None = None
        self._turn = threading.Lock()

    def start_slice(self, name: str, properties: Mapping[str, Value]) -> None:
        """Start a slice with these limits, or give them to the one that is there."""
        fixed: dict[str, Value] = {
            "Description": f"pods of podwright: {name}",
            "DefaultDependencies": False,
        }
        body = _Body()
        body.string(name)
        body.string("replace")
        body.properties({**fixed, **properties})
        body.array_start(alignment=8)  # no auxiliary units
        body.array_end()
        try:
            self._call("StartTransientUnit", "ssa(sv)a(sa(sv))", body.data)
        except SystemdError as error:
            if error.name != _EXISTS:
                raise
            self.set_limits(name, properties)

    def set_limits(self, name: str, properties: Mapping[str, Value]) -> None:
        """Change limits until the next boot."""
        body = _Body()
        body.string(name)
        body.boolean(True)
        body.properties(properties)
        self._call("SetUnitProperties", "sba(sv)", body.data)

    def stop_slice(self, name: str) -> None:
        """Stop a slice, and with it all that runs in it; one that is not there is none the less stopped."""
        body = _Body()
        body.string(name)
        body.string("replace")
        try:
            self._call("StopUnit", "ss", body.data)
        except SystemdError as error:
            if error.name != _ABSENT:
                raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, member: str, signature: str, body: bytes) -> None:
        with self._turn:
            fresh = self._connection is None
            try:
                reply = self._ask(member, signature, body)
            except OSError as error:
                self.close()
                if fresh:
                    raise SystemdError(f"systemd cannot be asked: {error}") from error
                # The bus was restarted. What is asked may be asked twice.
                try:
                    reply = self._ask(member, signature, body)
                except OSError as again:
                    self.close()
                    raise SystemdError(f"systemd cannot be asked: {again}") from again
        if reply.kind == _ERROR:
            raise SystemdError(f"systemd refused {member}: {reply.text}", name=reply.error)

    def _ask(self, member: str, signature: str, body: bytes) -> Reply:
        if self._connection is None:
            self._connection = self._connect()
        serial = next(self._serials)
        call = message(
            serial,
            destination="org.freedesktop.systemd1",
            path="/org/freedesktop/systemd1",
            interface="org.freedesktop.systemd1.Manager",
            member=member,
            signature=signature,
            body=body,
        )
        return _exchange(self._connection, serial, call)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(TIMEOUT)
            connection.connect(str(self._bus))
            identity = str(os.geteuid()).encode().hex()
            connection.sendall(f"\0AUTH EXTERNAL {identity}\r\n".encode())
            if not _line(connection).startswith(b"OK "):
                raise ConnectionError("the system bus does not know us")
            connection.sendall(b"BEGIN\r\n")
            bus, path, serial = "org.freedesktop.DBus", "/org/freedesktop/DBus", next(self._serials)
            hello = message(serial, destination=bus, path=path, interface=bus, member="Hello")
            _exchange(connection, serial, hello)
        except BaseException:
            connection.close()
            raise
        return connection


class _Body:
    """Values in D-Bus' wire format, little-endian, each aligned to its own size."""

    def __init__(self) -> None:
        self.data = b""
        self._arrays: list[tuple[int, int]] = []

    def align(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)

    def number(self, value: int) -> None:
        self.align(4)
        self.data += struct.pack("<I", value)

    def long(self, value: int) -> None:
        self.align(8)
        self.data += struct.pack("<Q", value)

    def boolean(self, value: bool) -> None:
        self.number(int(value))

    def string(self, text: str) -> None:
        encoded = text.encode()
        self.number(len(encoded))
        self.data += encoded + b"\0"

    def signature(self, text: str) -> None:
        self.data += bytes([len(text)]) + text.encode() + b"\0"

    def variant(self, value: Value) -> None:
        if isinstance(value, bool):
            self.signature("b")
            self.boolean(value)
        elif isinstance(value, int):
            self.signature("t")
            self.long(value)
        else:
            self.signature("s")
            self.string(value)

    def properties(self, values: Mapping[str, Value]) -> None:
        self.array_start(alignment=8)
        for name, value in values.items():
            self.align(8)
            self.string(name)
            self.variant(value)
        self.array_end()

    def array_start(self, *, alignment: int) -> None:
        """The length is written when it is known; it does not count the padding before the first element."""
        self.number(0)
        where = len(self.data) - 4
        self.align(alignment)
        self._arrays.append((where, len(self.data)))

    def array_end(self) -> None:
        where, start = self._arrays.pop()
        length = struct.pack("<I", len(self.data) - start)
        self.data = self.data[:where] + length + self.data[where + 4 :]


def message(
    serial: int,
    *,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: bytes = b"",
) -> bytes:
    """A method call."""
    made = _Body()
    made.data = struct.pack("<cBBBII", b"l", _CALL, 0, 1, len(body), serial)
    made.array_start(alignment=8)
    fields = [
        (_PATH, "o", path),
        (_INTERFACE, "s", interface),
        (_MEMBER, "s", member),
        (_DESTINATION, "s", destination),
        (_SIGNATURE, "g", signature),
    ]
    for code, kind, value in fields:
        if not value:
            continue
        made.align(8)
        made.data += bytes([code])
        made.signature(kind)
        made.signature(value) if kind == "g" else made.string(value)
    made.array_end()
    made.align(8)
    return made.data + body


def _exchange(connection: socket.socket, serial: int, call: bytes) -> Reply:
    """Call, and wait for the answer; signals that come in between are not ours."""
    connection.sendall(call)
    while True:
        reply = _receive(connection)
        if reply.kind in (_RETURN, _ERROR) and reply.serial == serial:
            return reply


def _receive(connection: socket.socket) -> Reply:
    start = _exactly(connection, 16)
    order = "<" if start[:1] == b"l" else ">"
    kind = start[1]
    size, _, length = struct.unpack(f"{order}III", start[4:])
    fields = _exactly(connection, length + -length % 8)[:length]
    body = _exactly(connection, size)
    values = _header(fields, order)
    text = ""
    if str(values.get(_SIGNATURE, "")).startswith("s"):
        (told,) = struct.unpack_from(f"{order}I", body)
        text = body[4 : 4 + told].decode(errors="replace")
    return Reply(
        kind=kind,
        serial=int(values.get(_REPLY_SERIAL, 0)),
        error=str(values.get(_ERROR_NAME, "")),
        text=text,
    )


def _header(fields: bytes, order: str) -> dict[int, str | int]:
    """The fields of a header: those of which the type is a string, a path, a signature or a number."""
    found: dict[int, str | int] = {}
    position = 0
    while position < len(fields):
        position += -position % 8
        code, kind = fields[position], fields[position + 2 : position + 3]
        position += 4
        if kind == b"g":
            length = fields[position]
            position += 1
        else:
            position += -position % 4
            (length,) = struct.unpack_from(f"{order}I", fields, position)
            position += 4
        if kind == b"u":
            found[code] = length
            continue
        found[code] = fields[position : position + length].decode()
        position += length + 1
    return found


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("the system bus ended the connection")
        data += piece
    return data


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += _exactly(connection, 1)
    return line
