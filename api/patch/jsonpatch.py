"""JSON patch, RFC 6902: a list of operations on paths.

Serves step 1 of the pod's walk: PATCH with `application/json-patch+json`. Pure: containers are copied
when something in them changes, once. Messages are those of the library that Kubernetes uses; the one
liberty it takes is ours as well: negative indexes are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from api.codec.jsontree import MAX_DEPTH, check_depth
from api.patch.faults import MalformedPatchError, PatchError

MAX_OPERATIONS = 10_000
MAX_COPIED = 100_000  # nodes that operations may copy and move: each copy could double the document
_TEXT_OF_A_NODE = 100  # characters; a long text is shared here, but not when it is written

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)


_MEMBERS = frozenset(("op", "path", "from", "value"))


def unknown(patch: Any) -> Iterator[str]:
    """The paths of members that no operation has."""
    for number, operation in enumerate(patch if isinstance(patch, list) else ()):
        if isinstance(operation, dict):
            yield from (f"[{number}].{name}" for name in operation if name not in _MEMBERS)


class _Document:
    """A tree on its way through the operations.

    Ten thousand of them on one map of ten thousand entries must not copy it ten thousand times: what
    has been copied once is ours, and changed in place from then on. What was given is never changed.
    """

    def __init__(self, tree: Any) -> None:
        self.root = tree
        self._own: dict[int, Any] = {}  # what is in it keeps its id
        self._moved = 0

    def holder(self, path: Sequence[str], operation: Mapping[str, Any]) -> Any:
        """The container of the path's last token, ours to change. `path` is not empty."""
        if not isinstance(self.root, dict | list):
            raise _missing(operation)
        here = self.root = self._owned(self.root)
        for token in path[:-1]:
            inner = _step(here, token, operation)
            if not isinstance(inner, dict | list):
                raise _missing(operation)
            inner = self._owned(inner)
            here[int(token) if isinstance(here, list) else token] = inner
            here = inner
        return here

    def spend(self, value: Any) -> None:
        """Count what is copied or moved: both look at all of it."""
        self._moved += _size(value)
        if self._moved > MAX_COPIED:
            raise PatchError("the copy operations make the document too large")

    def _owned(self, value: Any) -> Any:
        if id(value) in self._own:
            return value
        made = dict(value) if isinstance(value, dict) else list(value)
        self._own[id(made)] = made
        return made


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
    document = _Document(tree)
    for operation in patch:
        if not isinstance(operation, dict):
            raise MalformedPatchError("an operation of a JSON patch must be an object")
        name = operation.get("op")
        perform = _OPERATIONS.get(name) if isinstance(name, str) else None
        if perform is None:
            raise MalformedPatchError(f"Unexpected kind: {name}")
        perform(document, operation)
    return document.root


def _add(document: _Document, operation: Mapping[str, Any]) -> None:
    _insert(document, _path(operation, "path"), _value(operation), operation)


def _remove(document: _Document, operation: Mapping[str, Any]) -> None:
    _delete(document, _path(operation, "path"), operation)


def _replace(document: _Document, operation: Mapping[str, Any]) -> None:
    path, value = _path(operation, "path"), _value(operation)
    _check_depth(path, value)
    if not path:
        document.root = value
        return
    text, holder = operation["path"], document.holder(path, operation)
    if isinstance(holder, list):
        holder[_index(path[-1], len(holder), text)] = value
    elif path[-1] in holder:
        holder[path[-1]] = value
    else:
        raise PatchError(
            f"replace operation does not apply: doc is missing key: {text}: missing value"
        )


def _move(document: _Document, operation: Mapping[str, Any]) -> None:
    source, target = _path(operation, "from"), _path(operation, "path")
    value = _get(document.root, source, operation)
    if source == target:
        return
    if target[: len(source)] == source:
        raise PatchError(
            f"move operation does not apply: {operation['from']} cannot be moved into itself"
        )
    document.spend(value)
    _delete(document, source, operation)
    _insert(document, target, value, operation)


def _copy(document: _Document, operation: Mapping[str, Any]) -> None:
    value = _get(document.root, _path(operation, "from"), operation)
    document.spend(value)
    _insert(document, _path(operation, "path"), _copied(value), operation)


def _test(document: _Document, operation: Mapping[str, Any]) -> None:
    path, text = _path(operation, "path"), operation["path"]
    try:
        found = _get(document.root, path, operation)
    except PatchError:
        found = None  # Kubernetes lets a test for null succeed where nothing is
    if not _equal(found, operation.get("value")):
        raise PatchError(f"testing value {text} failed: test failed")


_OPERATIONS: dict[str, Callable[[_Document, Mapping[str, Any]], None]] = {
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


def _insert(
    document: _Document, path: Sequence[str], value: Any, operation: Mapping[str, Any]
) -> None:
    _check_depth(path, value)
    if not path:
        document.root = value
        return
    holder, key = document.holder(path, operation), path[-1]
    if isinstance(holder, list):
        holder.insert(len(holder) if key == "-" else _index(key, len(holder) + 1, key), value)
    else:
        holder[key] = value


def _delete(document: _Document, path: Sequence[str], operation: Mapping[str, Any]) -> None:
    if not path:
        raise PatchError(f"{operation['op']} operation does not apply: the document itself stays")
    holder, key = document.holder(path, operation), path[-1]
    if isinstance(holder, list):
        del holder[_index(key, len(holder), key)]
    elif key in holder:
        del holder[key]
    else:
        raise PatchError(
            f"error in remove for path: '{operation['path']}': "
            f"Unable to remove nonexistent key: {key}: missing value"
        )


def _copied(value: Any) -> Any:
    """A copy that shares nothing: a change in one place must not be seen in the other."""
    if isinstance(value, dict):
        return {name: _copied(held) for name, held in value.items()}
    return [_copied(held) for held in value] if isinstance(value, list) else value


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
