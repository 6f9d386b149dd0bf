"""As whom a process runs, as the kernel writes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.containers.processes import user_of
from agent.containers.records import ProcessUser

STATUS = "Name:\tsh\nUid:\t1\t{uid}\t3\t4\nGid:\t5\t{gid}\t7\t8\nGroups:\t{groups}\nThreads:\t1\n"


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
    assert user_of(7, tmp_path) == expected
    assert user_of(8, tmp_path) is None


def test_this_very_process() -> None:
    groups = tuple(sorted(os.getgroups()))
    found = user_of(os.getpid())
    assert found is not None and tuple(sorted(found.groups)) == groups
    assert (found.uid, found.gid) == (os.geteuid(), os.getegid())
