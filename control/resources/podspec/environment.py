"""Validation of a container's environment: variables, their sources, facts about the pod."""

from collections.abc import Iterable, Iterator, Mapping

from api import quantity, validation
from api.core import EnvFromSource, EnvVar, FileKeySelector, ResourceFieldSelector, Volume
from api.fielderrors import FieldError, Path, invalid, not_found, not_supported, required
from control.resources.checks import check_one_source, check_text

FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
RESOURCE_FIELDS = tuple(
    f"{kind}.{name}"
    for kind in ("limits", "requests")
    for name in ("cpu", "ephemeral-storage", "memory")
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_CPU_DIVISORS = ("1m", "1")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def file_volume_errors(
    variables: Iterable[EnvVar], volumes: Mapping[str, Volume], path: Path
) -> Iterator[FieldError]:
    """Files of variables lie in volumes of the pod that its containers write to: emptyDir (KEP-3721)."""
    for number, variable in enumerate(variables):
        source = variable.value_from
        if source is None or source.file_key_ref is None or not source.file_key_ref.volume_name:
            continue
        name = source.file_key_ref.volume_name
        where = path.child("env").index(number).child("valueFrom", "fileKeyRef", "volumeName")
        volume = volumes.get(name)
        if volume is None:
            yield not_found(where, name)
        elif volume.empty_dir is None:
            yield invalid(where, name, "referenced volume must be of type emptyDir")


def environment_errors(
    variables: Iterable[EnvVar], sources: Iterable[EnvFromSource], path: Path
) -> Iterator[FieldError]:
    """`env` and `envFrom` of the container at `path`."""
    for number, variable in enumerate(variables):
        yield from _variable_errors(variable, path.child("env").index(number))
    for number, source in enumerate(sources):
        yield from _source_errors(source, path.child("envFrom").index(number))


def _variable_errors(variable: EnvVar, path: Path) -> Iterator[FieldError]:
    yield from check_text(path.child("name"), variable.name, validation.env_var_name)
    source = variable.value_from
    if source is None:
        return
    where = path.child("valueFrom")
    choices = {
        "fieldRef": source.field_ref,
        "resourceFieldRef": source.resource_field_ref,
        "configMapKeyRef": source.config_map_key_ref,
        "secretKeyRef": source.secret_key_ref,
        "fileKeyRef": source.file_key_ref,
    }
    yield from check_one_source(where, choices, value=variable.value)
    if source.field_ref is not None:
        yield from field_path_errors(
            source.field_ref.field_path, where.child("fieldRef", "fieldPath"), FIELD_PATHS
        )
    if source.resource_field_ref is not None:
        yield from resource_field_errors(
            source.resource_field_ref, where.child("resourceFieldRef"), in_volume=False
        )
    for name, reference in (
        ("configMapKeyRef", source.config_map_key_ref),
        ("secretKeyRef", source.secret_key_ref),
    ):
        if reference is not None:
            at = where.child(name)
            yield from check_text(at.child("name"), reference.name, validation.dns1123_subdomain)
            yield from check_text(at.child("key"), reference.key, validation.config_map_key)
    if source.file_key_ref is not None:
        yield from _file_errors(source.file_key_ref, where.child("fileKeyRef"))


def _file_errors(reference: FileKeySelector, path: Path) -> Iterator[FieldError]:
    """A file of variables: relative to its volume, and of a name that a variable may have."""
    for name, value in (("volumeName", reference.volume_name), ("key", reference.key)):
        if not value:
            yield required(path.child(name), "")
    if reference.key:
        yield from check_text(path.child("key"), reference.key, validation.env_var_name)
    where = path.child("path")
    if not reference.path:
        yield required(where, "")
    elif reference.path.startswith("/"):
        yield invalid(where, reference.path, "must be a relative path")
    elif ".." in reference.path.split("/"):
        yield invalid(where, reference.path, "must not contain '..'")


def _source_errors(source: EnvFromSource, path: Path) -> Iterator[FieldError]:
    if source.prefix:
        yield from check_text(path.child("prefix"), source.prefix, validation.env_var_name)
    choices = {"configMapRef": source.config_map_ref, "secretRef": source.secret_ref}
    yield from check_one_source(path, choices)
    for name, reference in choices.items():
        if reference is not None:
            yield from check_text(
                path.child(name, "name"), reference.name, validation.dns1123_subdomain
            )


def field_path_errors(
    field_path: str, path: Path, allowed: tuple[str, ...]
) -> Iterator[FieldError]:
    """A downward-API path: one of `allowed`, or one label or annotation by key."""
    if not field_path:
        yield required(path, "")
        return
    base, bracket, rest = field_path.partition("['")
    if bracket and rest.endswith("']"):
        if base not in ("metadata.labels", "metadata.annotations"):
            yield invalid(path, field_path, "does not support subscript")
            return
        key = rest.removesuffix("']")
        # Keys of annotations are compared without regard to case, so their grammar is too.
        for why in validation.qualified_name(key.lower() if base.endswith("ns") else key):
            yield invalid(path, field_path, why)
    elif field_path not in allowed:
        yield not_supported(path, field_path, allowed)


def resource_field_errors(
    reference: ResourceFieldSelector, path: Path, *, in_volume: bool
) -> Iterator[FieldError]:
    """A request or limit of a container; a file must say of which container."""
    resource = reference.resource
    if in_volume and not reference.container_name:
        yield required(path.child("containerName"), "")
    elif not resource:
        yield required(path.child("resource"), "")
    elif resource not in RESOURCE_FIELDS and not resource.startswith(_HUGE_PAGES):
        yield not_supported(path.child("resource"), resource, RESOURCE_FIELDS)
    elif reference.divisor and quantity.parse(reference.divisor).nano:
        divisors = _CPU_DIVISORS if resource.endswith(".cpu") else _BYTE_DIVISORS
        if reference.divisor not in divisors:
            yield invalid(
                path.child("divisor"),
                resource.partition(".")[2],
                f"only divisor's values {', '.join(divisors)} are supported with this resource",
            )
