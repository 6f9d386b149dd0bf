"""The launcher: asks for root only where it must, installs only what has changed.

It runs in a copy of the checkout whose virtual environment is a stub that writes down how it was
called, with a PATH that holds only what the test put there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = (
    "bash", "cat", "dirname", "flock", "grep", "id", "ldd", "readlink", "rm", "sha256sum",
)  # fmt: skip
NOBODY = 65534

# Stands where Python would be: answers the launcher's question for pip, and records the rest.
STUB = """#!/bin/bash
printf '%s\\n' "$*" >>"${0%/.venv/bin/python}/calls"
"""


@pytest.fixture
def checkout() -> Iterator[Path]:
    # Not pytest's own directory, which only its owner may enter: some tests run as nobody.
    made = Path(tempfile.mkdtemp(prefix="podwright-launcher-"))
    made.chmod(0o755)
    for name in ("podwright", "pyproject.toml"):
        shutil.copy2(ROOT / name, made / name)
    for name in ("base", "cli"):
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    (made / "bin").mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (made / "bin" / tool).symlink_to(found)
    yield made
    shutil.rmtree(made)


def launch(
    checkout: Path, *argv: str, nobody: bool = False, cwd: Path = Path("/")
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "podwright"), *argv],
        env={"PATH": str(checkout / "bin"), "HOME": "/nonexistent"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        user=NOBODY if nobody else None,
        group=NOBODY if nobody else None,
        extra_groups=[] if nobody else None,
    )


def add_tool(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def add_environment(checkout: Path) -> None:
    """A stub environment that has not been brought up to date yet."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STUB)
    python.chmod(0o755)


def calls(checkout: Path) -> list[str]:
    """How the stub was called since the last look; whether pip is there is asked every time."""
    path = checkout / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line for line in lines if line != "-m pip --version"]


def test_help_needs_nothing_and_makes_nothing(checkout: Path) -> None:
    for argv in ([], ["--help"], ["help"]):
        shown = launch(checkout, *argv)
        assert "Usage: podwright COMMAND" in shown.stdout
        assert not (checkout / ".venv").exists()
    assert launch(checkout, "--help").returncode == 0


def test_python_packages_are_installed_once_and_when_they_change(checkout: Path) -> None:
    add_environment(checkout)
    assert launch(checkout, "version").returncode == 0
    install, run = calls(checkout)
    assert install.startswith("-m pip install") and install.endswith(f"--editable {checkout}")
    assert run == "-P -m cli version"

    assert launch(checkout, "status", "--name", "two words").returncode == 0
    assert calls(checkout) == ["-P -m cli status --name two words"]

    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert launch(checkout, "version").returncode == 0
    assert len(calls(checkout)) == 2


def test_a_failed_installation_is_tried_again(checkout: Path) -> None:
    add_environment(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(STUB + '[[ $* != *"pip install"* ]] || exit 1\n')
    failed = launch(checkout, "version")
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    assert not any("-m cli" in call for call in calls(checkout))
    python.write_text(STUB)
    assert launch(checkout, "version").returncode == 0
    assert len(calls(checkout)) == 2


def test_it_works_through_a_link_and_from_anywhere(checkout: Path, tmp_path: Path) -> None:
    add_environment(checkout)
    link = tmp_path / "podwright"
    link.symlink_to(checkout / "podwright")
    done = subprocess.run(
        [str(link), "version"],
        env={"PATH": str(checkout / "bin")},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert calls(checkout)[-1] == "-P -m cli version"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


@needs_root
@pytest.mark.parametrize("command", ["up", "test", "down", "node", "image"])
def test_without_root_and_sudo_the_error_says_so(checkout: Path, command: str) -> None:
    done = launch(checkout, command, nobody=True)
    assert done.returncode == 1
    assert f"`podwright {command}` needs root, and there is no sudo here" in done.stderr
    assert "hint:" in done.stderr
    assert not (checkout / ".venv").exists()


@needs_root
def test_with_sudo_it_runs_itself_again_with_the_same_arguments(checkout: Path) -> None:
    add_tool(checkout, "sudo", 'printf "%s|" "$@"')
    done = launch(checkout, "up", "two words.yaml", "--nodes", "3", nobody=True)
    assert done.stdout == f"--|{checkout}/podwright|up|two words.yaml|--nodes|3|"
    assert "continuing under sudo" in done.stderr


@needs_root
@pytest.mark.parametrize("command", ["version", "status", "token", "control", "agent"])
def test_other_commands_never_ask_for_root(checkout: Path, command: str) -> None:
    add_tool(checkout, "sudo", "echo asked for root; exit 1")
    add_environment(checkout)
    launch(checkout, command)
    calls(checkout)
    (checkout / "calls").touch()
    (checkout / "calls").chmod(0o666)
    done = launch(checkout, command, nobody=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert calls(checkout) == [f"-P -m cli {command}"]


@needs_root
def test_help_of_a_command_never_asks_for_root(checkout: Path) -> None:
    add_tool(checkout, "sudo", "echo asked for root; exit 1")
    add_environment(checkout)
    launch(checkout, "version")
    calls(checkout)
    (checkout / "calls").touch()
    (checkout / "calls").chmod(0o666)
    assert launch(checkout, "up", "--help", nobody=True).returncode == 0
    assert calls(checkout) == ["-P -m cli up --help"]


@needs_root
def test_missing_packages_are_installed_in_one_go_and_named(checkout: Path) -> None:
    add_environment(checkout)
    add_tool(checkout, "mktemp", f"echo {checkout}/log")
    add_tool(checkout, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >>{checkout}/apt; [ ! -t 0 ]')
    for present in ("dockerd", "containerd", "runc", "iptables-restore", "apparmor_parser"):
        add_tool(checkout, present, "true")
    # Wherever this runs, kubectl is missing from this PATH; the rest may or may not be there.
    done = launch(checkout, "up")
    assert done.returncode == 0
    update, install = (checkout / "apt").read_text().splitlines()
    assert update.startswith("noninteractive ") and update.endswith(" update")
    assert " install --no-install-recommends " in install
    assert "kubernetes-client" in install
    assert "docker.io" not in install
    assert "strace" not in install, "up needs nothing that only tests use"
    assert "installing system packages: " in done.stderr
    assert calls(checkout)[-1] == "-P -m cli up"


@needs_root
def test_what_tests_alone_need_is_installed_for_tests(checkout: Path) -> None:
    add_environment(checkout)
    add_tool(checkout, "mktemp", f"echo {checkout}/log")
    add_tool(checkout, "apt-get", f'echo "$*" >>{checkout}/apt')
    launch(checkout, "test")
    assert " strace shellcheck" in (checkout / "apt").read_text().splitlines()[1]
