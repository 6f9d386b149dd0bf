"""What an admission plugin is, and the chain that runs them in order.

Serves step 1 of the pod's walk: after defaulting, `admit` of each plugin may change the object or
refuse it; after validation, `validate` may only refuse; last, `beside` may put writes of its own
into the object's transaction. Plugins that have nothing to say about a (resource, operation,
subresource) are sorted out once and never called for it again: most requests call two or three of them.

Where one of them has let others change the object (webhooks), all of them admit it a second time.

A plugin refuses by raising an `ApiError`. It reads other objects through a `Reader`, from the watch
caches, without waiting; what it reads is shared and must not be changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from prometheus_client.registry import Collector

from api.meta import DeleteOptions
from api.scheme import Resource
from api.struct import ApiStruct
from control.admission.metrics import AdmissionMetrics
from control.auth.user import User
from control.store.interface import Write

T = TypeVar("T", bound=ApiStruct)
R = TypeVar("R")

Settle = Callable[[Any], None]


class Operation(StrEnum):
    """What is being done to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(slots=True, kw_only=True)
class Attributes:
    """One request as admission sees it. `object` is private to the request, `old` is shared.

    A plugin may put another object in the place of `object`: who asks takes it from here.
    """

    operation: Operation
    resource: Resource
    namespace: str
    name: str
    user: User
    object: Any = None
    old: Any = None
    subresource: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    requested: Resource | None = None
    """In which version the client speaks; None: in the one that is stored."""
    manager: str = ""
    """The `fieldManager` that the client named."""
    field_validation: str = ""
    deletion: DeleteOptions | None = None
    settle: Settle | None = None
    """Makes an object sound again that was changed outside: the server's own fields, defaults."""
    again: bool = False
    """Whether this is the second round."""
    unsettled: bool = False
    """Set by a plugin that let others change the object: all plugins are to see it once more."""
    memory: Any = None
    """What the plugin that set `unsettled` keeps from one round to the next."""


class Reader(Protocol):
    """Other objects, as the watch caches have them."""

    def get(self, type_: type[T], name: str, namespace: str = "") -> T | None: ...

    def list(self, type_: type[T], namespace: str = "") -> Sequence[T]:
        """Those of a namespace, or all, in the order of their keys."""
        ...

    async def fresh(self, type_: type[ApiStruct]) -> None:
        """Wait until everything that was acknowledged can be seen by `get` and `list`."""
        ...


class Plugin:
    """One admission rule. Subclasses override `handles` and at least one of the others."""

    name: str = ""
    default = True
    """Whether it takes part unless it is left out; else only if it is asked for."""
    collector: Collector | None = None
    """Figures of its own, beside the time it takes."""

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        raise NotImplementedError

    def idle(self) -> bool:
        """Whether there is nothing to do at the moment, whatever the request is."""
        return False

    async def admit(self, request: Attributes) -> None:
        """Change the object, or refuse."""

    async def validate(self, request: Attributes) -> None:
        """Refuse, or let pass."""

    async def beside(self, request: Attributes) -> Sequence[Write]:
        """What is written with the object, or not at all; or refuse.

        Asked anew with every attempt. What deletes the object is a DELETE here, be it the last
        finalizer that goes.
        """
        return ()


_Case = tuple[str, str, Operation, str]


class Chain:
    """The plugins in the order in which they run."""

    def __init__(self, plugins: Iterable[Plugin] = ()) -> None:
        self._plugins = tuple(plugins)
        self._admitting: dict[_Case, Sequence[Plugin]] = {}
        self._validating: dict[_Case, Sequence[Plugin]] = {}
        self._accompanying: dict[_Case, Sequence[Plugin]] = {}
        self.metrics = AdmissionMetrics()

    def __repr__(self) -> str:
        return f"Chain({', '.join(plugin.name for plugin in self._plugins)})"

    def collectors(self) -> Iterable[Collector]:
        """All figures."""
        own = (plugin.collector for plugin in self._plugins if plugin.collector is not None)
        return (self.metrics, *own)

    async def admit(self, request: Attributes) -> None:
        plugins = self._select(self._admitting, request, "admit")
        await self._admit(plugins, request)
        if request.unsettled:
            request.again = True  # and for the last time: plugins must not chase each other
            await self._admit(plugins, request)

    async def validate(self, request: Attributes) -> None:
        for plugin in self._select(self._validating, request, "validate"):
            if not plugin.idle():
                await self._run(plugin, "validate", plugin.validate, request)

    async def _admit(self, plugins: Sequence[Plugin], request: Attributes) -> None:
        for plugin in plugins:
            if not plugin.idle():
                await self._run(plugin, "admit", plugin.admit, request)

    async def beside(self, request: Attributes) -> Sequence[Write]:
        """What plugins write in the transaction that writes the object."""
        writes: list[Write] = []
        for plugin in self._select(self._accompanying, request, "beside"):
            if not plugin.idle():
                writes += await self._run(plugin, "validate", plugin.beside, request)
        return writes

    async def _run(
        self,
        plugin: Plugin,
        type_: str,
        step: Callable[[Attributes], Awaitable[R]],
        request: Attributes,
    ) -> R:
        loop = asyncio.get_running_loop()
        began, rejected = loop.time(), True
        try:
            result = await step(request)
            rejected = False
            return result
        finally:
            labels = (plugin.name, type_, request.operation.value, rejected)
            self.metrics.observe(labels, loop.time() - began)

    def _select(
        self, known: dict[_Case, Sequence[Plugin]], request: Attributes, method: str
    ) -> Sequence[Plugin]:
        resource = request.resource
        case = (resource.group, resource.plural, request.operation, request.subresource)
        found = known.get(case)
        if found is None:
            found = known[case] = tuple(
                plugin
                for plugin in self._plugins
                if plugin.handles(request.resource, request.operation, request.subresource)
                and method in _overridden(plugin)
            )
        return found


def _overridden(plugin: Plugin) -> set[str]:
    return {
        name
        for name in ("admit", "validate", "beside")
        if getattr(type(plugin), name) is not getattr(Plugin, name)
    }
