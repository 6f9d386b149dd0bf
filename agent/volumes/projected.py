"""configMap, secret, downwardAPI and projected volumes (step 4 of the pod's walk).

All four are sets of files that follow the API: they are collected from their sources, then written
in one swap (`atomic.py`). Those that may hold secrets lie in memory, never on the node's disk. When
the API cannot be asked, a set that was written before stays as it is. Tokens are renewed in time by
the same round that follows the API (`tokens.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent.spec.errors import ConfigError
from agent.volumes import atomic
from agent.volumes.atomic import File
from agent.volumes.base import VolumeContext, VolumeError
from agent.volumes.mounts import remove_tree
from agent.volumes.payload import (
    DEFAULT_MODE,
    config_map_files,
    downward_files,
    secret_files,
)
from api import names
from api.core import (
    ConfigMap,
    KeyToPath,
    ProjectedVolumeSource,
    Secret,
    ServiceAccountTokenProjection,
    VolumeProjection,
)
from base.clock import Clock, SystemClock
from base.errors import TemporaryError

TOKEN_SECONDS = 3600
"""How long a token is good for that says nothing itself, as Kubernetes has it."""

T = TypeVar("T", ConfigMap, Secret)
Collect = Callable[[VolumeContext], Awaitable[dict[str, File]]]


async def config_map(context: VolumeContext, *, clock: Clock | None = None) -> Path:
    async def collect(context: VolumeContext) -> dict[str, File]:
        source = context.volume.config_map
        assert source is not None
        mode = _mode(source.default_mode)
        return await _config_map(context, source.name, source.items, mode, source.optional)

    return await _set_up(context, collect, memory=False, clock=clock)


async def secret(context: VolumeContext, *, clock: Clock | None = None) -> Path:
    async def collect(context: VolumeContext) -> dict[str, File]:
        source = context.volume.secret
        assert source is not None
        mode = _mode(source.default_mode)
        return await _secret(context, source.secret_name, source.items, mode, source.optional)

    return await _set_up(context, collect, memory=True, clock=clock)


async def downward_api(context: VolumeContext, *, clock: Clock | None = None) -> Path:
    async def collect(context: VolumeContext) -> dict[str, File]:
        source = context.volume.downward_api
        assert source is not None
        mode = _mode(source.default_mode)
        return downward_files(source.items, pod=context.pod, place=context.place, mode=mode)

    return await _set_up(context, collect, memory=True, clock=clock)


async def projected(context: VolumeContext, *, clock: Clock | None = None) -> Path:
    source = context.volume.projected
    assert source is not None
    collect = partial(_projected, source=source)
    return await _set_up(context, collect, memory=True, clock=clock)


async def tear_down(context: VolumeContext) -> None:
    await context.mounter.aside(lambda: remove_tree(context.directory, context.mounter))


async def _set_up(
    context: VolumeContext, collect: Collect, *, memory: bool, clock: Clock | None
) -> Path:
    path = context.directory
    path.mkdir(parents=True, exist_ok=True)
    try:
        files = await collect(context)
    except TemporaryError:
        if atomic.exists(path):
            return path
        raise
    except ConfigError as error:
        raise VolumeError(error.message) from error
    if memory:
        context.mounter.tmpfs(path)
    with contextlib.suppress(FileNotFoundError):
        atomic.give(path, context.group)
    atomic.write(path, files, group=context.group, now=(clock or SystemClock()).now())
    return path


async def _config_map(
    context: VolumeContext, name: str, items: list[KeyToPath], mode: int, optional: bool | None
) -> dict[str, File]:
    found = await _read(context, ConfigMap, name, context.objects.config_map)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    return config_map_files(found, items, mode=mode, optional=bool(optional))


async def _secret(
    context: VolumeContext, name: str, items: list[KeyToPath], mode: int, optional: bool | None
) -> dict[str, File]:
    found = await _read(context, Secret, name, context.objects.secret)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    return secret_files(found, items, mode=mode, optional=bool(optional))


async def _read(
    context: VolumeContext,
    type_: type[T],
    name: str,
    ask: Callable[[str, str], Awaitable[T | None]],
) -> T | None:
    """What is immutable is read once for the pod. Made anew under its name, it is for new pods
    ("Immutable ConfigMaps" in Kubernetes' documentation)."""
    known: T | None = context.immutable.get((type_, name))
    if known is None:
        known = await ask(context.pod.metadata.namespace, name)
        if known is not None and known.immutable:
            context.immutable[type_, name] = known
    return known


async def _projected(context: VolumeContext, *, source: ProjectedVolumeSource) -> dict[str, File]:
    mode = _mode(source.default_mode)
    # Side by side: every pod waits for its token and for the cluster's CA. An exception of one must
    # not leave the others running unseen.
    parts = await asyncio.gather(
        *(_part(context, part, mode, number) for number, part in enumerate(source.sources)),
        return_exceptions=True,
    )
    files: dict[str, File] = {}
    for part in parts:
        if isinstance(part, BaseException):
            raise part
        files |= part  # of two with one name the later counts, as in Kubernetes
    return files


async def _part(
    context: VolumeContext, part: VolumeProjection, mode: int, number: int
) -> dict[str, File]:
    if (config := part.config_map) is not None:
        return await _config_map(context, config.name, config.items, mode, config.optional)
    if (hidden := part.secret) is not None:
        return await _secret(context, hidden.name, hidden.items, mode, hidden.optional)
    if (downward := part.downward_api) is not None:
        return downward_files(downward.items, pod=context.pod, place=context.place, mode=mode)
    if (token := part.service_account_token) is not None:
        return {token.path: await _token(context, token, mode)}
    if (bundle := part.cluster_trust_bundle) is not None and bundle.optional:
        return {bundle.path: File(content=b"", mode=mode)}  # of none there is nothing to trust
    for kind in ("cluster_trust_bundle", "pod_certificate"):
        if getattr(part, kind) is not None:
            field = f"projected.sources[{number}].{names.wire_name(kind)}"
            raise VolumeError(f"{field} is not supported by this agent yet")
    return {}


async def _token(
    context: VolumeContext, source: ServiceAccountTokenProjection, mode: int
) -> File:  # fmt: skip
    """Whom the pod runs as may read it, and nobody else, where that is known (Kubernetes' rules)."""
    text = await context.tokens(source.audience, source.expiration_seconds or TOKEN_SECONDS)
    if context.user is not None or context.group is not None:
        mode = 0o600
    return File(content=text.encode(), mode=mode, owner=context.user)


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode
