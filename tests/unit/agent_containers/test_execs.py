"""The end of a command that nobody waits for any more, with processes of our own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.containers.execs import end_group
from tests.patience import wait_until

SCRIPT = "sleep 4343 & echo $!; wait"


@pytest.fixture
def command() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command with a child, in a process group of its own as the engine starts it."""
    process = subprocess.Popen(["sh", "-c", SCRIPT], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    yield process, child
    process.kill()
    process.wait()
    process.stdout.close()


def marked(tmp_path: Path, pid: int, mark: str) -> Path:
    (tmp_path / str(pid)).mkdir()
    (tmp_path / str(pid) / "cgroup").write_text(f"0::/kubepods/{mark}\n")
    return tmp_path


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_it_goes_with_its_children(
    command: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, child = command
    assert end_group(process.pid, marked="abc", proc=marked(tmp_path, process.pid, "abc"))
    assert process.wait(30) == -9
    wait_until(lambda: gone(child), interval=0.01)


def test_another_process_is_left_alone(
    command: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, child = command
    assert not end_group(process.pid, marked="abc", proc=marked(tmp_path, process.pid, "other"))
    assert not end_group(process.pid, marked="abc", proc=tmp_path / "nowhere")
    assert process.poll() is None and not gone(child)


def test_of_a_group_that_it_does_not_lead_only_itself_goes(
    command: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, child = command
    assert end_group(child, marked="abc", proc=marked(tmp_path, child, "abc"))
    assert process.wait(30) == 0, "the shell has seen its child go, and ends by itself"
