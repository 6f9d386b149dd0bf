"""Rules of `metadata`, the same for every kind: what the server owns, and what may stand in it.

Serves step 1 of the pod's walk. Pure functions over ObjectMeta; names and uids come from outside.
Messages are Kubernetes' own, because people search for them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from api import validation
from api.custom import Custom
from api.fielderrors import FieldError, Path, forbidden, invalid, required, too_long
from api.meta import ObjectMeta, OwnerReference
from api.scheme import Resource

# Without vowels and look-alikes, so that generated names neither insult nor confuse.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_MAX_NAME = 63
_MAX_ANNOTATIONS = 256 * 1024

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_FINALIZERS_WITHOUT_DOMAIN = frozenset({ORPHAN, FOREGROUND, "kubernetes"})

_OF_KUBERNETES = _FINALIZERS_WITHOUT_DOMAIN | {"customresourcecleanup.apiextensions.k8s.io"}

NameRule = Callable[[str], list[str]]

_METADATA = Path("metadata")


@dataclass(frozen=True, slots=True)
class Identity:
    """Where uids and generated names come from; tests pass their own."""

    uid: Callable[[], str]
    suffix: Callable[[], str]


def random_suffix(source: random.Random) -> str:
    return "".join(source.choices(_ALPHABET, k=_SUFFIX))


def generated_name(base: str, suffix: str) -> str:
    """`base` and the suffix, cut so that the whole fits into a label."""
    return base[: _MAX_NAME - _SUFFIX] + suffix


def clear_server_owned(meta: ObjectMeta) -> None:
    """Drop what a creator may not choose."""
    meta.uid = ""
    meta.creation_timestamp = None
    meta.deletion_timestamp = None
    meta.deletion_grace_period_seconds = None
    meta.generation = 0
    meta.self_link = ""


def keep_server_owned(new: ObjectMeta, old: ObjectMeta) -> None:
    """An update keeps what the server decided, whatever the client sent."""
    new.uid = old.uid
    new.creation_timestamp = old.creation_timestamp
    new.deletion_timestamp = old.deletion_timestamp
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds
    new.generation = old.generation
    new.self_link = ""


def validate_metadata(
    meta: ObjectMeta, resource: Resource, name_rule: NameRule
) -> list[FieldError]:
    """Every error of a new object's metadata."""
    errors: list[FieldError] = []
    if not meta.name:
        errors.append(required(_METADATA.child("name"), "name or generateName is required"))
    for why in name_rule(meta.name) if meta.name else ():
        errors.append(invalid(_METADATA.child("name"), meta.name, why))
    errors += _validate_namespace(meta, resource)
    errors += validate_mutable(meta, resource)
    return errors


def validate_mutable(meta: ObjectMeta, resource: Resource) -> list[FieldError]:
    """Errors of the parts of metadata that clients may change at any time."""
    return [
        *_validate_labels(meta.labels),
        *_validate_annotations(meta.annotations),
        *_validate_owners(meta.owner_references),
        *_validate_finalizers(meta.finalizers, of_our_own=_of_our_own(resource)),
    ]


def validate_change(new: ObjectMeta, old: ObjectMeta, resource: Resource) -> list[FieldError]:
    """Errors of an update's metadata."""
    errors = validate_mutable(new, resource)
    for field, before, after in (
        ("name", old.name, new.name),
        ("namespace", old.namespace, new.namespace),
    ):
        if before != after:
            errors.append(invalid(_METADATA.child(field), after, "field is immutable"))
    added = [name for name in new.finalizers if name not in old.finalizers]
    if old.deletion_timestamp is not None and added:
        errors.append(
            forbidden(
                _METADATA.child("finalizers"),
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers {_go_strings(added)}",
            )
        )
    return errors


def _validate_namespace(meta: ObjectMeta, resource: Resource) -> Iterator[FieldError]:
    path = _METADATA.child("namespace")
    if not resource.namespaced:
        if meta.namespace:
            yield forbidden(path, "not allowed on this type")
        return
    if not meta.namespace:
        yield required(path, "")
        return
    for why in validation.dns1123_label(meta.namespace):
        yield invalid(path, meta.namespace, why)


def _validate_labels(labels: dict[str, str]) -> Iterator[FieldError]:
    path = _METADATA.child("labels")
    for key, value in labels.items():
        for why in validation.qualified_name(key):
            yield invalid(path, key, why)
        for why in validation.label_value(value):
            yield invalid(path, value, why)


def _validate_annotations(annotations: dict[str, str]) -> Iterator[FieldError]:
    path = _METADATA.child("annotations")
    size = 0
    for key, value in annotations.items():
        for why in validation.qualified_name(key.lower()):
            yield invalid(path, key, why)
        size += len(key.encode()) + len(value.encode())
    if size > _MAX_ANNOTATIONS:
        yield too_long(path, _MAX_ANNOTATIONS)


def _validate_owners(owners: list[OwnerReference]) -> Iterator[FieldError]:
    path = _METADATA.child("ownerReferences")
    controller = ""
    for number, owner in enumerate(owners):
        where = path.index(number)
        for field, value in (
            ("apiVersion", owner.api_version),
            ("kind", owner.kind),
            ("name", owner.name),
            ("uid", owner.uid),
        ):
            if not value:
                yield invalid(where.child(field), value, "must not be empty")
        if (owner.api_version, owner.kind) == ("v1", "Event"):
            yield invalid(where, owner.kind, "/v1, Kind=Event is disallowed from being an owner")
        if owner.controller:
            if controller:
                yield invalid(
                    path,
                    owner.kind,
                    "Only one reference can have Controller set to true. Found "
                    f'"true" in references for {controller} and {owner.name}',
                )
            controller = owner.name


def _of_our_own(resource: Resource) -> bool:
    """Definitions, and what they define, may have finalizers that name no domain: many do."""
    return resource.group != "apiextensions.k8s.io" and not issubclass(resource.type, Custom)


def _validate_finalizers(finalizers: list[str], *, of_our_own: bool) -> Iterator[FieldError]:
    path = _METADATA.child("finalizers")
    for name in finalizers:
        for why in validation.qualified_name(name):
            yield invalid(path, name, why)
        if of_our_own and "/" not in name and name not in _FINALIZERS_WITHOUT_DOMAIN:
            yield invalid(
                path, name, "name is neither a standard finalizer name nor is it fully qualified"
            )
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        yield invalid(path, finalizers, f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set")


def cautions(new: ObjectMeta, old: ObjectMeta | None = None) -> Iterator[str]:
    """What is allowed, and not wise: finalizers whose name another may use, too."""
    known = old.finalizers if old is not None else []
    for name in new.finalizers:
        if "/" not in name and name not in known and name not in _OF_KUBERNETES:
            yield (
                f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name including '
                "a path (/) to avoid accidental conflicts with other finalizer writers"
            )


def _go_strings(values: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{value}"' for value in values) + "}"
