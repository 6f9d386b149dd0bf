from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import PermanentError
from local.host import processes
from local.host.processes import Process

SLEEP = ["sleep", "60"]


@pytest.fixture
def marker() -> str:
    return f"unit-{os.getpid()}/node"


def test_stat_is_read_behind_a_hostile_name() -> None:
    fields = ["S", "7", "8", "9"] + ["0"] * 15 + ["4711", "0"]
    stat = processes.parse_stat("12 (a) R 1 2) \n(b) " + " ".join(fields))
    assert (stat.state, stat.parent, stat.session, stat.started) == ("S", 7, 9, 4711)


def test_a_daemon_is_found_by_its_marker_and_stopped(marker: str, tmp_path: Path) -> None:
    started = processes.spawn(SLEEP, marker=f"{marker}/one", log=tmp_path / "log")
    try:
        assert processes.daemon(f"{marker}/one") == started
        assert [each.process for each in processes.marked(marker)] == [started]
        assert os.getsid(started.pid) == started.pid
    finally:
        processes.stop(started, grace=5)
    assert processes.daemon(f"{marker}/one") is None
    assert not started.alive()


def test_a_marker_is_not_found_by_the_beginning_of_its_name(marker: str, tmp_path: Path) -> None:
    started = processes.spawn(SLEEP, marker=f"{marker}-12/one", log=tmp_path / "log")
    try:
        assert processes.marked(marker) == []
    finally:
        processes.stop(started, grace=5)


def test_what_outlives_a_killed_daemon_is_not_the_daemon(marker: str, tmp_path: Path) -> None:
    code = "from base.process import run; run(['sleep', '60'])"
    started = processes.spawn(
        [sys.executable, "-c", code],
        marker=f"{marker}/one",
        log=tmp_path / "log",
        environment={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    try:
        runs = processes.wait_for(lambda: processes.marked(f"{marker}/one/run"), timeout=60)
        assert runs and runs[0].leader
        started.signal(signal.SIGKILL)
        assert processes.gone([started], timeout=60)
        assert runs[0].process.alive()
        assert processes.daemon(f"{marker}/one") is None
        assert [each.process for each in processes.marked(marker)] == [runs[0].process]
    finally:
        left = [each.process for each in processes.marked(marker)]
        processes.signal_all(left, signal.SIGKILL)
        assert processes.gone(left, timeout=60)


def test_children_carry_the_marker_but_do_not_lead(marker: str, tmp_path: Path) -> None:
    started = processes.spawn(
        ["sh", "-c", "sleep 60 & wait"], marker=f"{marker}/one", log=tmp_path / "log"
    )
    try:
        found = processes.wait_for(lambda: processes.marked(marker)[1:], timeout=60)
        assert found and not found[0].leader
        family = processes.descendants([started])
        assert {started, found[0].process} == set(family)
    finally:
        processes.signal_all(processes.descendants([started]), signal.SIGKILL)
        assert processes.gone([started], timeout=60)


def test_a_recycled_number_is_not_signalled() -> None:
    with subprocess.Popen(SLEEP) as stranger:
        actual = processes.process(stranger.pid)
        assert actual is not None
        assert not Process(stranger.pid, actual.started - 1).signal(signal.SIGKILL)
        assert stranger.poll() is None
        stranger.kill()


def test_a_zombie_is_gone() -> None:
    pid = os.posix_spawnp("true", ["true"], os.environ)
    each = processes.process(pid)
    assert each is None or processes.gone([each], timeout=60)


def test_the_log_gets_output_and_is_quoted(marker: str, tmp_path: Path) -> None:
    log = tmp_path / "logs/one.log"
    program = "print('hello'); print('world')"
    started = processes.spawn([sys.executable, "-c", program], marker=marker, log=log)
    assert processes.gone([started], timeout=60)
    assert processes.last_lines(log, 1) == "world"
    assert processes.last_lines(log) == "hello\nworld"
    assert "no log" in processes.last_lines(tmp_path / "none")


def test_a_missing_program_is_named(marker: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no-such-program"):
        processes.spawn(["no-such-program"], marker=marker, log=tmp_path / "log")


def test_descriptors_arrive_under_the_numbers_asked_for(marker: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (tmp_path / "file").open("w+") as file:
        file.write("content")
        file.flush()
        started = processes.spawn(
            [sys.executable, "-c", "import os; print(os.pread(7, 100, 0))"],
            marker=marker,
            log=log,
            descriptors={file.fileno(): 7},
        )
        assert processes.gone([started], timeout=60)
    assert "content" in log.read_text()


def test_nothing_else_that_is_open_is_inherited(marker: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        program = "import os; print('open:', sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
        started = processes.spawn([sys.executable, "-c", program], marker=marker, log=log)
        assert processes.gone([started], timeout=60)
    assert "open: ['0', '1', '2']" in log.read_text()
