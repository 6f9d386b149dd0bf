"""An agent that dies just before it touches the world: every such moment, one after another.

What an agent does to the world is calls of its parts (runtime, network, mounts, the API) and changes
of files, which Python itself announces (audit events). `CrashPoints` counts them all; before the one
that was chosen the process is dead: that one does not happen, and nothing after it does, not even
what `finally` would do. So is the moment after each effect proven, which is the one before the next.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTS = {
    "runtime": ("create", "start", "stop", "kill", "remove", "exec", "update", "pin"),
    "network": ("attach", "detach", "reconcile"),
    "mounter": ("tmpfs", "bind", "bind_read_only", "layers", "unmount"),
    "api": ("patch", "create", "update", "delete", "create_subresource"),
}
"""What each part of the agent does to the world. What only reads is not among it."""

FILES = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.chmod",
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Crashed(BaseException):
    """The process is dead. No `except Exception` of a dead process runs."""


class CrashPoints:
    """Counts effects, and ends the process before one of them."""

    def __init__(self, *roots: Path, at: int | tuple[str, int] | None = None) -> None:
        """`at` is the number of the effect, or its name and which of that name."""
        self.names: list[str] = []
        """Every effect that was begun."""
        self.dead = False
        self._at = at
        self._roots = tuple(map(str, roots))

    def __repr__(self) -> str:
        return f"CrashPoints(at={self._at}, names={self.names})"

    def reach(self, name: str) -> None:
        """An effect is about to happen."""
        if self.dead:
            raise Crashed
        if self._at in (len(self.names), (name, self.names.count(name))):
            self.dead = True
            raise Crashed
        self.names.append(name)

    def revive(self) -> None:
        """The next agent uses the same parts, and lives."""
        self.dead, self._at = False, None

    def watch(self, part: str, thing: Any) -> None:
        """Count what this part does from now on."""
        for method in PARTS[part]:
            setattr(thing, method, self._counted(f"{part}.{method}", getattr(thing, method)))

    def watch_node(self, node: Any) -> None:
        """Count what the agent of a test's node does; its runtime may be another after each start."""
        mounter = node.manager.agent.mounter
        parts = {
            "runtime": node.runtime,
            "network": node.network,
            "mounter": mounter,
            "api": node.api,
        }
        for part, thing in parts.items():
            self.watch(part, thing)

    @contextmanager
    def watching_files(self) -> Iterator[None]:
        """Count changes of files below the roots too."""
        _listeners.append(self._heard)
        try:
            yield
        finally:
            _listeners.remove(self._heard)

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        method = inspect.unwrap(method)  # of an earlier agent on the same part

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.reach(name)
            answer = await method(*args, **kwargs)
            if self.dead:
                raise Crashed
            return answer

        def call_at_once(*args: Any, **kwargs: Any) -> Any:
            self.reach(name)
            return method(*args, **kwargs)

        counted = call if inspect.iscoroutinefunction(method) else call_at_once
        counted.__wrapped__ = method  # type: ignore[attr-defined]
        return counted

    def _heard(self, event: str, arguments: Sequence[Any]) -> None:
        if event == "open" and not arguments[2] & WRITES:
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | Path) else ""
        held = event != "open" and not path.startswith("/")  # within a folder that is held open
        if held or path.startswith(self._roots):
            self.reach(event)


_listeners: list[Callable[[str, Sequence[Any]], None]] = []


def _hear(event: str, arguments: Sequence[Any]) -> None:
    if _listeners and event in FILES:
        for listener in _listeners:
            listener(event, arguments)


sys.addaudithook(_hear)
