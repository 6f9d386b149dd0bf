"""JSON patch, RFC 6902: a list of operations on paths.

Serves step 1 of the pod's walk: PATCH with `application/json-patch+json`. Pure: an operation copies
only the containers on its path. Messages are those of the library that Kubernetes uses; the one
liberty it takes is ours as well: negative indexes are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.codec.jsontree import MAX_DEPTH, check_depth
from api.patch.faults import MalformedPatchError, PatchError

MAX_OPERATIONS = 10_000
MAX_COPIED = 100_000  # nodes that copy operations may add: each could double the document
_TEXT_OF_A_NODE = 100  # characters; a long text is shared here, but not when it is written

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)


def apply(tree: Any, patch: Any) -> Any:
    """The tree after all operations; if one of them fails, none is done.

    Raises:
        MalformedPatchError: not a list of operations.
        PatchError: an operation does not fit the tree.
    """
    if not isinstance(patch, list):
        raise MalformedPatchError("a JSON patch must be a list of operations")
    if len(patch) > MAX_OPERATIONS:
        raise MalformedPatchError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        )
    copied = 0
    for operation in patch:
        if not isinstance(operation, dict):
            raise MalformedPatchError("an operation of a JSON patch must be an object")
        name = operation.get("op")
        perform = _OPERATIONS.get(name) if isinstance(name, str) else None
        if perform is None:
            raise MalformedPatchError(f"Unexpected kind: {name}")
        if name == "copy":
            copied += _size(_get(tree, _path(operation, "from"), operation))
            if copied > MAX_COPIED:
                raise PatchError("the copy operations make the document too large")
        tree = perform(tree, operation)
    return tree


def _add(tree: Any, operation: Mapping[str, Any]) -> Any:
    return _insert(tree, _path(operation, "path"), _value(operation), operation)


def _remove(tree: Any, operation: Mapping[str, Any]) -> Any:
    return _delete(tree, _path(operation, "path"), operation)


def _replace(tree: Any, operation: Mapping[str, Any]) -> Any:
    path, value = _path(operation, "path"), _value(operation)
    _check_depth(path, value)
    if not path:
        return value
    text = operation["path"]
    missing = PatchError(
        f"replace operation does not apply: doc is missing key: {text}: missing value"
    )

    def put(parent: Any, key: str) -> Any:
        if isinstance(parent, list):
            items = list(parent)
            items[_index(key, len(items), text)] = value
            return items
        if key not in parent:
            raise missing
        return {**parent, key: value}

    return _at(tree, path, put, operation)


def _move(tree: Any, operation: Mapping[str, Any]) -> Any:
    source, target = _path(operation, "from"), _path(operation, "path")
    if source == target:
        _get(tree, source, operation)
        return tree
    if target[: len(source)] == source:
        raise PatchError(
            f"move operation does not apply: {operation['from']} cannot be moved into itself"
        )
    value = _get(tree, source, operation)
    return _insert(_delete(tree, source, operation), target, value, operation)


def _copy(tree: Any, operation: Mapping[str, Any]) -> Any:
    value = _get(tree, _path(operation, "from"), operation)
    return _insert(tree, _path(operation, "path"), value, operation)


def _test(tree: Any, operation: Mapping[str, Any]) -> Any:
    path, text = _path(operation, "path"), operation["path"]
    try:
        found = _get(tree, path, operation)
    except PatchError:
        found = None  # Kubernetes lets a test for null succeed where nothing is
    if not _equal(found, operation.get("value")):
        raise PatchError(f"testing value {text} failed: test failed")
    return tree


_OPERATIONS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _path(operation: Mapping[str, Any], name: str) -> list[str]:
    """The tokens of a JSON pointer."""
    text = operation.get(name)
    if not isinstance(text, str):
        raise MalformedPatchError(f"{operation.get('op')} operation: {name!r} is missing")
    if text == "":
        return []
    if not text.startswith("/"):
        raise MalformedPatchError(
            f"{operation.get('op')} operation: {name} {text!r} must begin with /"
        )
    return [token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/")]


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise MalformedPatchError(f"{operation.get('op')} operation: 'value' is missing")
    return operation["value"]


def _get(tree: Any, path: Sequence[str], operation: Mapping[str, Any]) -> Any:
    for token in path:
        tree = _step(tree, token, operation)
    return tree


def _step(parent: Any, token: str, operation: Mapping[str, Any]) -> Any:
    if isinstance(parent, dict) and token in parent:
        return parent[token]
    if isinstance(parent, list):
        return parent[_index(token, len(parent), token)]
    raise _missing(operation)


def _missing(operation: Mapping[str, Any]) -> PatchError:
    return PatchError(
        f"{operation['op']} operation does not apply: "
        f'doc is missing path: "{operation["path"]}": missing value'
    )


def _at(
    tree: Any,
    path: Sequence[str],
    change: Callable[[Any, str], Any],
    operation: Mapping[str, Any],
) -> Any:
    """Change the container that holds the last token; copies the containers on the way."""
    token = path[0]
    if not isinstance(tree, dict | list):
        raise _missing(operation)
    if len(path) == 1:
        return change(tree, token)
    inner = _at(_step(tree, token, operation), path[1:], change, operation)
    if isinstance(tree, list):
        items = list(tree)
        items[_index(token, len(items), token)] = inner
        return items
    return {**tree, token: inner}


def _insert(tree: Any, path: Sequence[str], value: Any, operation: Mapping[str, Any]) -> Any:
    _check_depth(path, value)
    if not path:
        return value

    def put(parent: Any, key: str) -> Any:
        if isinstance(parent, list):
            position = len(parent) if key == "-" else _index(key, len(parent) + 1, key)
            return [*parent[:position], value, *parent[position:]]
        return {**parent, key: value}

    return _at(tree, path, put, operation)


def _delete(tree: Any, path: Sequence[str], operation: Mapping[str, Any]) -> Any:
    if not path:
        raise PatchError(f"{operation['op']} operation does not apply: the document itself stays")

    def drop(parent: Any, key: str) -> Any:
        if isinstance(parent, list):
            position = _index(key, len(parent), key)
            return [*parent[:position], *parent[position + 1 :]]
        if key not in parent:
            raise PatchError(
                f"error in remove for path: '{operation['path']}': "
                f"Unable to remove nonexistent key: {key}: missing value"
            )
        return {name: item for name, item in parent.items() if name != key}

    return _at(tree, path, drop, operation)


def _check_depth(path: Sequence[str], value: Any) -> None:
    """Operations together must not build what could not have been sent."""
    try:
        check_depth(value, MAX_DEPTH - len(path))
    except ValueError as error:
        raise PatchError(str(error)) from None


def _index(token: str, length: int, text: str) -> int:
    if not _INDEX.fullmatch(token) or int(token) >= length:
        raise PatchError(f"Unable to access invalid index: {text}: invalid index referenced")
    return int(token)


def _equal(left: Any, right: Any) -> bool:
    """JSON equality: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _size(tree: Any) -> int:
    if isinstance(tree, dict):
        return 1 + sum(map(_size, tree.values()))
    if isinstance(tree, list):
        return 1 + sum(map(_size, tree))
    return 1 + len(tree) // _TEXT_OF_A_NODE if isinstance(tree, str) else 1
