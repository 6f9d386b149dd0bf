"""What this node's pods refer to: ConfigMaps, Secrets, claims, classes, tokens (step 4 of the walk).

The node's authorizer lets an agent read exactly these, one by one, so they are read by name whenever
a container starts or a volume is looked after; what was read within the last second serves several
at once. Only in memory: the contents of Secrets are never written to a disk of the node.

Concurrency: one event loop; one request per object at a time, others wait for it. When the API
cannot be asked, what was read before is still good; what was never read raises TemporaryError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

from agent.volumes.base import IssuedToken, VolumeError
from api import timestamps
from api.authentication import BoundObjectReference, TokenRequest, TokenRequestSpec
from api.client import Client
from api.core import (
    ConfigMap,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Secret,
    ServiceAccount,
)
from api.errors import ApiError, is_forbidden, is_not_found
from api.node import RuntimeClass
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError, TemporaryError

T = TypeVar("T", bound=ApiStruct)

FRESH = 1.0
"""Seconds an answer is good for: a container that starts must not see old configuration."""


@dataclass
class _Entry:
    value: Any = None
    read_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ReferencedObjects:
    """A small cache in front of GET."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._entries: dict[tuple[type[ApiStruct], str, str], _Entry] = {}
        self._requests = 0

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        return await self._read(ConfigMap, namespace, name)

    async def secret(self, namespace: str, name: str) -> Secret | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        return await self._read(Secret, namespace, name)

    async def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        return await self._read(PersistentVolumeClaim, namespace, name)

    async def persistent_volume(self, name: str) -> PersistentVolume | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        return await self._read(PersistentVolume, "", name)

    async def runtime_class(self, name: str) -> RuntimeClass | None:
        """None when it does not exist. Raises TemporaryError when nobody can say."""
        return await self._read(RuntimeClass, "", name)

    async def token(self, pod: Pod, *, audience: str, seconds: int) -> IssuedToken:
        """A new token of the pod's account. The server signs it for a pod of this node only."""
        metadata, account = pod.metadata, pod.spec.service_account_name
        asked = TokenRequest(
            spec=TokenRequestSpec(
                audiences=[audience] if audience else [],
                expiration_seconds=seconds,
                bound_object_ref=BoundObjectReference(
                    kind="Pod", api_version="v1", name=metadata.name, uid=metadata.uid
                ),
            )
        )
        self._requests += 1
        try:
            given: TokenRequest = await self._client.create_subresource(
                ServiceAccount, account, metadata.namespace, "token", asked
            )
        except PodwrightError as error:
            words = f"failed to fetch token: {error.message}"
            if isinstance(error, ApiError) and 400 <= error.code < 500 and error.code != 429:
                raise VolumeError(words) from error
            raise TemporaryError(words) from error
        begins, ends = given.metadata.creation_timestamp, given.status.expiration_timestamp
        if not given.status.token or not ends:
            raise TemporaryError("failed to fetch token: the API server has answered without one")
        lifetime = timedelta(seconds=seconds)
        if begins:
            lifetime = timestamps.parse(ends) - timestamps.parse(begins)
        return IssuedToken(text=given.status.token, lifetime=lifetime)

    def forget_unused(self, used: Iterable[tuple[str, str]]) -> None:
        """Drop everything but these (namespace, name): a Secret stays no longer than its pods."""
        kept = set(used)
        for key in [key for key in self._entries if key[1:] not in kept]:
            del self._entries[key]

    def statistics(self) -> dict[str, float]:
        return {"referenced_objects": len(self._entries), "referenced_requests": self._requests}

    async def _read(self, type_: type[T], namespace: str, name: str) -> T | None:
        entry = self._entries.setdefault((type_, namespace, name), _Entry())
        async with entry.lock:
            now = self._clock.monotonic()
            if entry.read_at is not None and now - entry.read_at < FRESH:
                return cast(T | None, entry.value)
            try:
                self._requests += 1
                entry.value = await self._client.get(type_, name, namespace)
            except ApiError as error:
                if not is_not_found(error):
                    _must_be_known(entry, error, namespace, name)
                    return cast(T | None, entry.value)
                entry.value = None
            except PodwrightError as error:
                _must_be_known(entry, error, namespace, name)
                return cast(T | None, entry.value)
            entry.read_at = now
            return cast(T | None, entry.value)


def _must_be_known(entry: _Entry, error: PodwrightError, namespace: str, name: str) -> None:
    """What was read before is still good, unless the node may not read it any more."""
    if entry.read_at is None or is_forbidden(error):
        raise TemporaryError(f"{namespace}/{name} cannot be read: {error.message}") from error
