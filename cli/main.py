"""The entry point of `podwright`: finds the subcommand, runs it, words its errors for a person.

A subcommand is a module with `main(argv: Sequence[str]) -> int`, where argv is what follows its
name and the result is the exit code. It is imported only when it is asked for, so that the agent
never loads the control plane, and `--help` loads nothing.

Exit codes: 0 well, 1 failed, 2 wrongly called, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from base.errors import PodwrightError
from base.settings import SettingsError


@dataclass(frozen=True)
class Command:
    """A subcommand, and the module that has its `main`."""

    name: str
    module: str
    summary: str
    heading: str


COMMANDS = (
    Command(
        "up", "cli.up", "start a cluster on this machine, and apply manifests", "Clusters here"
    ),
    Command("down", "cli.down", "stop that cluster and remove every trace of it", "Clusters here"),
    Command("status", "cli.status", "what runs, and whether it is well", "Clusters here"),
    Command("why", "cli.why", "why a pod is as it is, and what would help", "Clusters here"),
    Command("node", "cli.node", "enter, cut, heal, kill or start a node", "Clusters here"),
    Command("image", "cli.image", "load a local image into the nodes", "Clusters here"),
    Command("sim", "cli.sim", "run a scenario on a simulated cluster", "Clusters here"),
    Command("control", "cli.control", "run the control plane", "Daemons"),
    Command("agent", "cli.agent", "run the node agent, and join a cluster", "Daemons"),
    Command(
        "token", "cli.token", "make, list and delete the tokens that let machines join", "Daemons"
    ),
    Command("test", "cli.test", "run every test", "This checkout"),
    Command("version", "cli.version", "print the version", "This checkout"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the entry point of the installed `podwright`."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except SettingsError as error:
        _complain(error)
        return 2
    except PodwrightError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    name = "version" if words[0] == "--version" else words[0]
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        raise SettingsError(f"there is no command {name!r}", hint=_suggestion(name))
    module = importlib.import_module(command.module)
    code: int = module.main(words[1:])
    return code


def usage() -> str:
    """What `podwright --help` prints."""
    lines = [
        "Usage: podwright COMMAND [ARGUMENTS]",
        "",
        "A small container orchestrator that speaks the Kubernetes API and runs pods on Docker.",
    ]
    for heading in dict.fromkeys(command.heading for command in COMMANDS):
        lines += ["", f"{heading}:"]
        lines += [
            f"  {command.name:<9} {command.summary}"
            for command in COMMANDS
            if command.heading == heading
        ]
    return "\n".join([*lines, "", "`podwright COMMAND --help` shows what a command takes."])


def _suggestion(name: str) -> str:
    matches = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    return f"Did you mean {matches[0]!r}?" if matches else "See `podwright --help`."


def _complain(error: PodwrightError) -> None:
    print(f"podwright: error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
