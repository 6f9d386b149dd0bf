"""PersistentVolumeClaim: a wish for storage, by which pods of its namespace mount it. Walk step 4."""

from collections.abc import Iterator

import msgspec

from api import quantity, validation
from api.core import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeMode,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from api.fielderrors import FieldError, Path, forbidden, invalid, required
from api.scheme import resource_of
from control.resources.checks import (
    amount,
    check_enum,
    check_immutable,
    check_selector,
    check_text,
    is_negative,
)
from control.resources.columns import AGE
from control.resources.core import accessmodes
from control.resources.core.persistentvolume import (
    CLASS_BEFORE,
    STORAGE,
    UNSET,
    positive_errors,
    size,
)
from control.resources.strategy import Column, Strategy

_COPIED = {("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")}
"""What `dataSource` may name; anything else can be said in `dataSourceRef` alone."""


class PersistentVolumeClaimStrategy(Strategy[PersistentVolumeClaim]):
    """What is asked for stays; a claim that is bound may ask for more of it."""

    columns = (
        Column("Status", "string", lambda one, now: _phase(one)),
        Column("Volume", "string", lambda one, now: one.spec.volume_name),
        Column("Capacity", "string", lambda one, now: _if_bound(one, size(one.status.capacity))),
        Column(
            "Access Modes",
            "string",
            lambda one, now: _if_bound(one, accessmodes.shown(one.status.access_modes)),
        ),
        Column("StorageClass", "string", lambda one, now: class_of(one) or ""),
        Column(
            "VolumeAttributesClass",
            "string",
            lambda one, now: one.spec.volume_attributes_class_name or UNSET,
        ),
        AGE,
        Column("VolumeMode", "string", lambda one, now: one.spec.volume_mode or UNSET, priority=1),
    )

    def default(self, obj: PersistentVolumeClaim) -> None:
        obj.spec.volume_mode = obj.spec.volume_mode or "Filesystem"

    def prepare_create(self, obj: PersistentVolumeClaim) -> None:
        super().prepare_create(obj)
        obj.status.phase = "Pending"
        source = obj.spec.data_source
        if source is not None and (source.api_group or "", source.kind) not in _COPIED:
            obj.spec.data_source = None
        _join_sources(obj.spec)

    def prepare_update(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
        super().prepare_update(new, old)
        _join_sources(new.spec)

    def validate(self, obj: PersistentVolumeClaim) -> list[FieldError]:
        return list(claim_spec_errors(obj.spec, Path("spec")))

    def validate_update(
        self, new: PersistentVolumeClaim, old: PersistentVolumeClaim
    ) -> list[FieldError]:
        path = Path("spec")
        return [
            *self.validate(new),
            *_changes(new, old, path),
            *_shrinking(new, old, path),
            *check_immutable(path.child("volumeMode"), new.spec.volume_mode, old.spec.volume_mode),
        ]

    def validate_subresource(
        self, subresource: str, new: PersistentVolumeClaim, old: PersistentVolumeClaim
    ) -> list[FieldError]:
        path, status = Path("status"), new.status
        return [
            invalid(path.child(field).key(name), value, "must be greater than or equal to 0")
            for field, amounts in (
                ("capacity", status.capacity),
                ("allocatedResources", status.allocated_resources),
            )
            for name, value in amounts.items()
            if is_negative(value)
        ]

    def generation_changes(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> bool:
        return False


def class_of(claim: PersistentVolumeClaim) -> str | None:
    """The class that the claim asks for; None when it leaves that to the cluster."""
    named = claim.metadata.annotations.get(CLASS_BEFORE)
    return claim.spec.storage_class_name if named is None else named


def claim_spec_errors(spec: PersistentVolumeClaimSpec, path: Path) -> Iterator[FieldError]:
    """Errors of a claim, or of the pattern of one."""
    where = path.child("accessModes")
    if not spec.access_modes:
        yield required(where, "at least 1 access mode is required")
    yield from accessmodes.access_mode_errors(where, spec.access_modes)
    if spec.selector is not None:
        yield from check_selector(path.child("selector"), spec.selector)
    where = path.child("resources").key(STORAGE)
    if STORAGE not in spec.resources.requests:
        yield required(where, "")
    else:
        yield from positive_errors(where, spec.resources.requests[STORAGE])
    for name, text in (
        ("storageClassName", spec.storage_class_name),
        ("volumeAttributesClassName", spec.volume_attributes_class_name),
    ):
        yield from check_text(
            path.child(name), text or "", validation.dns1123_subdomain, needed=False
        )
    yield from check_enum(path.child("volumeMode"), spec.volume_mode, PersistentVolumeMode)
    yield from _data_errors(spec, path)


def _data_errors(spec: PersistentVolumeClaimSpec, path: Path) -> Iterator[FieldError]:
    source, reference = spec.data_source, spec.data_source_ref
    if source is not None:
        yield from _reference_errors(source, path.child("dataSource"))
    if reference is not None:
        yield from _reference_errors(reference, path.child("dataSourceRef"))
    if source is None or reference is None:
        return
    if reference.namespace:
        where = path.child("dataSource")
        words = "may not be specified when dataSourceRef.namespace is specified"
        yield invalid(where, source.name, words)
    elif (source.api_group or "", source.kind, source.name) != (
        reference.api_group or "",
        reference.kind,
        reference.name,
    ):
        yield invalid(path, "dataSource", "must match dataSourceRef")


def _reference_errors(
    reference: TypedLocalObjectReference | TypedObjectReference, path: Path
) -> Iterator[FieldError]:
    for name, value in (("name", reference.name), ("kind", reference.kind)):
        if not value:
            yield required(path.child(name), "")
    if not reference.api_group and reference.kind != "PersistentVolumeClaim":
        words = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        yield invalid(path, reference.kind, words)
    if reference.api_group:
        where = path.child("apiGroup")
        yield from check_text(where, reference.api_group, validation.dns1123_subdomain)


def _join_sources(spec: PersistentVolumeClaimSpec) -> None:
    """Each of the two fields stands for the other, so that clients may read either."""
    source, reference = spec.data_source, spec.data_source_ref
    if source is not None and reference is None:
        spec.data_source_ref = TypedObjectReference(
            api_group=source.api_group, kind=source.kind, name=source.name
        )
    elif reference is not None and source is None and not reference.namespace:
        if (reference.api_group or "", reference.kind) in _COPIED:
            spec.data_source = TypedLocalObjectReference(
                api_group=reference.api_group, kind=reference.kind, name=reference.name
            )


def _changes(
    new: PersistentVolumeClaim, old: PersistentVolumeClaim, path: Path
) -> Iterator[FieldError]:
    before, after = msgspec.structs.replace(old.spec), msgspec.structs.replace(new.spec)
    if not before.volume_name:
        before.volume_name = after.volume_name  # binding, which happens once
    if before.storage_class_name is None and CLASS_BEFORE not in old.metadata.annotations:
        before.storage_class_name = after.storage_class_name  # a default class that came later
    if old.status.phase == "Bound":
        before.resources, after.resources = (
            msgspec.structs.replace(resources, requests={**resources.requests, STORAGE: "0"})
            for resources in (before.resources, after.resources)
        )
        before.volume_attributes_class_name = after.volume_attributes_class_name
    if before != after:
        yield forbidden(
            path,
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims",
        )
    elif old.spec.volume_attributes_class_name and not new.spec.volume_attributes_class_name:
        where = path.child("volumeAttributesClassName")
        yield forbidden(where, "update from non-nil value to nil is forbidden")


def _shrinking(
    new: PersistentVolumeClaim, old: PersistentVolumeClaim, path: Path
) -> Iterator[FieldError]:
    """A growth that fails may be taken back, but not below what the volume has."""
    wanted, asked = (one.spec.resources.requests.get(STORAGE, "0") for one in (new, old))
    has = old.status.capacity.get(STORAGE, "0")
    if quantity.compare(wanted, asked) < 0 and amount(wanted).nano <= amount(has).nano:
        where = path.child("resources", "requests", STORAGE)
        yield forbidden(where, "field can not be less than status.capacity")


def _phase(one: PersistentVolumeClaim) -> str:
    return "Terminating" if one.metadata.deletion_timestamp else one.status.phase


def _if_bound(one: PersistentVolumeClaim, text: str) -> str:
    return text if one.spec.volume_name else ""


STRATEGY = PersistentVolumeClaimStrategy(resource_of(PersistentVolumeClaim))
