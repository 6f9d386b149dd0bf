"""What an API type can say about itself: the base class and the markers its fields carry.

Serves step 1 of the pod's walk. A type is a `msgspec.Struct`; what JSON alone cannot express
stands beside the field as `Annotated` extras: its protobuf number (generated.proto of the API
group), its patch strategy and merge key, its list type for server-side apply, its enumeration.

Conventions, taken from Kubernetes' Go types so that the bytes on the wire agree:
- a field that Go marks without `omitempty` has no default here and is always written;
- `omitempty` scalars, slices and maps default to their zero value and are left out when zero;
- a Go pointer is `T | None = None`, so an explicit `0`, `false` or `{}` survives;
- a struct by value has a default factory and is always written (`"status": {}`).

Times, durations and quantities are strings in canonical form: a controller parses the few that it
needs (`api.timestamps`, `api.quantity`), the rest pass through untouched and cost one `str`.
"""

import inspect
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, get_type_hints

import msgspec

from api.names import wire_name


class ApiStruct(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False, rename=wire_name):
    """Base of every API type. Cached objects are shared: change a copy, never the original.

    `gc=False` because API objects never form cycles (DESIGN: a collector pause costs more than
    the memory it would find).

    A class with `__atomic__` is replaced by server-side apply as a whole, wherever it stands
    (`x-kubernetes-map-type: atomic`).
    """

    __atomic__: ClassVar[bool] = False


Inline = dict[int, type[ApiStruct]]
"""`__inline__` of a class: protobuf nests what JSON flattens; number → the base class it fills."""


class Leaf(Enum):
    """Scalar types whose JSON form needs a check or a canonical spelling after decoding."""

    QUANTITY = "Quantity"
    TIME = "Time"
    MICRO_TIME = "MicroTime"
    DURATION = "Duration"
    INT_OR_STRING = "IntOrString"
    RAW_EXTENSION = "RawExtension"
    JSON_SCHEMA = "JSONSchemaProps"
    STRING_LIST = "StringList"


@dataclass(frozen=True, slots=True)
class Pb:
    """The field's number in the group's generated.proto."""

    number: int


@dataclass(frozen=True, slots=True)
class Patch:
    """`patchStrategy` and `patchMergeKey` of strategic merge patch."""

    strategies: tuple[str, ...]
    key: str | None


@dataclass(frozen=True, slots=True)
class ListType:
    """`x-kubernetes-list-type` (atomic, set, map) with its keys."""

    kind: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Atomic:
    """A map or struct that server-side apply replaces as a whole."""


@dataclass(frozen=True, slots=True)
class StringEnum:
    """The values a string may take; enforced by validation (422), never by the decoder."""

    values: tuple[str, ...]


def pb(number: int) -> Pb:
    """Protobuf field number."""
    return Pb(number)


def patch(*strategies: str, key: str | None = None) -> Patch:
    """Strategic merge patch: strategies among `merge`, `replace`, `retainKeys`."""
    return Patch(strategies, key)


def list_map(*keys: str) -> ListType:
    """A list that behaves as a map with these keys (wire names)."""
    return ListType("map", keys)


def enum(*values: str) -> StringEnum:
    """An enumeration of strings."""
    return StringEnum(values)


LIST_SET = ListType("set")
LIST_ATOMIC = ListType("atomic")
ATOMIC = Atomic()

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Quantity = Annotated[str, Leaf.QUANTITY]
"""A resource quantity in canonical form, `500m` or `1Gi`."""
Time = Annotated[str, Leaf.TIME]
"""RFC 3339 in UTC with seconds, `2026-01-02T03:04:05Z`."""
MicroTime = Annotated[str, Leaf.MICRO_TIME]
"""RFC 3339 in UTC with microseconds; only Lease and Event use it."""
Duration = Annotated[str, Leaf.DURATION]
"""Go's duration notation, `1h30m`."""
IntOrString = Annotated[int | str, Leaf.INT_OR_STRING]
"""A number, or a string such as a port name or `25%`."""
RawExtension = Annotated[Any, Leaf.RAW_EXTENSION]
"""Arbitrary JSON."""
JsonSchema = Annotated[Any, Leaf.JSON_SCHEMA]
"""A schema as a tree; only protobuf has a form of its own for it."""
StringList = Annotated[list[str], Leaf.STRING_LIST]
"""A list of strings that protobuf wraps in a message of its own (ExtraValue, Verbs)."""


def type_meta(value: str) -> str:
    """Default of `api_version` and `kind`: a factory, because it must always be on the wire."""
    return msgspec.field(default_factory=lambda: value)


def always(value: int, *, name: str | None = None) -> int:
    """A default that is written even when unchanged: Go has no `omitempty` on the field.

    For counts that start at zero, where asking every caller to say so would only be noise;
    `name` is a wire name that no rule yields.
    """
    return msgspec.field(default_factory=lambda: value, name=name)


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of an API type with everything its annotation says.

    `type` is the plain type with the markers stripped at the top level only; markers deeper
    inside (a list's element) are found again when that element is described.
    """

    attribute: str
    wire: str
    type: Any
    required: bool
    default: Any
    number: int | None
    patch: Patch | None
    list_type: ListType | None
    atomic: bool
    owner: type[ApiStruct]


_described: dict[type[ApiStruct], tuple[FieldInfo, ...]] = {}


def fields(type_: type[ApiStruct]) -> tuple[FieldInfo, ...]:
    """Every field of `type_`, inlined ones included, in declaration order. Cached per type."""
    known = _described.get(type_)
    if known is None:
        known = _described[type_] = _describe(type_)
    return known


def _describe(type_: type[ApiStruct]) -> tuple[FieldInfo, ...]:
    hints = get_type_hints(type_, include_extras=True)
    owners = {
        name: base for base in reversed(type_.__mro__) for name in inspect.get_annotations(base)
    }
    found = []
    for info in msgspec.structs.fields(type_):
        hint = hints[info.name]
        extras: tuple[Any, ...] = getattr(hint, "__metadata__", ())
        pick = {type(extra): extra for extra in extras}
        number: Pb | None = pick.get(Pb)
        default = info.default
        if default is msgspec.NODEFAULT and info.default_factory is not msgspec.NODEFAULT:
            default = info.default_factory
        found.append(
            FieldInfo(
                attribute=info.name,
                wire=info.encode_name,
                type=_without_field_markers(hint),
                required=info.required,
                default=default,
                number=None if number is None else number.number,
                patch=pick.get(Patch),
                list_type=pick.get(ListType),
                atomic=Atomic in pick,
                owner=owners[info.name],
            )
        )
    return tuple(found)


_FIELD_MARKERS = (Pb, Patch, ListType, Atomic)


def _without_field_markers(hint: Any) -> Any:
    """Strip what describes the field; keep what describes its type (leaf kind, enum, bounds)."""
    extras: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    kept = tuple(extra for extra in extras if not isinstance(extra, _FIELD_MARKERS))
    if len(kept) == len(extras):
        return hint
    plain = hint.__origin__
    return Annotated[plain, *kept] if kept else plain
