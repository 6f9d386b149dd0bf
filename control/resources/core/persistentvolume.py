"""PersistentVolume: a piece of storage in the cluster. Walk step 4: what a claim's pod mounts."""

from collections.abc import Iterator

import msgspec

from api import quantity, validation
from api.core import (
    PersistentVolume,
    PersistentVolumeMode,
    PersistentVolumeReclaimPolicy,
    PersistentVolumeSpec,
    SecretReference,
)
from api.core.persistentsource import CSIPersistentVolumeSource, PersistentVolumeSource
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported, required
from api.names import wire_name
from api.poddefaults import default_remote_source
from api.scheme import resource_of
from control.resources.checks import (
    amount,
    check_enum,
    check_exactly_one,
    check_immutable,
    check_text,
)
from control.resources.columns import AGE
from control.resources.core import accessmodes
from control.resources.podspec.placement import node_selector_errors
from control.resources.podspec.volumes import host_path_errors
from control.resources.storage.rules import driver_name_errors
from control.resources.strategy import Column, Strategy
from control.resources.volumesources import remote_source_errors

STORAGE = "storage"
CLASS_BEFORE = "volume.beta.kubernetes.io/storage-class"
"""The annotation that named the class before there was a field."""

UNSET = "<unset>"
_INLINE = "may not be specified in the context of inline volumes"
_SOURCES = tuple((wire_name(name), name) for name in PersistentVolumeSource.__struct_fields__)
_CSI_SECRETS = (
    "controller_expand_secret_ref",
    "controller_publish_secret_ref",
    "node_expand_secret_ref",
    "node_publish_secret_ref",
    "node_stage_secret_ref",
)


class PersistentVolumeStrategy(Strategy[PersistentVolume]):
    """What it is made of stays; who has it, its controller writes."""

    columns = (
        Column("Capacity", "string", lambda one, now: size(one.spec.capacity)),
        Column("Access Modes", "string", lambda one, now: accessmodes.shown(one.spec.access_modes)),
        Column(
            "Reclaim Policy", "string", lambda one, now: one.spec.persistent_volume_reclaim_policy
        ),
        Column("Status", "string", lambda one, now: _phase(one)),
        Column("Claim", "string", lambda one, now: _claim(one)),
        Column("StorageClass", "string", lambda one, now: _class(one)),
        Column(
            "VolumeAttributesClass",
            "string",
            lambda one, now: one.spec.volume_attributes_class_name or UNSET,
        ),
        Column("Reason", "string", lambda one, now: one.status.reason),
        AGE,
        Column("VolumeMode", "string", lambda one, now: one.spec.volume_mode or UNSET, priority=1),
    )

    def default(self, obj: PersistentVolume) -> None:
        spec = obj.spec
        spec.persistent_volume_reclaim_policy = spec.persistent_volume_reclaim_policy or "Retain"
        spec.volume_mode = spec.volume_mode or "Filesystem"
        if spec.host_path is not None:
            spec.host_path.type = spec.host_path.type or ""
        default_remote_source(spec)

    def prepare_create(self, obj: PersistentVolume) -> None:
        super().prepare_create(obj)
        obj.status.phase = "Pending"

    def validate(self, obj: PersistentVolume) -> list[FieldError]:
        return list(spec_errors(obj.spec, Path("spec")))

    def validate_update(self, new: PersistentVolume, old: PersistentVolume) -> list[FieldError]:
        path = Path("spec")
        return [
            *self.validate(new),
            *_source_changes(new.spec, old.spec),
            *check_immutable(path.child("volumeMode"), new.spec.volume_mode, old.spec.volume_mode),
            *_placement_changes(new.spec, old.spec, path),
        ]

    def generation_changes(self, new: PersistentVolume, old: PersistentVolume) -> bool:
        return False


def size(resources: dict[str, str]) -> str:
    """The size among them, as it is printed; 0 where there is none."""
    return quantity.canonical(resources.get(STORAGE, "0"))


def spec_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    """Errors of a volume."""
    yield from _access_errors(spec, path)
    yield from _capacity_errors(spec.capacity, path.child("capacity"))
    yield from _policy_errors(spec, path)
    yield from _class_errors(spec, path)
    yield from check_enum(path.child("volumeMode"), spec.volume_mode, PersistentVolumeMode)
    yield from _affinity_errors(spec, path.child("nodeAffinity"))
    yield from _source_errors(spec, path)


def inline_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    """Errors of a volume of a CSI driver for which there is no object."""
    for name, value in (
        ("claimRef", spec.claim_ref),
        ("capacity", spec.capacity),
        ("storageClassName", spec.storage_class_name),
        ("nodeAffinity", spec.node_affinity),
    ):
        if value:
            yield forbidden(path.child(name), _INLINE)
    yield from _access_errors(spec, path)
    if spec.csi is None:
        where = path.child("csi")
        yield required(where, "has to be specified in the context of inline volumes")
    yield from _source_errors(spec, path)


def _access_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    where = path.child("accessModes")
    if not spec.access_modes:
        yield required(where, "")
    yield from accessmodes.access_mode_errors(where, spec.access_modes)


def _capacity_errors(capacity: dict[str, str], path: Path) -> Iterator[FieldError]:
    if not capacity:
        yield required(path, "")
    elif list(capacity) != [STORAGE]:
        yield not_supported(path, sorted(capacity), [STORAGE])
    for name, value in capacity.items():
        yield from positive_errors(path.key(name), value)


def positive_errors(path: Path, value: str) -> Iterator[FieldError]:
    """A size is more than nothing."""
    if amount(value).nano <= 0:
        yield invalid(path, value, "must be greater than zero")


def _policy_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    where, policy = (
        path.child("persistentVolumeReclaimPolicy"),
        spec.persistent_volume_reclaim_policy,
    )
    yield from check_enum(where, policy, PersistentVolumeReclaimPolicy)
    if policy == "Recycle" and spec.host_path is not None and not spec.host_path.path.strip("/"):
        yield forbidden(where, "may not be 'recycle' for a hostPath mount of '/'")


def _class_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    where = path.child("storageClassName")
    yield from check_text(
        where, spec.storage_class_name, validation.dns1123_subdomain, needed=False
    )
    if spec.volume_attributes_class_name is None:
        return
    where = path.child("volumeAttributesClassName")
    yield from check_text(where, spec.volume_attributes_class_name, validation.dns1123_subdomain)
    if spec.csi is None:
        words = "has to be specified when using volumeAttributesClassName"
        yield required(path.child("csi"), words)


def _affinity_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    if spec.node_affinity is None:
        if spec.local is not None:
            yield required(path, "Local volume requires node affinity")
    elif spec.node_affinity.required is None:
        yield required(path.child("required"), "must specify required node constraints")
    else:
        yield from node_selector_errors(spec.node_affinity.required, path.child("required"))


def _source_errors(spec: PersistentVolumeSpec, path: Path) -> Iterator[FieldError]:
    sources = {wire: getattr(spec, name) for wire, name in _SOURCES}
    yield from check_exactly_one(path, sources, "volume type")
    yield from remote_source_errors(spec, path)
    if spec.host_path is not None:
        yield from host_path_errors(spec.host_path, path.child("hostPath"))
    if spec.local is not None:
        where = path.child("local", "path")
        if not spec.local.path:
            yield required(where, "")
        elif ".." in spec.local.path.split("/"):
            yield invalid(where, spec.local.path, "must not contain '..'")
    if spec.csi is not None:
        yield from _csi_errors(spec.csi, path.child("csi"))
    if spec.azure_file is not None and spec.azure_file.secret_namespace == "":
        yield required(path.child("azureFile", "secretNamespace"), "")


def _csi_errors(csi: CSIPersistentVolumeSource, path: Path) -> Iterator[FieldError]:
    if csi.driver:
        yield from driver_name_errors(path.child("driver"), csi.driver)
    if not csi.volume_handle:
        yield required(path.child("volumeHandle"), "")
    for name in _CSI_SECRETS:
        secret: SecretReference | None = getattr(csi, name)
        if secret is None:
            continue
        where = path.child(wire_name(name))
        for field, value in (("name", secret.name), ("namespace", secret.namespace)):
            if not value:
                yield required(where.child(field), "")


def _source_changes(new: PersistentVolumeSpec, old: PersistentVolumeSpec) -> Iterator[FieldError]:
    """Where the data lies never changes; only the secret for growing it may come later."""
    for _, name in _SOURCES:
        mine, theirs = getattr(new, name), getattr(old, name)
        if isinstance(theirs, CSIPersistentVolumeSource) and mine is not None:
            if theirs.controller_expand_secret_ref is None:
                mine = msgspec.structs.replace(mine, controller_expand_secret_ref=None)
        if mine != theirs:
            where = Path("spec", "persistentvolumesource")
            yield forbidden(where, "spec.persistentvolumesource is immutable after creation")
            return


def _placement_changes(
    new: PersistentVolumeSpec, old: PersistentVolumeSpec, path: Path
) -> Iterator[FieldError]:
    if old.node_affinity is not None:
        yield from check_immutable(path.child("nodeAffinity"), new.node_affinity, old.node_affinity)
    if old.volume_attributes_class_name is not None and new.volume_attributes_class_name is None:
        where = path.child("volumeAttributesClassName")
        yield forbidden(where, "update from non-nil value to nil is forbidden")


def _phase(one: PersistentVolume) -> str:
    return "Terminating" if one.metadata.deletion_timestamp else one.status.phase


def _claim(one: PersistentVolume) -> str:
    claim = one.spec.claim_ref
    return "" if claim is None else f"{claim.namespace}/{claim.name}"


def _class(one: PersistentVolume) -> str:
    return one.metadata.annotations.get(CLASS_BEFORE) or one.spec.storage_class_name


STRATEGY = PersistentVolumeStrategy(resource_of(PersistentVolume))
