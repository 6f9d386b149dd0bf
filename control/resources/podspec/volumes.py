"""Validation of a pod's volumes: one source each, with the fields that source needs."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from api import validation
from api.core import HostPathType, KeyToPath, Volume
from api.core.volume import (
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    HostPathVolumeSource,
    ProjectedVolumeSource,
    VolumeProjection,
    VolumeSource,
)
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported, required
from api.names import wire_name
from control.resources.checks import (
    check_enum,
    check_exactly_one,
    check_text,
    check_unique,
    is_negative,
)
from control.resources.podspec.containers import relative_path_errors
from control.resources.podspec.environment import field_path_errors, resource_field_errors
from control.resources.volumesources import remote_source_errors

MAX_MODE = 0o777
MIN_TOKEN_SECONDS = 600
VOLUME_FIELD_PATHS = ("metadata.name", "metadata.namespace", "metadata.uid")

_SOURCES = tuple((wire_name(name), name) for name in VolumeSource.__struct_fields__)
_PROJECTIONS = tuple((wire_name(name), name) for name in VolumeProjection.__struct_fields__)


def volume_errors(volumes: Sequence[Volume], path: Path) -> Iterator[FieldError]:
    """Names are unique DNS labels; each volume has exactly one source, which is valid."""
    yield from check_unique(
        path, ((path.index(n).child("name"), volume.name) for n, volume in enumerate(volumes))
    )
    for number, volume in enumerate(volumes):
        where = path.index(number)
        yield from check_text(where.child("name"), volume.name, validation.dns1123_label)
        sources = {wire: getattr(volume, name) for wire, name in _SOURCES}
        yield from check_exactly_one(where, sources, "volume type")
        yield from _source_errors(volume, where)


def _source_errors(volume: Volume, path: Path) -> Iterator[FieldError]:
    if volume.empty_dir is not None:
        yield from _empty_dir_errors(volume.empty_dir, path.child("emptyDir"))
    if volume.host_path is not None:
        yield from host_path_errors(volume.host_path, path.child("hostPath"))
    if volume.secret is not None:
        where = path.child("secret")
        if not volume.secret.secret_name:
            yield required(where.child("secretName"), "")
        yield from _mode_errors(volume.secret.default_mode, where.child("defaultMode"))
        yield from _item_errors(volume.secret.items, where.child("items"))
    if volume.config_map is not None:
        where = path.child("configMap")
        if not volume.config_map.name:
            yield required(where.child("name"), "")
        yield from _mode_errors(volume.config_map.default_mode, where.child("defaultMode"))
        yield from _item_errors(volume.config_map.items, where.child("items"))
    if volume.downward_api is not None:
        where = path.child("downwardAPI")
        yield from _mode_errors(volume.downward_api.default_mode, where.child("defaultMode"))
        yield from _downward_errors(volume.downward_api.items, where.child("items"))
    if volume.projected is not None:
        yield from _projected_errors(volume.projected, path.child("projected"))
    if volume.persistent_volume_claim is not None and not volume.persistent_volume_claim.claim_name:
        yield required(path.child("persistentVolumeClaim", "claimName"), "")
    yield from remote_source_errors(volume, path)


def _empty_dir_errors(source: EmptyDirVolumeSource, path: Path) -> Iterator[FieldError]:
    if source.size_limit is not None and is_negative(source.size_limit):
        yield forbidden(
            path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity"
        )
    if source.medium not in ("", "Memory") and not source.medium.startswith("HugePages"):
        yield not_supported(path.child("medium"), source.medium, ("", "Memory", "HugePages"))


def host_path_errors(source: HostPathVolumeSource, path: Path) -> Iterator[FieldError]:
    """A path on the node that leads nowhere above itself, and what must be there."""
    if not source.path:
        yield required(path.child("path"), "")
    elif ".." in PurePosixPath(source.path).parts:
        yield invalid(path.child("path"), source.path, "must not contain '..'")
    yield from check_enum(path.child("type"), source.type, HostPathType)


def _mode_errors(mode: int | None, path: Path) -> Iterator[FieldError]:
    if mode is not None and not 0 <= mode <= MAX_MODE:
        yield invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def _item_errors(items: Sequence[KeyToPath], path: Path) -> Iterator[FieldError]:
    for number, item in enumerate(items):
        where = path.index(number)
        if not item.key:
            yield required(where.child("key"), "")
        yield from _file_path_errors(item.path, where.child("path"))
        yield from _mode_errors(item.mode, where.child("mode"))


def _file_path_errors(value: str, path: Path) -> Iterator[FieldError]:
    if not value:
        yield required(path, "")
        return
    yield from relative_path_errors(value, path)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        yield invalid(path, value, "must not start with '..'")


def _downward_errors(items: Sequence[DownwardAPIVolumeFile], path: Path) -> Iterator[FieldError]:
    for number, item in enumerate(items):
        where = path.index(number)
        yield from _file_path_errors(item.path, where.child("path"))
        yield from _mode_errors(item.mode, where.child("mode"))
        if item.field_ref is None and item.resource_field_ref is None:
            yield required(where, "one of fieldRef and resourceFieldRef is required")
        elif item.field_ref is not None and item.resource_field_ref is not None:
            yield invalid(
                where,
                item.path,
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            )
        if item.field_ref is not None:
            yield from field_path_errors(
                item.field_ref.field_path,
                where.child("fieldRef", "fieldPath"),
                (*VOLUME_FIELD_PATHS, "metadata.labels", "metadata.annotations"),
            )
        if item.resource_field_ref is not None:
            yield from resource_field_errors(
                item.resource_field_ref, where.child("resourceFieldRef"), in_volume=True
            )


def _projected_errors(source: ProjectedVolumeSource, path: Path) -> Iterator[FieldError]:
    yield from _mode_errors(source.default_mode, path.child("defaultMode"))
    for number, projection in enumerate(source.sources):
        where = path.child("sources").index(number)
        choices = {wire: getattr(projection, name) for wire, name in _PROJECTIONS}
        yield from check_exactly_one(where, choices, "projection type")
        if projection.secret is not None:
            yield from _projected_name_errors(projection.secret.name, where.child("secret"))
            yield from _item_errors(projection.secret.items, where.child("secret", "items"))
        if projection.config_map is not None:
            yield from _projected_name_errors(projection.config_map.name, where.child("configMap"))
            yield from _item_errors(projection.config_map.items, where.child("configMap", "items"))
        if projection.downward_api is not None:
            yield from _downward_errors(
                projection.downward_api.items, where.child("downwardAPI", "items")
            )
        token = projection.service_account_token
        if token is not None:
            at = where.child("serviceAccountToken")
            yield from _file_path_errors(token.path, at.child("path"))
            if (
                token.expiration_seconds is not None
                and token.expiration_seconds < MIN_TOKEN_SECONDS
            ):
                yield invalid(
                    at.child("expirationSeconds"),
                    token.expiration_seconds,
                    "may not specify a duration less than 10 minutes",
                )
    yield from _conflict_errors(source, path)


def _conflict_errors(source: ProjectedVolumeSource, path: Path) -> Iterator[FieldError]:
    """Paths that are given twice, as far as they are known: a source without items has any names."""
    seen: set[str] = set()
    for projection in source.sources:
        for where, name in _given_paths(projection):
            if where in seen:
                yield invalid(path, name or where, "conflicting duplicate paths")
            elif where:
                seen.add(where)


def _given_paths(projection: VolumeProjection) -> Iterator[tuple[str, str]]:
    """Each path with the name of the object that it shows."""
    for named in (projection.secret, projection.config_map):
        if named is not None:
            yield from ((item.path, named.name) for item in named.items)
    if projection.downward_api is not None:
        yield from ((item.path, "") for item in projection.downward_api.items)
    if projection.service_account_token is not None:
        yield projection.service_account_token.path, ""
    if projection.cluster_trust_bundle is not None:
        yield projection.cluster_trust_bundle.path, ""
    if (made := projection.pod_certificate) is not None:
        for where in (made.credential_bundle_path, made.key_path, made.certificate_chain_path):
            yield where, ""


def _projected_name_errors(name: str, path: Path) -> Iterator[FieldError]:
    if not name:
        yield required(path.child("name"), "")
