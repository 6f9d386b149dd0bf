"""Programs: their failures can be pasted and run again, and none outlives its caller's patience."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.process import MARKER, CommandError, Completed, command_line, run, run_async

Runner = Callable[..., Completed]


@pytest.fixture(params=["run", "run_async"])
def runner(request: pytest.FixtureRequest) -> Runner:
    """Both ways of running a program must behave the same."""
    if request.param == "run":
        return run
    return lambda *args, **kwargs: asyncio.run(run_async(*args, **kwargs))


def python(code: str) -> list[Any]:
    return [sys.executable, "-c", code]


def test_output_and_input(runner: Runner) -> None:
    done = runner(python("import sys; print(sys.stdin.read().upper())"), input=b"hello")
    assert done.text == "HELLO\n"
    assert done.returncode == 0


def test_without_input_stdin_is_empty(runner: Runner) -> None:
    assert runner(python("import sys; print(len(sys.stdin.read()))")).text == "0\n"


def test_a_failure_shows_the_command_and_stderr(runner: Runner) -> None:
    argv = python("import sys; sys.stderr.write('table is locked'); sys.exit(4)")
    with pytest.raises(CommandError) as caught:
        runner(argv)
    message = str(caught.value)
    assert message.startswith("command failed with exit code 4: ")
    assert command_line(argv) in message
    assert message.endswith("\ntable is locked")
    assert caught.value.completed is not None
    assert caught.value.completed.returncode == 4


def test_any_exit_code_when_unchecked(runner: Runner) -> None:
    assert runner(python("import sys; sys.exit(7)"), check=False).returncode == 7


def test_a_signal_is_named(runner: Runner) -> None:
    with pytest.raises(CommandError, match="killed by SIGKILL"):
        runner(python("import os; os.kill(os.getpid(), 9)"))


def test_a_missing_program_is_named(runner: Runner) -> None:
    with pytest.raises(CommandError, match="cannot be started") as caught:
        runner(["no-such-program", "--flag"])
    assert caught.value.hint == "Install 'no-such-program'."


def test_a_timeout_ends_the_program_and_its_children(runner: Runner, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    # A shell starts in milliseconds, so that its child is surely there when the time is up.
    script = f"sleep 600 & echo $! >{pid_file}; wait"
    with pytest.raises(CommandError, match="did not end within 3 s"):
        runner(["sh", "-c", script], timeout=3)
    wait_until_gone(int(pid_file.read_text()))


def test_environment_and_directory(runner: Runner, tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], os.getcwd())"
    done = runner(python(code), env={"COLOUR": "blue"}, cwd=tmp_path)
    assert done.text.split() == ["blue", str(tmp_path)]


def test_what_a_daemon_runs_is_not_taken_for_it(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"import os; print(os.environ.get('{MARKER}'))"
    assert runner(python(code)).text.split() == [str(os.environ.get(MARKER))]
    monkeypatch.setenv(MARKER, "c/node-1/agent")
    assert runner(python(code)).text.split() == ["c/node-1/agent/run"]
    assert runner(python(code), env={MARKER: "a"}).text.split() == ["a/run"]


def test_a_command_line_can_be_pasted() -> None:
    assert command_line(["echo", "two words", Path("/tmp/x")]) == "echo 'two words' /tmp/x"


async def test_a_cancelled_run_kills_the_program(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    task = asyncio.create_task(run_async(["sh", "-c", f"echo $$ >{pid_file}; exec sleep 600"]))
    async with asyncio.timeout(60):
        while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_until_gone(int(pid_file.read_text()))


def wait_until_gone(pid: int) -> None:
    """Returns once no such process runs; a zombie, which waits for its parent, has ended too."""
    deadline = time.monotonic() + 60
    stat = Path(f"/proc/{pid}/stat")
    while True:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.01)
