"""StorageClass: how volumes of a kind are made. Walk step 4: there is something to mount."""

from collections.abc import Iterable, Iterator, Sequence

from api import validation
from api.core import TopologySelectorTerm
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from api.meta import ObjectMeta
from api.scheme import resource_of
from api.storage import StorageClass, VolumeBindingMode
from control.resources.checks import check_enum, check_immutable, check_unique
from control.resources.columns import AGE
from control.resources.storage.rules import parameter_errors, provisioner_errors
from control.resources.strategy import Column, Strategy

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_BEFORE = "storageclass.beta.kubernetes.io/is-default-class"
_RECLAIM_POLICIES = ("Delete", "Retain")


class StorageClassStrategy(Strategy[StorageClass]):
    """Volumes are made as the class says at the time, so that little of it ever changes."""

    columns = (
        Column("Name", "string", lambda one, now: _shown_name(one), format="name"),
        Column("Provisioner", "string", lambda one, now: one.provisioner),
        Column("ReclaimPolicy", "string", lambda one, now: one.reclaim_policy or "Delete"),
        Column("VolumeBindingMode", "string", lambda one, now: one.volume_binding_mode or ""),
        Column(
            "AllowVolumeExpansion", "boolean", lambda one, now: bool(one.allow_volume_expansion)
        ),
        AGE,
    )

    def default(self, obj: StorageClass) -> None:
        obj.reclaim_policy = obj.reclaim_policy or "Delete"
        obj.volume_binding_mode = obj.volume_binding_mode or "Immediate"

    def validate(self, obj: StorageClass) -> list[FieldError]:
        errors = [
            *provisioner_errors(Path("provisioner"), obj.provisioner),
            *parameter_errors(Path("parameters"), obj.parameters),
            *check_enum(Path("volumeBindingMode"), obj.volume_binding_mode, VolumeBindingMode),
            *_topology_errors(Path("allowedTopologies"), obj.allowed_topologies),
        ]
        if obj.reclaim_policy not in _RECLAIM_POLICIES:
            where = Path("reclaimPolicy")
            errors.append(not_supported(where, obj.reclaim_policy, _RECLAIM_POLICIES))
        return errors

    def validate_update(self, new: StorageClass, old: StorageClass) -> list[FieldError]:
        errors = [
            forbidden(Path(name), f"updates to {name} are forbidden.")
            for name, mine, theirs in (
                ("parameters", new.parameters, old.parameters),
                ("provisioner", new.provisioner, old.provisioner),
                ("reclaimPolicy", new.reclaim_policy, old.reclaim_policy),
            )
            if mine != theirs
        ]
        mode = Path("volumeBindingMode")
        errors += check_immutable(mode, new.volume_binding_mode, old.volume_binding_mode)
        errors += _topology_errors(Path("allowedTopologies"), new.allowed_topologies)
        return errors


def is_default(metadata: ObjectMeta) -> bool:
    """Whether the class is for claims that name none."""
    notes = metadata.annotations
    return any(notes.get(name) == "true" for name in (DEFAULT_CLASS, _DEFAULT_BEFORE))


def default_class(classes: Iterable[StorageClass]) -> str | None:
    """The newest class that is marked as the default; of two of one second the first by name."""
    marked = [one.metadata for one in classes if is_default(one.metadata)]
    newest = max((one.creation_timestamp or "" for one in marked), default="")
    names = (one.name for one in marked if (one.creation_timestamp or "") == newest)
    return min(names, default=None)


def _shown_name(one: StorageClass) -> str:
    return one.metadata.name + (" (default)" if is_default(one.metadata) else "")


def _topology_errors(path: Path, terms: Sequence[TopologySelectorTerm]) -> Iterator[FieldError]:
    seen = []
    for number, term in enumerate(terms):
        where = path.index(number).child("matchLabelExpressions")
        demands = {one.key: frozenset(one.values) for one in term.match_label_expressions}
        if demands in seen:
            yield duplicate(where, "")
        seen.append(demands)
        keys = [one.key for one in term.match_label_expressions]
        yield from check_unique(
            where, ((where.index(at).child("key"), key) for at, key in enumerate(keys))
        )
        for at, demand in enumerate(term.match_label_expressions):
            for why in validation.qualified_name(demand.key):
                yield invalid(where.index(at).child("key"), demand.key, why)
            values = where.index(at).child("values")
            if not demand.values:
                yield required(values, "")
            yield from check_unique(
                values, ((values.index(place), one) for place, one in enumerate(demand.values))
            )


STRATEGY = StorageClassStrategy(resource_of(StorageClass))
