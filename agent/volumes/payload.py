"""Which files a ConfigMap, a Secret or the pod itself gives (step 4 of the pod's walk). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.spec.fieldref import Place, field, resource_field
from agent.volumes.atomic import File
from agent.volumes.base import VolumeError
from api.core import ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret

DEFAULT_MODE = 0o644


def config_map_files(
    config_map: ConfigMap, items: Sequence[KeyToPath], *, mode: int, optional: bool
) -> dict[str, File]:
    data = {key: value.encode() for key, value in config_map.data.items()}
    data |= config_map.binary_data
    return _files(
        data, items, mode=mode, optional=optional, what="configmap references non-existent config"
    )


def secret_files(
    secret: Secret, items: Sequence[KeyToPath], *, mode: int, optional: bool
) -> dict[str, File]:
    return _files(
        secret.data, items, mode=mode, optional=optional, what="references non-existent secret"
    )


def downward_files(
    items: Sequence[DownwardAPIVolumeFile], *, pod: Pod, place: Place, mode: int
) -> dict[str, File]:
    files = {}
    for item in items:
        if item.field_ref is not None:
            text = field(item.field_ref.field_path, pod, place)
        elif item.resource_field_ref is not None:
            text = resource_field(item.resource_field_ref, pod, None, place)
        else:
            text = ""
        files[item.path] = File(
            content=text.encode(), mode=mode if item.mode is None else item.mode
        )
    return files


def _files(
    data: Mapping[str, bytes],
    items: Sequence[KeyToPath],
    *,
    mode: int,
    optional: bool,
    what: str,
) -> dict[str, File]:
    if not items:
        return {key: File(content=value, mode=mode) for key, value in data.items()}
    files = {}
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise VolumeError(f"{what} key: {item.key}")
        files[item.path] = File(
            content=data[item.key], mode=mode if item.mode is None else item.mode
        )
    return files
