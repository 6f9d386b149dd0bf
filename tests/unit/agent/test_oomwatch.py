"""What the kernel's log says of processes that were ended for want of memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.node import oomwatch
from agent.node.nodeevents import NodeEvents
from agent.node.oomwatch import Kill, OomWatch, parse
from base.tasks import TaskGuard
from tests.patience import eventually
from tests.unit.agent.builders import UID, make_pod
from tests.unit.agent.fakeapi import FakeRecorder
from tests.unit.agent.node import Node

SYSTEM = (
    "6,812,5140900,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
    f"global_oom,task_memcg=/kubepods/burstable/pod{UID}/abc,task=a, b,pid=77,uid=0"
)
OWN = (
    "6,813,5140901,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=abc,mems_allowed=0,"
    f"oom_memcg=/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/docker-abc.scope,"
    f"task_memcg=/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/docker-abc.scope,"
    "task=python3,pid=78,uid=1000"
)


@pytest.mark.parametrize(
    ("record", "process", "pid", "everywhere"),
    [(SYSTEM, "a, b", 77, True), (OWN, "python3", 78, False)],
)
def test_ends(record: str, process: str, pid: int, everywhere: bool) -> None:
    kill = parse(record)
    assert kill is not None
    assert (kill.process, kill.pid, kill.everywhere) == (process, pid, everywhere)
    assert kill.pod == UID


@pytest.mark.parametrize(
    "record",
    ["", "6,1,2,-;Linux version 6.1", "6,1,2,-;python3 invoked oom-killer: order=0", "oom-kill:"],
)
def test_everything_else(record: str) -> None:
    assert parse(record) is None


def test_an_end_of_nobody_of_ours() -> None:
    kill = parse(SYSTEM.replace("pod", "user"))
    assert kill is not None and kill.pod == ""


async def test_records_are_heard_as_they_come() -> None:
    heard = list[Kill]()
    reading, writing = os.pipe()
    watch = OomWatch(heard.append, path=Path(f"/proc/self/fd/{reading}"))
    async with TaskGuard("test") as guard:
        listening = guard.start(watch.run(), name="kernel log")

        async def both() -> bool:
            return len(heard) == 2

        for record in ("6,1,2,-;\xffnoise", SYSTEM, OWN):
            os.write(writing, f"{record}\n SUBSYSTEM=memory\n".encode("latin-1"))
        await eventually(both)
        assert [kill.pid for kill in heard] == [77, 78]
        os.close(writing)
        await listening
    os.close(reading)


async def test_a_log_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    heard, ordinary = list[Kill](), tmp_path / "log"
    ordinary.write_text(SYSTEM)
    for path in (tmp_path / "none", tmp_path, ordinary):
        await OomWatch(heard.append, path=path).run()
    assert heard == []


async def test_the_node_tells_and_the_pod_remembers(tmp_path: Path) -> None:
    node, recorder = Node(tmp_path), FakeRecorder()
    await node.boot()
    node.api.put(make_pod())
    await node.run(5)
    id = node.containers("web")[0].id
    events = NodeEvents(recorder, "n1")
    for record in (SYSTEM, OWN):
        kill = parse(record.replace("abc", id))
        assert kill is not None
        oomwatch.tell(kill, node.manager, events)
    assert recorder.told == [
        ("Warning", "SystemOOM", "System OOM encountered, victim process: a, b, pid: 77")
    ]
    changes = node.manager.workers[UID].context.memory.changes
    assert changes.before(node.clock.monotonic(), 1.0) == [
        "0 s before: the kernel ended process python3 (78) of container web: "
        "there was no more memory for it",
        "0 s before: the kernel ended process a, b (77) of container web: "
        "the node had no memory left",
    ]
    await node.kill()
