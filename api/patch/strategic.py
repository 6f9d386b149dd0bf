"""Strategic merge patch: a merge patch that knows, from the type, which lists to merge by which key.

Serves step 1 of the pod's walk: PATCH with `application/strategic-merge-patch+json`, which
`kubectl apply`, `edit`, `label`, `set`, `drain` and the controllers send. The type declares for a
list field that it merges, and by which key (`api.struct.patch`); all other lists are replaced. The
directives inside a patch:

- `$patch: replace | delete | merge` in a map, or in an element of a merging list;
- `$retainKeys: [...]`: keys of this map that are not named here go away;
- `$setElementOrder/FIELD: [...]`: the order that FIELD shall have afterwards;
- `$deleteFromPrimitiveList/FIELD: [...]`: values to take out of FIELD.

Merging a list, elements that only the server has keep their place, and new ones come before those
they share no order with: that is how Kubernetes does it, and `kubectl patch --local` is the oracle.

Pure: nothing given is changed. Fields that the type does not have are merged as untyped maps; the
decoder speaks about them afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from api.codec.shapes import Kind, Shape, struct_shape
from api.patch.faults import MalformedPatchError, PatchError
from api.struct import ApiStruct

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder/"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"

Tree = dict[str, Any]


class _Rule(NamedTuple):
    """How a field is patched: its shape, its strategy, its merge key."""

    shape: Shape | None
    strategy: str
    key: str


_UNTYPED = _Rule(None, "", "")


def apply(tree: Any, patch: Any, type_: type[ApiStruct]) -> Any:
    """The tree with the patch merged into it.

    Raises:
        MalformedPatchError: the patch or one of its directives is not well-formed.
        PatchError: it does not fit the tree.
    """
    if not isinstance(patch, dict):
        raise MalformedPatchError("a strategic merge patch must be a JSON object")
    shape = Shape(Kind.STRUCT, struct=type_)
    return _merge_map(tree if isinstance(tree, dict) else {}, patch, shape)


def _rule(shape: Shape | None, name: str) -> _Rule:
    """How the field `name` of a value of this shape is patched."""
    if shape is None:
        return _UNTYPED
    if shape.kind is Kind.MAP:
        return _Rule(shape.element, "", "")
    if shape.struct is None:
        return _UNTYPED
    field = struct_shape(shape.struct).fields.get(name)
    if field is None:
        return _UNTYPED
    patch = field.info.patch
    if patch is None:
        return _Rule(field.shape, "", "")
    strategies = [strategy for strategy in patch.strategies if strategy != "retainKeys"]
    return _Rule(field.shape, strategies[0] if strategies else "", patch.key or "")


def _merge_map(original: Tree, patch: Tree, shape: Shape | None) -> Tree:
    directive = patch.get(PATCH)
    if directive == "replace":
        replaced: Tree = _cleaned(patch)
        return replaced
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise MalformedPatchError(f"unknown patch type: {directive} in map: {_show(patch)}")
    result = _retained(original, patch)
    rest = {name: value for name, value in patch.items() if name not in (PATCH, RETAIN_KEYS)}
    for name in [name for name in rest if name.startswith(SET_ORDER)]:
        _order_field(result, rest, name, shape)
    for name, value in rest.items():
        if name.startswith(DELETE_PRIMITIVES):
            _delete_primitives(result, name.removeprefix(DELETE_PRIMITIVES), value)
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = _merge_value(result.get(name), value, _rule(shape, name))
    return result


def _merge_value(original: Any, patch: Any, rule: _Rule) -> Any:
    if isinstance(original, dict) and isinstance(patch, dict):
        return patch if rule.strategy == "replace" else _merge_map(original, patch, rule.shape)
    if isinstance(original, list) and isinstance(patch, list):
        return _merge_list(original, patch, rule) if rule.strategy == "merge" else _cleaned(patch)
    return _cleaned(patch)


def _retained(original: Tree, patch: Tree) -> Tree:
    if RETAIN_KEYS not in patch:
        return dict(original)
    keep = patch[RETAIN_KEYS]
    named = [name for name in patch if not name.startswith("$")]
    if not isinstance(keep, list) or any(name not in keep for name in named):
        raise MalformedPatchError(f"invalid patch format of retainKeys directive: {_show(keep)}")
    return {name: value for name, value in original.items() if name in keep}


def _delete_primitives(result: Tree, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise MalformedPatchError(f"invalid patch format of primitive list: {_show(values)}")
    existing = result.get(name)
    if isinstance(existing, list):
        gone = set(map(_hashable, values))
        result[name] = [item for item in existing if _hashable(item) not in gone]


def _order_field(result: Tree, rest: Tree, directive: str, shape: Shape | None) -> None:
    """Merge the list that `directive` names and give it that order; it is then done with."""
    name = directive.removeprefix(SET_ORDER)
    order = rest.pop(directive)
    if not isinstance(order, list):
        raise MalformedPatchError(f"invalid patch format of setElementOrder list: {_show(order)}")
    rule = _rule(shape, name)
    original, patch = result.get(name), rest.get(name)
    if patch is not None and not isinstance(patch, list):
        raise MalformedPatchError(f"expected a list in field {name}, found {_show(patch)}")
    if not isinstance(original, list):
        original = None
    if original is None and patch is None:
        return
    if name in rest and patch is None:
        return  # null: the field goes away, whatever its order was to be
    identity = _identity(rule.key)
    if patch is not None:
        _check_order(patch, order, identity)
    if patch is None:
        assert original is not None
        merged = list(original)
    elif original is None:
        merged = _cleaned(patch)
    else:
        merged = _merge_value(original, patch, rule)
    result[name] = _arranged(merged, order, original or [], identity)
    rest.pop(name, None)


def _check_order(patch: Sequence[Any], order: Sequence[Any], identity: _Identity) -> None:
    """What the patch changes must stand in the order it sets, in that order."""
    named = [identity(item) for item in order]
    position = 0
    for item in patch:
        if isinstance(item, dict) and item.get(PATCH) is not None:
            continue
        wanted = identity(item)
        while position < len(named) and named[position] != wanted:
            position += 1
        if position == len(named):
            raise MalformedPatchError(
                "The order in patch list:\n"
                f"{_show(patch)}\n doesn't match $setElementOrder list:\n{_show(order)}\n"
            )


def _merge_list(original: list[Any], patch: list[Any], rule: _Rule) -> list[Any]:
    elements = [*original, *patch]
    if not any(isinstance(item, dict) for item in elements):
        union: dict[Hashable, Any] = {}
        for item in elements:
            union.setdefault(_hashable(item), item)
        return _arranged(list(union.values()), patch, original, _identity(""))
    if not all(isinstance(item, dict) for item in elements):
        raise PatchError(f"the elements of a list must be of one type: {_show(elements)}")
    if not rule.key:
        raise PatchError("cannot merge lists without merge key")
    original, patch = _without_directives(original, patch, rule.key)
    identity = _identity(rule.key)
    merged = list(original)
    item_shape = rule.shape.element if rule.shape is not None and rule.shape.item else None
    positions = _positions(_hashable(item.get(rule.key)) for item in merged)
    for item in patch:
        position = positions.setdefault(identity(item), len(merged))
        if position == len(merged):
            merged.append(_cleaned(item))
        else:
            merged[position] = _merge_map(merged[position], item, item_shape)
    return _arranged(merged, patch, original, identity)


def _without_directives(
    original: list[Tree], patch: list[Tree], key: str
) -> tuple[list[Tree], list[Tree]]:
    """Carry out the `$patch` elements of a list; the others remain to be merged."""
    plain: list[Tree] = []
    gone: set[Hashable] = set()
    replace = False
    for item in patch:
        match item.get(PATCH):
            case None:
                plain.append(item)
            case "merge":
                plain.append({name: value for name, value in item.items() if name != PATCH})
            case "replace":
                replace = True
            case "delete":
                gone.add(_identity(key)(item))
            case other:
                raise MalformedPatchError(f"unknown patch type: {other} in map: {_show(item)}")
    if replace:
        return list(map(_cleaned, plain)), []
    return [entry for entry in original if _hashable(entry.get(key)) not in gone], plain


_Identity = Callable[[Any], Hashable]


def _identity(key: str) -> _Identity:
    """What tells the elements of a list apart: the merge key, or the value itself."""
    if not key:
        return _hashable

    def of(item: Any) -> Hashable:
        if not isinstance(item, dict) or key not in item:
            raise PatchError(f"map: {_show(item)} does not contain declared merge key: {key}")
        return _hashable(item[key])

    return of


def _hashable(value: Any) -> Hashable:
    """What is equal where values are equal: lists have thousands of elements, each looked up."""
    if isinstance(value, dict):
        return frozenset((name, _hashable(held)) for name, held in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _positions(identities: Iterable[Hashable]) -> dict[Hashable, int]:
    """Where each of them is first."""
    found: dict[Hashable, int] = {}
    for position, identity in enumerate(identities):
        found.setdefault(identity, position)
    return found


def _arranged(
    merged: list[Any], order: Sequence[Any], server_order: Sequence[Any], identity: _Identity
) -> list[Any]:
    """Elements named in `order` in that order, the others where the server had them."""
    wanted = _positions(map(identity, order))
    before = _positions(map(identity, server_order))
    kept = deque(item for item in merged if identity(item) not in wanted)
    named = (item for item in merged if identity(item) in wanted)
    patched = deque(sorted(named, key=lambda item: wanted[identity(item)]))
    result: list[Any] = []
    while kept and patched:
        left, right = before.get(identity(kept[0])), before.get(identity(patched[0]))
        kept_first = left is not None and right is not None and left < right
        result.append((kept if kept_first else patched).popleft())
    return [*result, *kept, *patched]


def _cleaned(value: Any) -> Any:
    """A value of a patch that is new to the object: without nulls and directives."""
    if isinstance(value, dict):
        return {
            name: _cleaned(item)
            for name, item in value.items()
            if item is not None and not _is_directive(name)
        }
    if isinstance(value, list):
        return [
            _cleaned(item)
            for item in value
            if not (isinstance(item, dict) and item.get(PATCH) in ("delete", "replace"))
        ]
    return value


def _is_directive(name: str) -> bool:
    return name in (PATCH, RETAIN_KEYS) or name.startswith((SET_ORDER, DELETE_PRIMITIVES))


def _show(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
