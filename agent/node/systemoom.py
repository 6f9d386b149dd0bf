"""The machine ran out of memory, and the kernel has ended some process (any step of the pod's walk).

A container at its own limit is that container's affair and stands in its pod's status. When there is no
memory left in all, the victim may be anybody, also the engine: the kernel says it in its log, and it is
told as an event of the node, with the kubelet's reason and words.

Where the kernel's log may not be read (a node that is itself a container), nothing is told. Concurrency:
one reader on the event loop; the kernel keeps what is not read yet, and says when it has dropped some.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from agent.node.nodeevents import NodeEvents

log = logging.getLogger(__name__)

KERNEL_LOG = Path("/dev/kmsg")
_RECORD = 8192
"""Bytes; the kernel's are never longer."""
_VICTIM = re.compile(
    r"oom-kill:constraint=(?:CONSTRAINT_NONE|CONSTRAINT_CPUSET),.*task=(.+),pid=(\d+),uid=\d+"
)


def victim(line: str) -> tuple[str, int] | None:
    """The process that was ended because the machine, and not a cgroup, had no memory left. Pure."""
    found = _VICTIM.search(line)
    return (found[1], int(found[2])) if found else None


class SystemOom:
    """Listens to the kernel."""

    def __init__(self, events: NodeEvents, *, path: Path = KERNEL_LOG) -> None:
        self._events = events
        self._path = path
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; returns at once where the kernel's log cannot be read."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            log.info("the kernel's log is not read: %s", error.strerror)
            return
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):
                os.lseek(fd, 0, os.SEEK_END)  # what was before us is not news
            try:
                loop.add_reader(fd, self._read, fd)
            except OSError as error:  # an ordinary file: nothing is ever to be waited for
                log.info("%s is no kernel's log: %s", self._path, error.strerror)
                return
            await self._done.wait()
        finally:
            loop.remove_reader(fd)
            os.close(fd)

    def _read(self, fd: int) -> None:
        try:
            record = os.read(fd, _RECORD)
        except BlockingIOError:
            return
        except BrokenPipeError:  # the kernel has overwritten what we did not read in time
            return
        except OSError as error:
            log.warning("the kernel's log is not read any more: %s", error.strerror)
            record = b""
        if not record:
            self._done.set()
        for line in record.decode(errors="replace").splitlines():
            if (found := victim(line)) is not None:
                process, pid = found
                words = f"System OOM encountered, victim process: {process}, pid: {pid}"
                log.warning("%s", words)
                self._events.warn("SystemOOM", words)
