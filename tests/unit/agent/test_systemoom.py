"""The kernel's word on a machine without memory becomes an event of the node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.node.nodeevents import NodeEvents
from agent.node.systemoom import SystemOom, victim
from base.tasks import TaskGuard
from tests.patience import eventually
from tests.unit.agent.fakeapi import FakeRecorder

GLOBAL = (
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/system.slice/x.service,task=tail, the,pid=4711,uid=0"
)
OF_A_CGROUP = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=docker-1,mems_allowed=0,"
    "oom_memcg=/kubepods/x,task_memcg=/kubepods/x,task=stress,pid=4712,uid=0"
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"6,339,5140900,-;{GLOBAL}", ("tail, the", 4711)),
        (f"6,339,5140900,-;{OF_A_CGROUP}", None),
        ("6,339,5140900,-;Out of memory: Killed process 4711 (tail)", None),
        (" SUBSYSTEM=cpu", None),
        ("", None),
    ],
)
def test_whom_the_kernel_has_ended(line: str, found: tuple[str, int] | None) -> None:
    assert victim(line) == found


async def test_it_is_told_of_the_node() -> None:
    recorder = FakeRecorder()
    reading, writing = os.pipe()
    oom = SystemOom(NodeEvents(recorder, "node-1"), path=Path(f"/proc/self/fd/{reading}"))
    async with TaskGuard("test") as guard:
        listening = guard.start(oom.run(), name="kernel log")

        async def told() -> bool:
            return bool(recorder.told)

        os.write(writing, f"6,1,2,-;{OF_A_CGROUP}\n".encode())
        os.write(writing, f"6,2,3,-;\xff{GLOBAL}\n SUBSYSTEM=x\n".encode("latin-1"))
        await eventually(told)
        words = "System OOM encountered, victim process: tail, the, pid: 4711"
        assert recorder.told == [("Warning", "SystemOOM", words)]
        os.close(writing)
        await listening
    os.close(reading)


async def test_a_log_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    recorder = FakeRecorder()
    ordinary = tmp_path / "log"
    ordinary.write_text(GLOBAL)
    for path in (tmp_path / "none", tmp_path, ordinary):
        await SystemOom(NodeEvents(recorder, "node-1"), path=path).run()
    assert recorder.told == []
