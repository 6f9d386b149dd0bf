"""Random UUIDs (version 4): identity of every object that walks, made without a system call for each.

`uuid.uuid4` asks the kernel sixteen bytes at a time, which on a virtual machine costs more than all the
rest of giving an object its identity. Here the kernel's randomness is fetched for many at once. Not
for secrets that outlive the process's memory: what is fetched lies there until it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_SIZE = 16
_AT_ONCE = 256

_FIXED = ~(0xF << 76 | 0x3 << 62)
_VERSION_4 = 0x4 << 76 | 0x2 << 62
"""Version and variant, where RFC 9562 puts them."""


class Uuids:
    """A source of UUIDs. Belongs to one thread, and to a process that does not fork."""

    __slots__ = ("_at", "_bytes", "_read")

    def __init__(self, read: Callable[[int], bytes] = os.urandom) -> None:
        self._read = read
        self._bytes = b""
        self._at = 0

    def __call__(self) -> str:
        if self._at == len(self._bytes):
            self._bytes, self._at = self._read(_SIZE * _AT_ONCE), 0
        taken = self._bytes[self._at : self._at + _SIZE]
        self._at += _SIZE
        return spelled(int.from_bytes(taken))


def spelled(bits: int) -> str:
    """128 random bits as a UUID: six of them say that it is one of these."""
    text = f"{bits & _FIXED | _VERSION_4:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
