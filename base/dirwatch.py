"""Being told when files of a directory change: one inotify of the kernel for a whole process.

Whoever watches a directory waits on its `Changes`; the kernel's messages are read by the event loop,
so a thousand watchers hold no thread and cost nothing while nothing happens. What changed is collected
by name, in a set: a file that is written a thousand times before anybody looks is one name.

Where the kernel has no inotify left to give (`fs.inotify.max_user_watches`), a watcher is blind: it
waits for a fraction of a second and is told that anything may have changed. Messages are lost in the
same honest way: when the kernel's queue overflowed, everybody is told to look.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

BLIND_SECONDS = 0.25
"""How long a watcher waits that the kernel tells nothing."""
_BUFFER = 64 * 1024

_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_WANTED = _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_ONLY_DIRECTORY = 0x01000000
_HEAD = struct.Struct("iIII")

_libc = ctypes.CDLL(None, use_errno=True)


class Changes:
    """What changed in one directory, for one watcher."""

    def __init__(self, *, blind: bool) -> None:
        self._blind = blind
        self._names: set[str] = set()
        self._gone: set[str] = set()
        self._all = False
        self._bell = asyncio.Event()

    def tell(self, name: str | None, *, gone: bool = False) -> None:
        """`name` has changed, or is gone; None: anything may have, or the directory is gone."""
        if name is None:
            self._all = True
        else:
            self._names.add(name)
        if name is not None and gone:
            self._gone.add(name)
        self._bell.set()

    def taken_away(self) -> frozenset[str]:
        """Which names were removed since this was last asked, whether or not one like it is there again."""
        gone, self._gone = frozenset(self._gone), set()
        return gone

    async def wait(self, seconds: float) -> frozenset[str] | None:
        """The names that changed since the last wait, at once or when there are some; empty when
        `seconds` have passed; None when anything may have changed."""
        if self._blind:
            await asyncio.sleep(min(seconds, BLIND_SECONDS))
            return None
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return frozenset()
        names = None if self._all else frozenset(self._names)
        self._names, self._all = set(), False
        self._bell.clear()
        return names


class DirectoryWatch:
    """Watches directories on the event loop in which it is first used."""

    def __init__(self) -> None:
        self._fd = -1
        self._watchers: defaultdict[int, set[Changes]] = defaultdict(set)
        self._blind = 0

    def statistics(self) -> dict[str, float]:
        return {"directories": float(len(self._watchers)), "blind": float(self._blind)}

    @contextmanager
    def watching(self, directory: Path) -> Iterator[Changes]:
        """Changes from now on; a directory that is not there changes no more."""
        watch = self._add(directory)
        changes = Changes(blind=watch is None)
        if watch is None:
            self._blind += 1
        else:
            self._watchers[watch].add(changes)
        try:
            yield changes
        finally:
            if watch is None:
                self._blind -= 1
            else:
                self._leave(watch, changes)

    def close(self) -> None:
        """Let go of the kernel's queue. May be called twice."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._watchers.clear()

    def _add(self, directory: Path) -> int | None:
        if self._fd < 0:
            self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self._fd < 0:
                _warn(directory)
                return None
            asyncio.get_running_loop().add_reader(self._fd, self._read)
        mask = _WANTED | _ONLY_DIRECTORY
        watch = _libc.inotify_add_watch(self._fd, os.fsencode(directory), mask)
        if watch < 0:
            _warn(directory)
            return None
        return int(watch)

    def _leave(self, watch: int, changes: Changes) -> None:
        watchers = self._watchers.get(watch)
        if watchers is None:  # the kernel has let go of it before
            return
        watchers.discard(changes)
        if not watchers:
            del self._watchers[watch]
            _libc.inotify_rm_watch(self._fd, watch)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            name = data[at - length : at].rstrip(b"\0")
            self._tell(watch, mask, os.fsdecode(name))

    def _tell(self, watch: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            for watchers in self._watchers.values():
                for changes in watchers:
                    changes.tell(None)
            return
        over = mask & (_DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED)
        gone = bool(mask & (_DELETE | _MOVED_FROM))
        for changes in self._watchers.get(watch, ()):
            changes.tell(None if over else name, gone=gone)
        if mask & _IGNORED:
            self._watchers.pop(watch, None)


def _warn(directory: Path) -> None:
    code = ctypes.get_errno()
    if code != errno.ENOENT:
        log.warning("%s is looked at instead of watched: %s", directory, os.strerror(code))
