"""Structural schemas: what a definition's schema must be, at each of its places. Walk step 1.

Serves `crd`. A schema says at each place of which type its values are; what combines schemas (allOf,
anyOf, oneOf, not) only restricts what is said outside of it ("Specifying a structural schema" in
"Extend the Kubernetes API with CustomResourceDefinitions"). Defaults must be sound themselves.
Messages are those of Kubernetes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api import structural
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from api.patterns import compile_pattern

Tree = Mapping[str, Any]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_COMBINED = ("allOf", "anyOf", "oneOf")
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_LIST_TYPE = "x-kubernetes-list-type"
_MAP_TYPE = "x-kubernetes-map-type"
_KEYS = "x-kubernetes-list-map-keys"
_RULES = "x-kubernetes-validations"
_ROOT, _FIELD, _ITEM = "the root", "specified object fields", "specified array items"

_UNSUPPORTED = ("$ref", "additionalItems", "definitions", "dependencies", "id", "patternProperties")
_OUTSIDE = {
    "type": "must be empty to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "additionalProperties": "must be undefined to be structural",
    "nullable": "must be false to be structural",
    _PRESERVE: "must be false to be structural",
    _EMBEDDED: "must be false to be structural",
    _INT_OR_STRING: "must be false to be structural",
    _KEYS: "must be empty to be structural",
    _LIST_TYPE: "must be undefined to be structural",
    _MAP_TYPE: "must be undefined to be structural",
}
"""What is said outside of what combines schemas, never in it."""
_EITHER = ({"type": "integer"}, {"type": "string"})


def problems(tree: Tree, path: Path) -> Iterator[FieldError]:
    """Everything that is wrong with the schema of a version."""
    yield from _place(tree, path, _ROOT)
    yield from _defaults(tree, path, in_metadata=False)


def _place(tree: Tree, path: Path, level: str) -> Iterator[FieldError]:
    yield from _words(tree, path)
    yield from _type(tree, path, level)
    yield from _extensions(tree, path)
    yield from _lists(tree, path)
    yield from _metadata(tree, path, level)
    for name, below, where in _properties(tree, path):
        del name
        yield from _place(below, where, _FIELD)
    items, others = tree.get("items"), tree.get("additionalProperties")
    if isinstance(items, Mapping):
        yield from _place(items, path.child("items"), _ITEM)
    elif items is not None:
        yield forbidden(path.child("items"), "items must be a schema object and not an array")
    elif tree.get("type") == "array":
        yield required(path.child("items"), "must be specified")
    where = path.child("additionalProperties")
    if others is not None and level == _ROOT:
        yield forbidden(where, "must not be used at the root")
    if others is False:
        yield forbidden(where, "additionalProperties cannot be set to false")
    if isinstance(others, Mapping):
        yield from _place(others, where, _FIELD)
    if others is not None and tree.get("properties"):
        yield forbidden(where, "additionalProperties and properties are mutual exclusive")
    for below, where in _alternatives(tree, path):
        yield from _restriction(below, tree, path, where)


def _properties(tree: Tree, path: Path) -> Iterator[tuple[str, Tree, Path]]:
    for name, below in (tree.get("properties") or {}).items():
        if isinstance(below, Mapping):
            yield name, below, path.child("properties").key(name)


def _alternatives(tree: Tree, path: Path) -> Iterator[tuple[Tree, Path]]:
    """What combines schemas here, but for the two ways of spelling an int-or-string."""
    for word in _COMBINED:
        several = tree.get(word) or ()
        if word == "anyOf" and tree.get(_INT_OR_STRING) and tuple(several) == _EITHER:
            continue
        for number, below in enumerate(several):
            first = word == "allOf" and number == 0 and tree.get(_INT_OR_STRING)
            if first and tuple(below.get("anyOf") or ()) == _EITHER:
                below = {key: held for key, held in below.items() if key != "anyOf"}
            yield below, path.child(word).index(number)
    if isinstance(tree.get("not"), Mapping):
        yield tree["not"], path.child("not")


def _words(tree: Tree, path: Path) -> Iterator[FieldError]:
    for word in _UNSUPPORTED:
        if tree.get(word):
            yield forbidden(path.child(word), f"{word} is not supported")
    if tree.get("uniqueItems"):
        yield forbidden(
            path.child("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )
    if tree.get(_RULES):
        yield forbidden(path.child(_RULES), "CEL rules are not served yet, and must not be ignored")
    yield from _pattern(tree, path)


def _pattern(tree: Tree, path: Path) -> Iterator[FieldError]:
    pattern = tree.get("pattern")
    if not pattern:
        return
    try:
        compile_pattern(pattern)
    except ValueError as error:
        why = f"must be a valid regular expression, but isn't: {error}"
        yield invalid(path.child("pattern"), pattern, why)


def _type(tree: Tree, path: Path, level: str) -> Iterator[FieldError]:
    kind, where = tree.get("type", ""), path.child("type")
    if tree.get(_EMBEDDED) and kind != "object":
        why = f"must be object if {_EMBEDDED} is true"
        yield invalid(where, kind, why) if kind else required(where, why)
    elif not kind and not tree.get(_INT_OR_STRING) and not tree.get(_PRESERVE):
        yield required(where, f"must not be empty {'at' if level == _ROOT else 'for'} {level}")
    elif kind == "null":
        yield forbidden(where, "type cannot be set to null, use nullable as an alternative")
    elif kind and kind not in _TYPES:
        yield not_supported(where, kind, _TYPES)
    elif kind and level == _ROOT and kind != "object":
        yield invalid(where, kind, "must be object at the root")
    if kind and tree.get(_INT_OR_STRING):
        yield invalid(where, kind, f"must be empty if {_INT_OR_STRING} is true")


def _extensions(tree: Tree, path: Path) -> Iterator[FieldError]:
    if tree.get(_PRESERVE) is False:
        yield invalid(path.child(_PRESERVE), False, "must be true or undefined")
    for word in (_PRESERVE, _EMBEDDED):
        if tree.get(_INT_OR_STRING) and tree.get(word):
            yield invalid(path.child(word), True, f"must be false if {_INT_OR_STRING} is true")
    if not tree.get(_EMBEDDED):
        return
    if tree.get("additionalProperties") is not None:
        why = f"must not be used if {_EMBEDDED} is set"
        yield forbidden(path.child("additionalProperties"), why)
    if not tree.get(_PRESERVE) and not tree.get("properties"):
        why = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
        yield required(path.child("properties"), why)


def _metadata(tree: Tree, path: Path, level: str) -> Iterator[FieldError]:
    """What everybody's fields may be called in a schema of a whole object."""
    if level != _ROOT and not tree.get(_EMBEDDED):
        return
    for name, below, where in _properties(tree, path):
        kind = below.get("type", "")
        if name in ("apiVersion", "kind") and kind != "string":
            yield invalid(where.child("type"), kind, "must be string")
        if name != "metadata":
            continue
        if kind != "object":
            yield invalid(where.child("type"), kind, "must be object")
        if level == _ROOT and not _names_only(below):
            yield forbidden(
                where,
                "must not specify anything other than name and generateName, "
                "but metadata is implicitly specified",
            )


def _names_only(tree: Tree) -> bool:
    fields = set(tree.get("properties") or {})
    others = tree.keys() - {"type", "properties", "description"}
    return fields <= {"name", "generateName"} and not others


def _lists(tree: Tree, path: Path) -> Iterator[FieldError]:
    for word, needed, known in (
        (_MAP_TYPE, "object", ("atomic", "granular")),
        (_LIST_TYPE, "array", ("atomic", "set", "map")),
    ):
        value, where = tree.get(word), path.child("type")
        if value is None:
            continue
        kind, why = tree.get("type", ""), f"must be {needed} if {word} is specified"
        if kind != needed:
            yield invalid(where, kind, why) if kind else required(where, why)
        if value not in known:
            yield not_supported(path.child(word), value, known)
    list_type = tree.get(_LIST_TYPE)
    if tree.get(_KEYS) and list_type != "map":
        where, why = path.child(_LIST_TYPE), f"must be map if {_KEYS} is non-empty"
        yield invalid(where, list_type, why) if list_type else required(where, why)
    items = tree.get("items")
    if list_type == "set" and isinstance(items, Mapping):
        yield from _elements(items, path.child("items"))
    if list_type == "map":
        yield from _keyed(tree, path)
    if list_type in ("set", "map") and isinstance(items, Mapping) and items.get("nullable"):
        why = f"cannot be nullable when {_LIST_TYPE} is {list_type}"
        yield forbidden(path.child("items").child("nullable"), why)


def _elements(items: Tree, path: Path) -> Iterator[FieldError]:
    """Elements of a set are compared as a whole."""
    why = f"must be atomic as item of a list with {_LIST_TYPE}=set"
    if items.get("type") == "object" and items.get(_MAP_TYPE) != "atomic":
        yield invalid(path.child(_MAP_TYPE), items.get(_MAP_TYPE), why)
    if items.get("type") == "array" and items.get(_LIST_TYPE, "atomic") != "atomic":
        yield invalid(path.child(_LIST_TYPE), items.get(_LIST_TYPE), why)


def _keyed(tree: Tree, path: Path) -> Iterator[FieldError]:
    """Items of a map are told apart by scalars that are always there."""
    keys, items = tree.get(_KEYS) or [], tree.get("items")
    where = path.child("items")
    if not keys:
        yield required(path.child(_KEYS), f"must not be empty if {_LIST_TYPE} is map")
    if not isinstance(items, Mapping):
        yield required(where, f"must have a schema if {_LIST_TYPE} is map")
        return
    if items.get("type") != "object":
        why = f"must be object if parent array's {_LIST_TYPE} is map"
        yield invalid(where.child("type"), items.get("type", ""), why)
    fields = items.get("properties") or {}
    for number, key in enumerate(keys):
        if key in keys[:number]:
            yield duplicate(path.child(_KEYS).index(number), key)
        elif key not in fields:
            yield invalid(path.child(_KEYS), keys, "entries must all be names of item properties")
        else:
            required_ = key in (items.get("required") or ())
            yield from _key(fields[key], where.child("properties").key(key), needed=required_)


def _key(field: Tree, path: Path, *, needed: bool) -> Iterator[FieldError]:
    kind = field.get("type", "")
    if kind in ("array", "object"):
        why = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
        yield invalid(path.child("type"), kind, why)
    if not needed and "default" not in field:
        yield required(
            path.child("default"),
            f"this property is in {_KEYS}, so it must have a default or be a required property",
        )
    if field.get("nullable"):
        why = f"this property is in {_KEYS}, so it cannot be nullable"
        yield forbidden(path.child("nullable"), why)


def _restriction(tree: Tree, outside: Tree | None, path: Path, where: Path) -> Iterator[FieldError]:
    """A schema in what combines schemas: `where` it is, and what it restricts, at `path`."""
    for word, why in _OUTSIDE.items():
        if tree.get(word):
            yield forbidden(where.child(word), why)
    yield from _pattern(tree, where)
    for below, at in _alternatives(tree, where):
        yield from _restriction(below, outside, path, at)
    items = tree.get("items")
    if isinstance(items, Mapping):
        known = outside.get("items") if outside is not None else None
        yield from _restricted(items, known, path.child("items"), where.child("items"))
    for name, below, at in _properties(tree, where):
        if name == "metadata":
            yield forbidden(at, "must not be specified in a nested context")
        known = _field(outside, name)
        yield from _restricted(below, known, path.child("properties").key(name), at)


def _restricted(tree: Tree, outside: Any, path: Path, where: Path) -> Iterator[FieldError]:
    known = outside if isinstance(outside, Mapping) else None
    if known is None:
        yield required(path, f"because it is defined in {where}")
        return
    yield from _restriction(tree, known, path, where)


def _field(outside: Tree | None, name: str) -> Any:
    if outside is None:
        return None
    found = (outside.get("properties") or {}).get(name, outside.get("additionalProperties"))
    return {} if found is True else found


def _defaults(tree: Tree, path: Path, *, in_metadata: bool) -> Iterator[FieldError]:
    """Defaults are values that the schema allows, and of which nothing would be dropped."""
    if "default" in tree and tree["default"] is not None:
        where, value = path.child("default"), tree["default"]
        if not in_metadata and structural.pruned(value, tree) != value:
            yield invalid(where, value, "must not have unknown fields")
        else:
            yield from structural.violations(value, tree, where)
    for name, below, where in _properties(tree, path):
        yield from _defaults(below, where, in_metadata=in_metadata or name == "metadata")
    items = tree.get("items")
    if isinstance(items, Mapping):
        yield from _defaults(items, path.child("items"), in_metadata=in_metadata)
