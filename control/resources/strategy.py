"""What each kind decides for itself: defaults, validation, update rules, printed columns.

Serves step 1 of the pod's walk. The generic registry (`control/apiserver/registry.py`) knows how
any object is created, updated, patched, deleted and watched; everything that differs between
kinds is a method here, overridden in `control/resources/GROUP/KIND.py`. All methods are pure
functions of the objects given: no store, no clock but the one passed in, no other objects.

On every write `default` comes first, then `prepare_*`, then admission, then (of a new object)
`complete_create`, then `validate*`: what is prepared and validated is complete.

Objects handed to `default` and `prepare_*` are private to the request and may be changed in
place; `old` is the stored object, shared with every reader, and must never be changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from api import validation
from api.fielderrors import FieldError
from api.meta import DeleteOptions
from api.scheme import Resource
from api.selectors import from_label_selector
from api.struct import ApiStruct
from control.resources import compatibility
from control.resources.cautions import cautions

T = TypeVar("T", bound=ApiStruct)


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of `kubectl get`; priority 1 appears only with `-o wide`.

    `cell` returns a JSON scalar for one object at one time (ages are counted to `now`).
    """

    name: str
    type: str
    cell: Callable[[T, datetime], Any]
    priority: int = 0
    format: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Scaled:
    """How many replicas are wanted (None: nobody said), how many there are, and their selector."""

    replicas: int | None
    current: int
    selector: str


WRITABLE_METADATA = ("labels", "annotations", "finalizers", "owner_references")
"""What clients decide of an object's metadata, beside its name."""


class Strategy(Generic[T]):
    """The rules of one kind. The defaults here suit a kind with metadata and no more."""

    columns: Sequence[Column[T]] = ()
    """Columns after NAME; NAME is printed first and AGE last unless they are named here."""

    shows_age: bool = True
    """Whether AGE is printed at all; an Event says in its own words when it was seen."""

    allow_create_on_update: bool = False
    """PUT of a missing name creates it (Lease, Event, Endpoints do; most kinds answer 404)."""

    has_dependents: bool = True
    """Whether the garbage collector follows this kind: only then may a delete wait for dependents."""

    orphans_by_default: str = ""
    """The warning that a delete which says nothing of dependents leaves them behind, if it does."""

    kept_by_status: Sequence[str] = ()
    """What of the metadata a write of the status leaves as it is: labels, finalizers, …"""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def default(self, obj: T) -> None:
        """Fill what the user left out, as the API documents; runs on every write."""

    def prepare_create(self, obj: T) -> None:
        """Drop what a creator may not set (status) and set what the server owns."""
        clear_status(obj)

    def complete_create(self, obj: T) -> None:
        """Set what follows from the object as admission left it."""

    def prepare_update(self, new: T, old: T) -> None:
        """Keep what the main resource may not change: the status, where it is a subresource."""
        if self.has_status:
            new.status = old.status  # type: ignore[attr-defined]

    def prepare_subresource(self, subresource: str, new: T, old: T) -> None:
        """Keep all that `subresource` may not change: for `status`, the spec, and some metadata.

        Those who write a status may mark the object, too: annotations come along in one write.
        """
        if subresource == "status":
            keep_metadata(new, old, self.kept_by_status)
            if hasattr(old, "spec"):
                new.spec = old.spec  # type: ignore[attr-defined]

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        """What is wrong with `metadata.name` (`generated`: it is a generateName prefix)."""
        return validation.dns1123_subdomain(mask_trailing_dash(name) if generated else name)

    def validate(self, obj: T) -> list[FieldError]:
        """Every error of the object, each with its path; metadata is checked by the registry."""
        return []

    def validate_update(self, new: T, old: T) -> list[FieldError]:
        """Errors of this change: immutable fields, and whatever `validate` finds in `new`."""
        return self.validate(new)

    def validate_subresource(self, subresource: str, new: T, old: T) -> list[FieldError]:
        """Errors of a change through `status`, `approval`, `finalize`, …"""
        return []

    def warnings(self, obj: T) -> list[str]:
        """Texts for `Warning` headers: accepted, but on its way out, or without effect."""
        return [*cautions(obj), *compatibility.warnings(obj)]

    def fields(self, obj: T) -> dict[str, str]:
        """What field selectors may ask for, beside metadata.name and metadata.namespace."""
        return {}

    def selectable_fields(self) -> frozenset[str]:
        """Names accepted in a field selector of this kind."""
        return frozenset({"metadata.name", "metadata.namespace"})

    def generation_changes(self, new: T, old: T) -> bool:
        """Whether this update makes a new `metadata.generation`: a change of the spec."""
        return hasattr(new, "spec") and new.spec != old.spec  # type: ignore[attr-defined]

    @property
    def has_generation(self) -> bool:
        """Whether objects begin with generation 1: a kind that never counts does not begin to."""
        counts = type(self).generation_changes is Strategy.generation_changes
        return counts and hasattr(self.resource.type, "spec")

    def scale(self, obj: T) -> Scaled:
        """What the `scale` subresource shows of an object."""
        workload: Any = obj
        spec, status = workload.spec, workload.status
        return Scaled(spec.replicas or 0, status.replicas, str(from_label_selector(spec.selector)))

    def scale_field(self) -> tuple[str, ...]:
        """Where it says how many replicas are wanted."""
        return ("spec", "replicas")

    def set_scale(self, obj: T, replicas: int) -> None:
        """What the `scale` subresource changes."""
        obj.spec.replicas = replicas  # type: ignore[attr-defined]

    def grace_period(self, obj: T, options: DeleteOptions) -> int | None:
        """Seconds the object lives on after a delete, or None where deletion is immediate."""
        return None

    def keeps_on_delete(self, obj: T) -> bool:
        """Whether the object must outlive its deletion for a reason beside finalizers and grace.

        A namespace has finalizers in its spec.
        """
        return False

    def mark_deleted(self, obj: T) -> None:
        """Change the object at the moment its deletionTimestamp is set (Namespace: Terminating)."""

    @property
    def has_status(self) -> bool:
        """Whether `status` is a subresource of its own."""
        return self.resource.subresource("status") is not None


def mask_trailing_dash(prefix: str) -> str:
    """A generateName prefix as it will look with its suffix: `web-` → `weba`."""
    return prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def clear_status(obj: ApiStruct) -> None:
    """Reset `status` to its zero value, keeping nothing of what the client sent."""
    factory = _status_factory(type(obj))
    if factory is not None:
        obj.status = factory()  # type: ignore[attr-defined]


@cache
def _status_factory(type_: type[ApiStruct]) -> Callable[[], Any] | None:
    """What makes the zero status of a type; looking it up costs more than a whole create."""
    for field in msgspec.structs.fields(type_):
        if field.name == "status":
            return field.default_factory  # type: ignore[no-any-return]
    return None


def keep_metadata(new: Any, old: Any, names: Sequence[str]) -> None:
    """Leave some of the metadata as it was."""
    for name in names:
        setattr(new.metadata, name, getattr(old.metadata, name))
