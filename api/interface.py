"""What can be asked of the API: one interface, whoever answers.

Serves every step of the pod's walk: scheduler, controllers, agent and command line speak to the API
through `Client` alone. Two answer it: `api.client.HttpClient` over the network, and the control
plane's own `control.apiserver.local.LocalClient` in the same process, without HTTP but with the
same admission and validation.

Concurrency: an implementation may be shared by any number of tasks of one event loop. Objects it
returns may be shared with caches: change a copy (`api.objects.copy`). Errors: answers other than
success are `ApiError`; a connection that fails is a `TemporaryError`. Nothing is retried behind the
caller's back, because only the caller knows whether that is safe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from api.meta import DeleteOptions, Preconditions
from api.struct import ApiStruct

T = TypeVar("T", bound=ApiStruct)


class PatchType(StrEnum):
    """How a patch is to be understood: its media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of a list, with the revision it shows and the token of the next page."""

    items: list[T]
    resource_version: str
    continue_: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One change: ADDED, MODIFIED, DELETED, or BOOKMARK, which has no object, only a revision."""

    type: str
    object: T | None
    resource_version: str


class Client(Protocol):
    """What can be asked of the API. Every method may raise ApiError or TemporaryError."""

    async def get(
        self, type_: type[T], name: str, namespace: str = "", *, resource_version: str = ""
    ) -> T:
        """One object."""
        ...

    async def list(
        self,
        type_: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
    ) -> Listed[T]:
        """The objects of a namespace, or of all when it is empty."""
        ...

    async def create(self, obj: T, *, namespace: str = "", dry_run: bool = False) -> T:
        """Store a new object; returns it as stored. Not safe to call twice."""
        ...

    async def create_subresource(
        self,
        type_: type[ApiStruct],
        name: str,
        namespace: str,
        subresource: str,
        body: ApiStruct,
    ) -> Any:
        """POST to a subresource: binding, eviction, token. Returns the body's type or a Status."""
        ...

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """Replace an object, or its subresource; a resourceVersion in it must be the current."""
        ...

    async def patch(
        self,
        type_: type[T],
        name: str,
        namespace: str,
        body: Any,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> T:
        """Change parts of an object, or of its subresource."""
        ...

    async def delete(
        self,
        type_: type[ApiStruct],
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object, or begin to, when it has finalizers or ends gracefully."""
        ...

    def watch(
        self,
        type_: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[WatchEvent[T]]:
        """Every change after `resource_version`, bookmarks included, until `timeout`.

        Raises ApiError with code 410 when that revision is no longer kept.
        """
        ...


def delete_options(
    *,
    grace_period_seconds: int | None = None,
    propagation_policy: str | None = None,
    uid: str | None = None,
    resource_version: str | None = None,
) -> DeleteOptions:
    """The body of a delete request."""
    preconditions = None
    if uid is not None or resource_version is not None:
        preconditions = Preconditions(uid=uid, resource_version=resource_version)
    return DeleteOptions(
        grace_period_seconds=grace_period_seconds,
        propagation_policy=propagation_policy,
        preconditions=preconditions,
    )
