"""An agent killed before each kind of thing it does to a real engine and a real kernel.

`tests/unit/agent/test_crash_points.py` has every single effect, over a runtime without containers;
here each kind happens once with everything real below it: first as a pod starts, and the same pod's
agent again as it ends. Nothing is there twice, nothing is restarted, nothing stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from agent.resources.cgroups import MOUNT
from agent.volumes.mounts import KernelMounter
from api.core import (
    ConfigMap,
    ConfigMapVolumeSource,
    EmptyDirVolumeSource,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from tests.crashpoints import Crashed, CrashPoints
from tests.integration.agent.conftest import CGROUP, RealNode
from tests.integration.agent.test_pods import FOREVER, shell
from tests.thorough import LONG
from tests.unit.agent.builders import make_pod

Point = tuple[str, int]
"""The name of an effect, and which of that name."""

STARTS: list[Point] = [
    ("runtime.create", 0),
    ("mounter.tmpfs", 0),
    ("runtime.start", 0),
    ("network.attach", 0),
    ("runtime.create", 1),
    ("runtime.start", 1),
    ("runtime.exec", 0),
    ("api.patch", 0),
]
ENDS: list[Point] = [
    ("runtime.exec", 0),
    ("runtime.kill", 0),
    ("network.detach", 0),
    ("runtime.remove", 0),
    ("runtime.remove", 1),
    ("mounter.unmount", 0),
    ("os.rmdir", 0),
    ("api.delete", 0),
]
FILES: list[Point] = [
    (name, nth)
    for name in ("open", "os.mkdir", "os.chmod", "os.symlink", "os.rename", "os.remove", "os.rmdir")
    for nth in (0, 1, 3)
]
CASES = [*zip(STARTS, ENDS, strict=True), *((point, point) for point in FILES if LONG)]


def full_pod() -> Pod:
    hook = LifecycleHandler(exec=ExecAction(command=["true"]))
    mounts = [
        VolumeMount(name="memory", mount_path="/memory"),
        VolumeMount(name="text", mount_path="/text"),
    ]
    web = shell(FOREVER, volume_mounts=mounts, lifecycle=Lifecycle(post_start=hook, pre_stop=hook))
    return make_pod(
        web,
        shell(FOREVER, "other"),
        volumes=[
            Volume(name="memory", empty_dir=EmptyDirVolumeSource(medium="Memory")),
            Volume(name="text", config_map=ConfigMapVolumeSource(name="text")),
        ],
    )


async def left(node: RealNode) -> set[str]:
    """All that pods have on the node."""
    standing = {"pods", "log", "log/pods", "log/containers", "checkpoints", "seccomp"}
    files = {str(path.relative_to(node.directory)) for path in node.directory.rglob("*")}
    found = {f"file {path}" for path in files - standing}
    found |= {f"mount {path}" for path in KernelMounter().below(node.directory)}
    found |= {f"container {record.name}" for record in await node.containers()}
    found |= {f"volume {name}" for name in node.engine.docker("volume", "ls", "-q").split()}
    found |= {f"cgroup {uid}" for uid in node.cgroups.pod_uids()}
    return found | {f"address {address}" for address in node.network.attached.values()}


async def killed_at(
    node: RealNode, point: Point, begin: Callable[[], object], *, until: Callable[[], bool]
) -> None:
    """Begin something; kill the agent when it comes to this point, and start the next one."""
    roots = [node.directory, *(mount / CGROUP.strip("/") for mount in MOUNT.iterdir())]
    points = CrashPoints(*roots, at=point)
    points.watch_node(node)
    with points.watching_files():
        with suppress(Crashed):  # the API has it all the same
            begin()
        for _ in range(6000):
            if points.dead or until():
                break
            await asyncio.sleep(0.02)
        await node.kill()
    # There may be fewer changes of files than the list has; of the rest each must be.
    assert points.dead or point in FILES, f"it never came to that: {points.names}"
    points.revive()
    await node.boot()


@pytest.mark.parametrize(("start", "end"), CASES, ids=lambda point: f"{point[0]}-{point[1]}")
async def test_killed_before_an_effect(node: RealNode, start: Point, end: Point) -> None:
    meta = ObjectMeta(name="text", namespace="ns")
    node.api.put(ConfigMap(metadata=meta, data={"a": "b"}))
    await killed_at(node, start, lambda: node.api.put(full_pod()), until=node.ready)
    await node.until(node.ready, seconds=60)
    records = await node.containers()
    assert sorted(record.running for record in records) == [True] * 3, records
    assert [one.restart_count for one in node.api.pod().status.container_statuses] == [0, 0]
    await node.manager.agent.checkpoints.flush()

    def delete() -> None:
        node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=10)

    await killed_at(node, end, delete, until=node.gone)
    await node.until(node.gone)
    await node.until(lambda: node.manager.workers == {})
    assert await left(node) == set()
