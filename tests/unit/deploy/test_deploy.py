"""Deployment: the installer's arguments arrive as settings, the units start what exists."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

from base import settings
from base.settings import Setting
from cli.main import COMMANDS

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def as_toml(*argv: str) -> subprocess.CompletedProcess[str]:
    """The function of install.sh by itself: defining it needs neither root nor a machine."""
    lines = (DEPLOY / "install.sh").read_text().splitlines()
    first = lines.index("as_toml() {")
    function = "\n".join(lines[first : lines.index("}", first) + 1])
    script = f'die() {{ echo "$1" >&2; exit 1; }}\n{function}\nset -euo pipefail\nas_toml "$@"'
    return subprocess.run(
        ["bash", "-c", script, "install.sh", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_arguments_become_settings(tmp_path: Path) -> None:
    argv = [
        "--join", "https://192.0.2.10:6443", "--max-pods=50", "--label", "a=b", "--verbose",
        "--label=c=d", "--note", 'quote " and \\ and $HOME', "--quiet", "false",
    ]  # fmt: skip
    written = as_toml(*argv)
    assert written.returncode == 0, written.stderr
    (tmp_path / "agent.toml").write_text(written.stdout)
    values = settings.load(
        (
            Setting(name="join", help=""),
            Setting(name="max-pods", type=int, help=""),
            Setting(name="label", repeated=True, help=""),
            Setting(name="verbose", type=bool, help=""),
            Setting(name="note", help=""),
            Setting(name="quiet", type=bool, help=""),
        ),
        [],
        program="podwright agent",
        description="",
        environ={},
        prefix="X_",
        default_config=tmp_path / "agent.toml",
    )
    assert dict(values) == {
        "join": "https://192.0.2.10:6443",
        "max-pods": 50,
        "label": ("a=b", "c=d"),
        "verbose": True,
        "note": 'quote " and \\ and $HOME',
        "quiet": False,
    }


def test_a_stray_word_is_refused() -> None:
    done = as_toml("--join", "https://192.0.2.10:6443", "oops")
    assert done.returncode == 1
    assert "found 'oops'" in done.stderr


def unit(name: str) -> configparser.ConfigParser:
    # systemd's files are close enough to be read as INI; keys may repeat and are case-sensitive.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / name)
    return parser


@pytest.mark.parametrize("role", ["control", "agent"])
def test_a_unit_runs_the_daemon_and_waits_until_it_is_ready(role: str) -> None:
    service = unit(f"podwright-{role}.service")["Service"]
    program, command = service["ExecStart"].split()
    assert program == "/opt/podwright/venv/bin/podwright"
    assert command == role
    assert command in {one.name for one in COMMANDS}
    assert service["Type"] == "notify"
    assert service["Restart"] == "always"


def test_containers_survive_the_agents_unit() -> None:
    parsed = unit("podwright-agent.service")
    assert "Requires" not in parsed["Unit"]  # else a restart of the engine stops the agent
    assert "BindsTo" not in parsed["Unit"]
    assert parsed["Service"]["RuntimeDirectoryPreserve"] == "yes"
