"""The rules of the house are tests: linters, types, and who may import what.

Each failure prints what the tool said, so that one run tells everything there is to mend.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("base", "api", "control", "agent", "netplugin", "local", "sim", "cli")
BIN = Path(sys.executable).parent


def check(*argv: str) -> None:
    """Run a tool at the root of the checkout; fail with its own words."""
    done = subprocess.run(
        argv,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
    )
    if done.returncode != 0:
        pytest.fail(f"{Path(argv[0]).name} said:\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_check() -> None:
    check(str(BIN / "ruff"), "check", ".")


def test_ruff_format() -> None:
    check(str(BIN / "ruff"), "format", "--check", ".")


def test_mypy_strict() -> None:
    check(str(BIN / "mypy"))


def test_import_linter() -> None:
    check(str(BIN / "lint-imports"))


def scripts() -> list[Path]:
    found = [ROOT / "podwright", ROOT / ".ci" / "run", *sorted((ROOT / "deploy").glob("*.sh"))]
    return [path for path in found if path.exists()]


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_shell_scripts_parse(script: Path) -> None:
    check("bash", "-n", str(script))
    assert os.access(script, os.X_OK), f"{script} is not executable"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_shellcheck(script: Path) -> None:
    check("shellcheck", str(script))


# -- what import-linter cannot say: submodules of external packages, and calls -------------------


@dataclass(frozen=True)
class Rule:
    """Only modules below one of `allowed` may import `module`."""

    module: str
    allowed: Sequence[str]


RULES = (
    Rule("aiohttp.web", ("control.apiserver", "control.dashboard", "agent.server")),
    Rule("docker", ()),
    Rule("requests", ()),
    Rule("pyroute2", ("netplugin",)),
    Rule("sqlite3", ("control.store",)),
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of every room, as (dotted name, path)."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All that a module consists of."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every absolute name that is imported anywhere in a module, at the top or inside a function."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
        ):
            yield str(node.args[0].value)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.module)
def test_only_the_right_room_imports(rule: Rule) -> None:
    offenders = [
        name
        for name, path in modules()
        if any(within(one, rule.module) for one in imported(path))
        and not any(within(name, package) for package in rule.allowed)
    ]
    allowed = ", ".join(rule.allowed) or "nobody"
    assert not offenders, f"only {allowed} may import {rule.module}"


def test_only_netplugin_runs_iptables() -> None:
    # Found by its name as a program of its own: prose about it is welcome everywhere.
    programs = ("iptables", "iptables-restore", "iptables-save", "ip6tables", "nft")
    offenders = [
        f"{name}:{node.lineno}"
        for name, path in modules()
        if not within(name, "netplugin")
        for node in nodes(path)
        if isinstance(node, ast.List | ast.Tuple)
        and node.elts
        and isinstance(node.elts[0], ast.Constant)
        and node.elts[0].value in programs
    ]
    assert not offenders, "local clusters and agents go through netplugin"


def test_every_room_is_a_package_of_the_wheel() -> None:
    assert [room for room in ROOMS if not (ROOT / room / "__init__.py").exists()] == []


LOADED = """
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
print("\\n".join(sorted(sys.modules)))
"""


def loaded_by(*names: str) -> list[str]:
    """What a fresh process has in memory after importing these modules."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_agent_never_loads_the_control_plane() -> None:
    loaded = {name.partition(".")[0] for name in loaded_by("cli.main", "cli.agent", "agent.main")}
    assert not loaded & {"control", "local", "numpy", "rich"}
    # What it does without, for the sake of its memory: see docs/performance.md.
    assert not loaded & {"cryptography", "docker", "requests", "urllib3"}


def test_the_control_plane_never_loads_the_agent() -> None:
    loaded = {
        name.partition(".")[0] for name in loaded_by("cli.main", "cli.control", "control.main")
    }
    assert not loaded & {"agent", "netplugin", "local", "docker", "pyroute2", "rich"}


def test_the_command_itself_needs_only_the_standard_library() -> None:
    # The launcher shows help with bare Python, before anything is installed.
    loaded = {name.partition(".")[0] for name in loaded_by("cli.main")}
    third_party = loaded - set(sys.stdlib_module_names) - set(ROOMS)
    # What the environment itself puts into every process (.pth files).
    third_party = {name for name in third_party if not name.startswith(("_", "sitecustomize"))}
    assert not third_party
