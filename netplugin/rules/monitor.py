"""Hearing at once when somebody changes the firewall, instead of at the next periodic look.

With the nft backend the kernel announces every transaction with its generation number. Our own
transactions are announced too; the keeper's caller asks for the generation before and after its
work, and what happened in between in the expected number of steps was ours.

With the legacy backend nothing is announced and only the periodic look remains.

Concurrency: opened in the node's rules thread (for its namespace); `read` is called from the event
loop when the socket is readable, `generation` from the rules thread on a socket of its own.
"""

from __future__ import annotations

import os
import socket
import struct

_NETLINK_NETFILTER = 12
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP_NFTABLES = 7
_NFTABLES = 10  # NFNL_SUBSYS_NFTABLES
_NEWGEN, _GETGEN = _NFTABLES << 8 | 15, _NFTABLES << 8 | 16
_REQUEST = 1
_GEN_ID = 1
_HEADER = struct.Struct("=IHHII")
_GENERAL = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 1 << 20


class RulesMonitor:
    """Announcements of changes to the firewall of one namespace."""

    def __init__(self) -> None:
        self._listener = _open()
        self._listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
        self._listener.setblocking(False)
        self._asker = _open()
        self._asker.settimeout(1.0)

    def fileno(self) -> int:
        return self._listener.fileno()

    def close(self) -> None:
        self._listener.close()
        self._asker.close()

    def read(self) -> int | None:
        """The newest generation announced; None when announcements were lost and anything may have
        happened."""
        newest, lost = 0, False
        while True:
            try:
                packet = self._listener.recv(_BUFFER)
            except BlockingIOError:
                return None if lost else newest
            except OSError:  # ENOBUFS: more was announced than the socket holds
                lost = True
            else:
                newest = max(newest, *generations(packet), 0)

    def generation(self) -> int:
        """The present generation; 0 when the kernel does not say."""
        message = _HEADER.pack(_HEADER.size + _GENERAL.size, _GETGEN, _REQUEST, 0, os.getpid())
        try:
            self._asker.sendto(message + _GENERAL.pack(0, 0, 0), (0, 0))
            return max(generations(self._asker.recv(_BUFFER)), default=0)
        except OSError:
            return 0


def generations(packet: bytes) -> list[int]:
    """The generation numbers announced in a netlink packet."""
    found = []
    position = 0
    while position + _HEADER.size <= len(packet):
        length, kind, *_ = _HEADER.unpack_from(packet, position)
        if length < _HEADER.size:
            break
        if kind == _NEWGEN:
            start = position + _HEADER.size + _GENERAL.size
            found += _generation_ids(packet[start : position + length])
        position += (length + 3) & ~3
    return found


def _generation_ids(attributes: bytes) -> list[int]:
    found = []
    position = 0
    while position + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, position)
        if length < _ATTRIBUTE.size:
            break
        if kind & 0x3FFF == _GEN_ID:
            value = attributes[position + _ATTRIBUTE.size : position + length]
            found.append(int.from_bytes(value, "big"))
        position += (length + 3) & ~3
    return found


def _open() -> socket.socket:
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
    )
    sock.bind((0, 0))
    return sock
