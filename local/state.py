"""The description of a local cluster, kept in its state folder.

It holds only what cannot be derived or looked up: the topology follows from name and folder, and
what runs is found in /proc. It is written before anything is made, so that whatever `up` had begun
when it was killed, `down` knows about.
"""

from __future__ import annotations

import enum
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from base.errors import PermanentError
from base.files import atomic_write

FILE, LOCK = "cluster.json", "lock"


class Shape(enum.Enum):
    MACHINE = "machine"
    """One node: this machine itself, with its own network and engine."""
    NAMESPACES = "namespaces"
    """Any number of nodes, each a network namespace with an engine."""


class EngineOrigin(enum.Enum):
    """Who started the engine of a MACHINE cluster, hence who stops it."""

    FOUND = "found"
    """It ran already; it is left running."""
    SYSTEMD = "systemd"
    """We asked systemd to start it."""
    OWN = "own"
    """We run one of our own, because the machine has no service manager to ask."""


class Description(msgspec.Struct, kw_only=True, frozen=True):
    name: str
    shape: Shape
    nodes: list[str]
    port: int
    """The API's port on 127.0.0.1."""
    engine: EngineOrigin = EngineOrigin.OWN
    kubeconfig: str = ""
    """A copy of the kubeconfig that the user asked for, so that it goes with the cluster."""
    control_options: list[str] = []
    agent_options: list[str] = []
    """Further arguments of the daemons: tests shorten waiting times with them."""
    version: int = 1


def load(state: Path) -> Description | None:
    path = state / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise PermanentError(
            f"the cluster in {state} is another user's", hint="Run the same command as root."
        ) from error
    try:
        return msgspec.json.decode(data, type=Description)
    except msgspec.MsgspecError as error:
        raise PermanentError(
            f"{path} cannot be understood: {error}",
            hint="It was written by another version, or damaged.",
        ) from error


def save(state: Path, description: Description) -> None:
    state.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(description), indent=2)
    atomic_write(state / FILE, text + b"\n", 0o600)


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """One command at a time changes a cluster. The kernel lets go when the command is killed.

    The lock file is never removed while it is held by others waiting for it: whoever gets the lock
    checks that the file is still the one in the folder."""
    state.mkdir(parents=True, exist_ok=True)
    path = state / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PermanentError(
                    f"another command is changing the cluster in {state}",
                    hint="Wait for it to end; a command that was killed holds nothing.",
                ) from None
            if _is_file(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)
        state.mkdir(parents=True, exist_ok=True)


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
