"""The links by which log collectors find containers' logs."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.containers.records import ContainerId, ContainerRecord, ContainerState, ImageId
from agent.containers.script import Script
from agent.effects import loglinks
from agent.pod import names
from api.core import Pod
from api.meta import ObjectMeta
from tests.unit.agent.builders import UID, container, make_pod
from tests.unit.agent.node import Node

POD = make_pod()
DIRECTORY = Path("pods") / f"ns_pod_{UID}"


def record(log: Path, name: str = "web", restarts: int = 0, id: str = "abc") -> ContainerRecord:
    return ContainerRecord(
        id=ContainerId(id),
        name="x",
        image="app:1",
        image_id=ImageId("sha256:1"),
        labels={
            names.CONTAINER_TYPE: names.CONTAINER,
            names.CONTAINER_NAME: name,
            names.RESTART_COUNT: str(restarts),
        },
        state=ContainerState.RUNNING,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        log_path=str(log),
    )


def links(root: Path) -> dict[str, str]:
    """Every link below a directory, and where it leads."""
    return {
        str(path.relative_to(root)): os.fspath(path.readlink())
        for path in sorted(root.rglob("*"))
        if path.is_symlink()
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "abc-json.log"
    path.write_text("{}\n")
    return path


def test_a_collector_finds_the_file_by_both_names(root: Path, log: Path) -> None:
    for _ in range(2):
        loglinks.link(root, POD, record(log, restarts=3))
    assert links(root) == {
        "containers/pod_ns_web-abc.log": str(root / DIRECTORY / "web" / "3.log"),
        f"{DIRECTORY}/web/3.log": str(log),
    }
    assert (root / "containers" / "pod_ns_web-abc.log").read_text() == "{}\n"


def test_others_than_root_can_get_there(root: Path, log: Path) -> None:
    before = os.umask(0o077)
    try:
        loglinks.link(root, POD, record(log))
    finally:
        os.umask(before)
    for path in (root, root / "pods", root / DIRECTORY, root / DIRECTORY / "web"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_container_that_follows_under_the_same_number(root: Path, log: Path) -> None:
    loglinks.link(root, POD, record(log))
    loglinks.link(root, POD, record(log.with_name("new"), id="def"))
    assert links(root)[f"{DIRECTORY}/web/0.log"] == str(log.with_name("new"))


def test_links_go_with_their_container(root: Path, log: Path) -> None:
    for restarts in (0, 1):
        loglinks.link(root, POD, record(log, restarts=restarts, id=f"id{restarts}"))
    for _ in range(2):
        loglinks.unlink(root, POD, record(log, restarts=0, id="id0"))
    assert set(links(root)) == {"containers/pod_ns_web-id1.log", f"{DIRECTORY}/web/1.log"}


def test_links_go_with_their_pod_and_no_others(root: Path, log: Path) -> None:
    other = Pod(metadata=ObjectMeta(name="pod", namespace="ns", uid="another"), spec=POD.spec)
    loglinks.link(root, POD, record(log))
    loglinks.link(root, POD, record(log, "side"))
    loglinks.link(root, other, record(log, id="def"))
    for _ in range(2):
        loglinks.remove(root, POD)
    assert set(links(root)) == {
        "containers/pod_ns_web-def.log",
        "pods/ns_pod_another/web/0.log",
    }
    assert not (root / DIRECTORY).exists()


def test_strays_are_swept_and_what_is_others_stays(root: Path, log: Path) -> None:
    gone, live = log.with_name("gone"), log.with_name("missing for a moment")
    loglinks.link(root, POD, record(live))
    for uid, target in (("dead", gone), ("foreign", log)):
        pod = Pod(metadata=ObjectMeta(name=uid, namespace="ns", uid=uid), spec=POD.spec)
        loglinks.link(root, pod, record(target, id=uid))
    real = root / "pods" / "ns_kubelets_1234" / "web" / "0.log"
    real.parent.mkdir(parents=True)
    real.write_text("a file, as other runtimes have it")
    (root / "containers" / "stray.log").symlink_to(gone)
    loglinks.sweep(root, {UID})
    assert set(links(root)) == {
        "containers/pod_ns_web-abc.log",
        f"{DIRECTORY}/web/0.log",
        "containers/foreign_ns_web-foreign.log",
        "pods/ns_foreign_foreign/web/0.log",
    }
    assert real.exists()


def test_nothing_happens_without_a_root_or_a_log(root: Path, log: Path) -> None:
    loglinks.link(None, POD, record(log))
    loglinks.link(root, POD, replace(record(log), log_path=""))
    loglinks.link(root, POD, record(log, "../../../etc"))
    loglinks.link(root, POD, replace(record(log), labels={}))
    loglinks.sweep(root, ())
    assert not root.exists()


def test_a_root_that_cannot_be_written_is_no_failure(
    root: Path, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root.write_text("a file in its place")
    loglinks.link(root, POD, record(log))
    assert "is not linked" in caplog.text


async def test_a_pods_life(tmp_path: Path) -> None:
    """Made at the start, one per container that is kept, found again by another agent, gone at the end."""
    node = Node(tmp_path, scripts={"web": Script(run_for=5, exit_code=1)})
    root = tmp_path / "log"
    await node.boot()
    node.api.put(make_pod(container(), container("other")))
    await node.run(1)
    assert set(links(root)) >= {f"{DIRECTORY}/web/0.log", f"{DIRECTORY}/other/0.log"}
    assert len(list((root / "containers").iterdir())) == 2
    await node.run(100)
    kept = {f"{r.labels[names.RESTART_COUNT]}.log" for r in node.containers("web")}
    assert kept and "0.log" not in kept
    assert {path.name for path in (root / DIRECTORY / "web").iterdir()} == kept
    await node.kill()
    before = links(root)
    for path in [root / name for name in before]:
        path.unlink()
    await node.boot()
    await node.run(1)
    assert links(root) == before
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=1)
    await node.run(10)
    assert links(root) == {}
    assert list((root / "pods").iterdir()) == []
