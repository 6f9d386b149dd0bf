"""As whom a container was started: from where the engine's shim works, or as the kernel writes it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.containers.processes import runs_as, started_as, user_of
from agent.containers.records import ContainerId, ProcessUser

STATUS = "Name:\tsh\nUid:\t1\t{uid}\t3\t4\nGid:\t5\t{gid}\t7\t8\nGroups:\t{groups}\nThreads:\t1\n"

ID = ContainerId("c0ffee")
STARTED = {"uid": 1000, "gid": 3000, "additionalGids": [3000, 4000], "umask": 18}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            STATUS.format(uid=1000, gid=3000, groups="3000 4000 "),
            ProcessUser(uid=1000, gid=3000, groups=(3000, 4000)),
        ),
        (STATUS.format(uid=0, gid=0, groups=" "), ProcessUser(uid=0, gid=0)),
        ("Name:\tsh\n", None),
        (STATUS.format(uid="x", gid=0, groups=""), None),
        ("", None),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, expected: ProcessUser | None) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text(text)
    assert runs_as(7, tmp_path) == expected
    assert runs_as(8, tmp_path) is None


def test_this_very_process() -> None:
    groups = tuple(sorted(os.getgroups()))
    found = runs_as(os.getpid())
    assert found is not None and tuple(sorted(found.groups)) == groups
    assert (found.uid, found.gid) == (os.geteuid(), os.getegid())


def bundle(root: Path, user: object, id: str = ID) -> Path:
    path = root / "bundles" / id
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"process": {"user": user, "args": ["x"]}}))
    return path


def process(root: Path, pid: int, parent: int, name: str = "sh") -> Path:
    path = root / "proc" / str(pid)
    path.mkdir(parents=True)
    (path / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {pid} 0 -1")
    return path


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Process 50 of a container, and 40, the shim that works in the container's bundle."""
    process(tmp_path, 50, 40, name="odd) S 1 (name")
    shim = process(tmp_path, 40, 1, name="containerd-shim")
    (shim / "cwd").symlink_to(bundle(tmp_path, STARTED))
    return tmp_path / "proc"


def test_what_the_engine_found_out(proc: Path) -> None:
    (proc / "50" / "status").write_text(STATUS.format(uid=999, gid=999, groups=" "))
    expected = ProcessUser(uid=1000, gid=3000, groups=(3000, 4000))
    assert user_of(ID, 50, proc) == expected, "whatever it has made of itself since"
    (proc / "40" / "cwd").unlink()
    assert user_of(ID, 50, proc) == ProcessUser(uid=999, gid=999)


def test_a_shim_of_several_containers(proc: Path, tmp_path: Path) -> None:
    bundle(tmp_path, {"uid": 0, "gid": 0}, id="second")
    assert started_as(ContainerId("second"), 50, proc) == ProcessUser(uid=0, gid=0)


def test_a_number_that_is_anothers_by_now(proc: Path, tmp_path: Path) -> None:
    assert started_as(ContainerId("another"), 50, proc) is None
    assert started_as(ID, 51, proc) is None
    stranger = process(tmp_path, 60, 1)
    process(tmp_path, 61, 60)
    assert started_as(ID, 61, proc) is None
    (stranger / "stat").write_text("")
    assert started_as(ID, 60, proc) is None


@pytest.mark.parametrize(
    "text", ["", "{}", '{"process": {}}', '{"process": {"user": {"uid": "a"}}}']
)
def test_a_bundle_that_is_none(proc: Path, text: str) -> None:
    (proc / "40" / "cwd" / "config.json").write_text(text)
    assert started_as(ID, 50, proc) is None
