"""ComponentStatuses: is the control plane well, part by part?

Serves whoever watches a pod's walk with an old tool; `/readyz?verbose` says the same and more. Parts are
attached as they are started; one that was not started says that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from api.core import ComponentStatus
from api.scheme import resource_of
from control.apiserver.registry.codecs import Codec, Typed
from control.resources.core import componentstatus
from control.resources.strategy import Strategy

Check = Callable[[], Awaitable[str]]
"""Returns "" when the component is well, else what is not."""


class Components:
    """The source of ComponentStatuses."""

    def __init__(self, **checks: Check) -> None:
        self.resource = resource_of(ComponentStatus)
        self.rules: Strategy[Any] = componentstatus.RULES
        self.codec: Codec = Typed(ComponentStatus)
        self._checks = {"controller-manager": _not_started, "scheduler": _not_started, **checks}

    def attach(self, name: str, check: Check) -> None:
        """From now on `check` tells whether the component is well."""
        self._checks[name] = check

    async def get(self, namespace: str, name: str) -> ComponentStatus | None:
        check = self._checks.get(name)
        return None if check is None else componentstatus.made(name, await check())

    async def every(self, namespace: str) -> list[ComponentStatus]:
        return [
            componentstatus.made(name, await check())
            for name, check in sorted(self._checks.items())
        ]


async def _not_started() -> str:
    return "not started: this control plane runs without controllers and scheduler"
