"""`podwright test`: every test there is, linters included, with pytest's summary as the last line.

Everything that follows is handed to pytest as it is, so `podwright test tests/unit -k scheduler`
works. `--vm` runs them in a virtual machine with cgroup v2 and systemd (`tests/vm`), by default those
that show more there. `--long` gives fuzz, fault and soak suites their full size. The whole suite runs
in two lanes (`tests/conftest.py` says which tests share one), chosen tests one after another. Tests that
need a Docker Engine start one of their own in a namespace of their own; the machine's engine is neither
needed nor used.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from base.errors import PermanentError

ROOT = Path(__file__).resolve().parent.parent

LANES = ("-n", "2", "--no-loadscope-reorder")
"""What makes pytest run the whole suite in two processes; the lanes keep their order."""

USAGE = """\
Usage: podwright test [--long] [--vm] [PYTEST ARGUMENTS]

Run every test. --long takes the long suites (fuzz, faults, soak) at their full size.
--vm runs tests in a virtual machine with cgroup v2 and systemd: by default those of resources.
Everything else is handed to pytest: paths, -k EXPRESSION, -x, ..."""


def main(argv: Sequence[str]) -> int:
    """Become pytest, so that its output and its exit code are ours."""
    if any(word in ("-h", "--help") for word in argv):
        print(USAGE)
        return 0
    if not (ROOT / "tests").is_dir() or importlib.util.find_spec("pytest") is None:
        raise PermanentError(
            "the tests are not installed", hint="Run ./podwright test in a checkout."
        )
    long, rest = split(argv, "--long")
    machine, rest = split(rest, "--vm")
    environment = environment_for(os.environ, long=long)
    sys.stdout.flush()
    os.chdir(ROOT)
    words = ["tests.vm", *rest] if machine else ["pytest", *(rest or LANES)]
    command = [sys.executable, "-m", *words]
    os.execve(sys.executable, command, environment)


def split(argv: Sequence[str], flag: str) -> tuple[bool, list[str]]:
    """Whether a flag of ours was given, and what is left for pytest."""
    return flag in argv, [word for word in argv if word != flag]


def environment_for(environ: Mapping[str, str], *, long: bool) -> dict[str, str]:
    """The environment of pytest: the size of the long suites, and the tools of our own venv."""
    changed = dict(environ)
    changed["PODWRIGHT_TEST_LONG"] = "1" if long else ""
    changed["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"
    # A proxy or a kubeconfig of the caller must not decide what the tests talk to.
    for name in ("KUBECONFIG", "DOCKER_HOST", "DOCKER_CONTEXT"):
        changed.pop(name, None)
    return changed
