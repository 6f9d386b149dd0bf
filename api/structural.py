"""Structural schemas of custom resources: what is dropped, filled in, allowed, and owned apart.

Serves step 1 of the pod's walk for what definitions define. The rules are those of "Extend the
Kubernetes API with CustomResourceDefinitions": fields that no schema names are pruned (unless
x-kubernetes-preserve-unknown-fields), defaults are filled in from the top down, and everything is
validated against OpenAPI v3 with the messages that Kubernetes gives. Pure functions over JSON trees;
a schema is compiled once per version of a definition (`compile_schema`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from api import embedded, formats
from api.fielderrors import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
    type_invalid,
)
from api.meta import ObjectMeta
from api.patch.schema import (
    ATOMIC,
    DEDUCED,
    Atomic,
    Deduced,
    Fields,
    ListMap,
    MapOf,
    Schema,
    SetOf,
    of_type,
)
from api.patterns import Pattern, compile_pattern

Tree = Mapping[str, Any]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_LIST_TYPE = "x-kubernetes-list-type"
_MAP_TYPE = "x-kubernetes-map-type"
_KEYS = "x-kubernetes-list-map-keys"
_HEAD = frozenset({"apiVersion", "kind", "metadata"})
_NUMBER = (int, float)


class Structural:
    """One schema, compiled."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.root = Node(tree)
        self.has_defaults = self.root.has_defaults

    def prune(self, tree: dict[str, Any]) -> list[str]:
        """Drop what the schema does not know, in place. Returns the paths of what was dropped."""
        dropped: list[str] = []
        _prune(tree, self.root, "", dropped, resource=True)
        return dropped

    def default(self, tree: dict[str, Any]) -> None:
        """Fill in what is missing, in place."""
        _default(tree, self.root)

    def validate(self, tree: dict[str, Any], old: dict[str, Any] | None = None) -> list[FieldError]:
        """Every violation of an object. What was wrong before and has not changed is excused."""
        found = list(_validate(_content(tree), self.root, None))
        if not found or old is None:
            return found
        known = {str(error) for error in _validate(_content(old), self.root, None)}
        return [error for error in found if str(error) not in known]

    @cached_property
    def schema(self) -> Schema:
        """Which parts of an object have owners of their own."""
        return _owned(self.root)


class Node:
    """One place in a schema. Its children are made when first asked for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.type = tree.get("type", "")
        self.preserves = bool(tree.get(_PRESERVE))
        self.embedded = bool(tree.get(_EMBEDDED))
        self.int_or_string = bool(tree.get(_INT_OR_STRING))

    @cached_property
    def properties(self) -> dict[str, Node]:
        return {name: Node(tree) for name, tree in (self.tree.get("properties") or {}).items()}

    @cached_property
    def items(self) -> Node | None:
        found = self.tree.get("items")
        return Node(found) if isinstance(found, Mapping) else None

    @cached_property
    def others(self) -> Node | None:
        """The schema of properties that have no name in it."""
        found = self.tree.get("additionalProperties")
        if found is True:
            return Node({_PRESERVE: True})
        return Node(found) if isinstance(found, Mapping) else None

    @cached_property
    def pattern(self) -> Pattern | None:
        text = self.tree.get("pattern")
        try:
            return compile_pattern(text) if text else None
        except ValueError:
            return None  # of a definition that is older than the check of patterns

    @cached_property
    def has_defaults(self) -> bool:
        below = [*self.properties.values(), self.items, self.others]
        return any("default" in one.tree or one.has_defaults for one in below if one is not None)

    def child(self, name: str) -> Node | None:
        return self.properties.get(name) or self.others


def compile_schema(tree: Tree) -> Structural:
    """A schema, ready to be used many times."""
    return Structural(tree)


def pruned(value: Any, tree: Tree) -> Any:
    """A value without what the schema at its place does not know; a copy."""
    made = copy.deepcopy(value)
    _prune(made, Node(tree), "", [])
    return made


def violations(value: Any, tree: Tree, path: Path) -> list[FieldError]:
    """What is wrong with a value at its place."""
    return list(_validate(value, Node(tree), path))


def _content(tree: Tree) -> dict[str, Any]:
    """What the schema is about: metadata and its like have rules of their own."""
    return {name: value for name, value in tree.items() if name not in _HEAD}


def _prune(
    value: Any, node: Node, path: str, dropped: list[str], *, resource: bool = False
) -> None:
    if isinstance(value, list):
        if node.items is not None:
            for number, item in enumerate(value):
                _prune(item, node.items, f"{path}[{number}]", dropped)
        return
    if not isinstance(value, dict):
        return
    if node.embedded:
        dropped += embedded.prune(value, path)
    for name in list(value):
        if (resource or node.embedded) and name in _HEAD:
            continue
        where, child = f"{path}.{name}".lstrip("."), node.child(name)
        if child is not None:
            _prune(value[name], child, where, dropped)
        elif not node.preserves:
            del value[name]
            dropped.append(where)


def _default(value: Any, node: Node) -> None:
    if isinstance(value, list):
        if node.items is not None:
            for item in value:
                _default(item, node.items)
        return
    if not isinstance(value, dict):
        return
    for name in [name for name, held in value.items() if held is None]:
        found = node.child(name)
        if found is not None and not found.tree.get("nullable"):
            del value[name]  # null is no value there: as if it was left out
    for name, child in node.properties.items():
        if "default" in child.tree and name not in value:
            value[name] = copy.deepcopy(child.tree["default"])
    for name in value:
        found = node.child(name)
        if found is not None:
            _default(value[name], found)


def _validate(value: Any, node: Node, path: Path | None) -> Iterator[FieldError]:
    where = path if path is not None else Path("")
    if value is None:
        if not node.tree.get("nullable") and node.type:
            yield type_invalid(
                where, "null", f'{where} in body must be of type {node.type}: "null"'
            )
        return
    wrong = _mistyped(value, node)
    if wrong:
        yield type_invalid(
            where,
            _type_name(value),
            f'{where} in body must be of type {wrong}: "{_type_name(value)}"',
        )
        return
    allowed = node.tree.get("enum")
    if allowed is not None and value not in allowed:
        yield not_supported(where, value, [str(one) for one in allowed])
    yield from _combined(value, node, where, path)
    if isinstance(value, str):
        yield from _validate_string(value, node, where)
    elif isinstance(value, _NUMBER) and not isinstance(value, bool):
        yield from _validate_number(value, node, where)
    elif isinstance(value, list):
        yield from _validate_list(value, node, where)
    elif isinstance(value, dict):
        yield from _validate_object(value, node, where, path)


def _mistyped(value: Any, node: Node) -> str:
    """The type that was expected, when the value has another one."""
    if node.int_or_string:
        good = isinstance(value, str) or _is_integer(value)
        return "" if good else "integer,string"
    checks: dict[str, Callable[[Any], bool]] = {
        "string": lambda one: isinstance(one, str),
        "boolean": lambda one: isinstance(one, bool),
        "integer": _is_integer,
        "number": lambda one: isinstance(one, _NUMBER) and not isinstance(one, bool),
        "array": lambda one: isinstance(one, list),
        "object": lambda one: isinstance(one, dict),
    }
    check = checks.get(node.type)
    return "" if check is None or check(value) else node.type


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    for type_, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array")):
        if isinstance(value, type_):
            return name
    return "object"


def _combined(value: Any, node: Node, where: Path, path: Path | None) -> Iterator[FieldError]:
    """allOf, anyOf, oneOf and not."""
    for tree in node.tree.get("allOf") or ():
        yield from _validate(value, Node(tree), path)
    several = node.tree.get("anyOf")
    if several and not node.int_or_string and not any(_fits(value, one) for one in several):
        yield invalid(
            where, _shown(value), f"{where} in body must validate at least one schema (anyOf)"
        )
    several = node.tree.get("oneOf")
    if several and sum(_fits(value, one) for one in several) != 1:
        yield invalid(
            where, _shown(value), f"{where} in body must validate one and only one schema (oneOf)"
        )
    unwanted = node.tree.get("not")
    if unwanted is not None and _fits(value, unwanted):
        yield invalid(where, _shown(value), f"{where} in body must not validate the schema (not)")


def _fits(value: Any, tree: Tree) -> bool:
    return next(_validate(value, Node(tree), None), None) is None


def _shown(value: Any) -> Any:
    return _type_name(value) if isinstance(value, dict | list) else value


def _validate_string(value: str, node: Node, where: Path) -> Iterator[FieldError]:
    most, least = node.tree.get("maxLength"), node.tree.get("minLength")
    if most is not None and len(value) > most:
        yield too_long(where, most)
    if least is not None and len(value) < least:
        yield invalid(where, value, f"{where} in body should be at least {least} chars long")
    if node.pattern is not None and not node.pattern.search(value):
        yield invalid(where, value, f"{where} in body should match '{node.tree['pattern']}'")
    format_ = node.tree.get("format")
    check = formats.STRINGS.get(format_) if format_ else None
    if check is not None and not check(value):
        shown = f'{where} in body must be of type {format_}: "{value}"'
        yield type_invalid(where, value, shown)


def _validate_number(value: float, node: Node, where: Path) -> Iterator[FieldError]:
    tree = node.tree
    most, least, step = tree.get("maximum"), tree.get("minimum"), tree.get("multipleOf")
    if most is not None:
        if tree.get("exclusiveMaximum") and value >= most:
            yield invalid(where, value, f"{where} in body should be less than {most}")
        elif value > most:
            yield invalid(where, value, f"{where} in body should be less than or equal to {most}")
    if least is not None:
        if tree.get("exclusiveMinimum") and value <= least:
            yield invalid(where, value, f"{where} in body should be greater than {least}")
        elif value < least:
            yield invalid(
                where, value, f"{where} in body should be greater than or equal to {least}"
            )
    if node.type == "integer" and not formats.fits_integer(value, tree.get("format", "")):
        yield invalid(
            where, value, f"Checked value must be of type integer with format {tree['format']}"
        )
    if step and value % step:
        yield invalid(where, value, f"{where} in body should be a multiple of {step}")


def _validate_list(value: list[Any], node: Node, where: Path) -> Iterator[FieldError]:
    most, least = node.tree.get("maxItems"), node.tree.get("minItems")
    if most is not None and len(value) > most:
        yield too_many(where, len(value), most)
    if least is not None and len(value) < least:
        yield invalid(where, len(value), f"{where} in body should have at least {least} items")
    yield from _repetitions(value, node, where)
    if node.items is not None:
        for number, item in enumerate(value):
            yield from _validate(item, node.items, where.index(number))


def _repetitions(value: list[Any], node: Node, where: Path) -> Iterator[FieldError]:
    kind, keys = node.tree.get(_LIST_TYPE), node.tree.get(_KEYS) or ()
    if kind not in ("set", "map"):
        return
    seen: list[Any] = []
    for number, item in enumerate(value):
        marker = item
        if kind == "map":
            if not isinstance(item, dict):
                continue
            marker = {key: item.get(key) for key in keys}
        if marker in seen:
            yield duplicate(where.index(number), marker)
        seen.append(marker)


def _validate_object(
    value: dict[str, Any], node: Node, where: Path, path: Path | None
) -> Iterator[FieldError]:
    if node.embedded:
        yield from embedded.problems(value, where)
    most, least = node.tree.get("maxProperties"), node.tree.get("minProperties")
    if most is not None and len(value) > most:
        yield too_many(where, len(value), most)
    if least is not None and len(value) < least:
        yield invalid(where, len(value), f"{where} in body should have at least {least} properties")
    for name in node.tree.get("required") or ():
        if name not in value and not (path is None and name in _HEAD):
            yield required(_below(path, name), "")
    for name, item in value.items():
        child = node.child(name)
        if child is not None:
            below = _below(path, name) if name in node.properties else where.key(name)
            yield from _validate(item, child, below)


def _below(path: Path | None, name: str) -> Path:
    return Path(name) if path is None else path.child(name)


def _owned(node: Node) -> Schema:
    if node.int_or_string:
        return Atomic()
    if node.type == "array":
        return _owned_list(node)
    if node.type == "object" or node.properties or node.others is not None:
        if node.tree.get(_MAP_TYPE) == "atomic":
            return Atomic()
        if node.properties or node.embedded:
            # What is kept without a name in the schema is known by its looks.
            return Fields(lambda: _owned_fields(node), unknown=DEDUCED if node.preserves else None)
        if node.others is not None:
            return MapOf(_owned(node.others))
        return Deduced()
    return Deduced() if node.preserves else Atomic()


def _owned_fields(node: Node) -> dict[str, Schema]:
    found = {name: _owned(one) for name, one in node.properties.items()}
    if node.embedded:
        found |= {"apiVersion": ATOMIC, "kind": ATOMIC, "metadata": of_type(ObjectMeta)}
    return found


def _owned_list(node: Node) -> Schema:
    kind = node.tree.get(_LIST_TYPE, "atomic")
    if kind == "set":
        return SetOf()
    if kind == "map" and node.items is not None:
        keys = tuple(node.tree.get(_KEYS) or ())
        defaults = {
            key: node.items.properties[key].tree["default"]
            for key in keys
            if key in node.items.properties and "default" in node.items.properties[key].tree
        }
        return ListMap(keys, _owned(node.items), defaults)
    return Atomic()
