"""Processes that the kernel ended for want of memory (any step of the pod's walk): who, and whose want.

The engine tells only of containers whose first process was ended, and not of their other processes, nor
that it was the machine that had no memory left. The kernel's log tells it all (`/dev/kmsg`), one record per
read. Of the machine's own want the node tells in the kubelet's words (`SystemOOM`); and a pod remembers
what was ended of it, for the moment when one of its containers dies (`agent/pod/changes.py`).

Concurrency: the event loop reads when the kernel has something to say, at most `AT_ONCE` records in a row.
Records that were overwritten before they were read are missed. Where the log may not be read, nothing is
told.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.node.nodeevents import NodeEvents
from agent.pod import names
from agent.pod.manager import PodManager
from agent.resources.cgroups import pod_uid

log = logging.getLogger(__name__)

KERNEL_LOG = Path("/dev/kmsg")
RECORD = 8192
AT_ONCE = 100
_KILL = re.compile(r"oom-kill:.*task_memcg=(?P<cgroup>.*),task=(?P<task>.*),pid=(?P<pid>\d+),uid=")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The end of one process."""

    process: str
    pid: int
    cgroup: str
    everywhere: bool
    """The machine had no memory left; otherwise a cgroup had reached its limit."""

    @property
    def pod(self) -> str:
        """The uid of the pod that it was of; empty when it was of none."""
        return pod_uid(self.cgroup)


def parse(record: str) -> Kill | None:
    """What a record of the kernel's log says, if that is such an end."""
    found = _KILL.search(record)
    if found is None:
        return None
    return Kill(
        process=found["task"],
        pid=int(found["pid"]),
        cgroup=found["cgroup"],
        everywhere=",global_oom," in record,
    )


class OomWatch:
    """Reads the kernel's log from now on."""

    def __init__(self, heard: Callable[[Kill], None], *, path: Path = KERNEL_LOG) -> None:
        self._heard = heard
        self._path = path
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; returns at once where the kernel's log cannot be read."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            log.info("the kernel's log is not read: %s", error.strerror)
            return
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):
                os.lseek(file, 0, os.SEEK_END)  # what was before us is not news
            try:
                loop.add_reader(file, self._read, file)
            except OSError as error:  # an ordinary file: nothing is ever to be waited for
                log.info("%s is no kernel's log: %s", self._path, error.strerror)
                return
            await self._done.wait()
        finally:
            loop.remove_reader(file)
            os.close(file)

    def _read(self, file: int) -> None:
        for _ in range(AT_ONCE):
            try:
                data = os.read(file, RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:  # it was overwritten meanwhile; the next one is there
                continue
            except OSError as error:
                log.warning("the kernel's log is not read any more: %s", error.strerror)
                data = b""
            if not data:
                self._done.set()
                return
            for record in data.decode("utf-8", "replace").splitlines():
                if (kill := parse(record)) is not None:
                    self._heard(kill)


def tell(kill: Kill, manager: PodManager, events: NodeEvents) -> None:
    """Tell of one end: the node of its own want, and the pod of its process."""
    if kill.everywhere:
        words = f"System OOM encountered, victim process: {kill.process}, pid: {kill.pid}"
        log.warning("%s", words)
        events.warn("SystemOOM", words)
    worker = manager.workers.get(kill.pod)
    if worker is None:
        return
    records = worker.context.memory.records.values()
    name = next(
        (r.labels.get(names.CONTAINER_NAME, "") for r in records if r.id in kill.cgroup), ""
    )
    whose = "the node had no memory left" if kill.everywhere else "there was no more memory for it"
    of = f" of container {name}" if name else ""
    worker.context.memory.changes.note(
        f"the kernel ended process {kill.process} ({kill.pid}){of}: {whose}"
    )
