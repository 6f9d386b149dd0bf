"""YAML request bodies, with the meaning Kubernetes gives them.

Serves step 1 of the pod's walk, so that `curl --data-binary @pod.yaml` says what `kubectl apply -f`
says. The rules are those of sigs.k8s.io/yaml, which kubectl and the API server use, as read from
its source: YAML 1.1 booleans (`yes`, `no`, `on`, `off`, `y`, `n` besides `true` and `false`), octal
numbers as `0755` and `0o755`, `0x1f`, `0b11` and `1_000`, but neither base-60 numbers nor dates:
`12:30` and `2026-01-01` are strings. Keys that are numbers or booleans become strings. Merge keys
(`<<`) work. What JSON cannot hold (NaN, infinity, other tags) is refused.

The text is read as libyaml's events, never composed by libyaml itself: so nesting is bounded before
it is built, aliases are counted before they are expanded (a "billion laughs" is refused after 20,000
nodes), and a duplicate key is known with its place. Trees are those of `api.codec.jsontree`.

Pure; raises ValueError, worded as Go's library words it, with the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from api.codec.jsontree import MAX_DEPTH, Repeating, parse, utf8

MAX_ALIASED = 20_000  # nodes that aliases may add to what is written

_BOOLEANS = {
    **dict.fromkeys(
        ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True
    ),
    **dict.fromkeys(
        ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False
    ),
}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGERS = (
    (re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII), 10),
    (re.compile(r"[-+]?0[oO]?[0-7]+", re.ASCII), 8),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+", re.ASCII), 16),
    (re.compile(r"[-+]?0[bB][01]+", re.ASCII), 2),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_TAG = "tag:yaml.org,2002:"
_MAX_DIGITS = 1000


def load(body: bytes) -> Any:
    """The one document of a body.

    Raises:
        ValueError: not UTF-8, not YAML, not one document, or not to be said in JSON.
    """
    documents = load_all(body)
    if len(documents) > 1:
        raise ValueError(
            f"the body holds {len(documents)} YAML documents; send one object with each request"
        )
    return documents[0] if documents else None


def load_all(body: bytes) -> list[Any]:
    """Every document that is not empty."""
    if body.lstrip()[:1] == b"{":
        # Most likely JSON, which is YAML but for details that libyaml does not know (surrogate
        # pairs), and which is read ten times as fast.
        try:
            return [parse(body)]
        except ValueError:
            pass
    text = utf8(body)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or "malformed"
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"error converting YAML to JSON: yaml: {line}{problem}") from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"error converting YAML to JSON: yaml: {problem}") from None
    return [document for document in builder.documents if document is not None]


@dataclass(slots=True)
class _Open:
    """A list or map that is being read."""

    pairs: list[tuple[str, Any]] | None  # of a map
    items: list[Any] | None  # of a list
    anchor: str | None
    key: str | None = None  # of a map: read, its value is awaited
    lines: list[int] = field(default_factory=list)  # of a map: those of its keys
    merging: bool = False
    merged: list[dict[str, Any]] = field(default_factory=list)
    size: int = 1


class _Builder:
    """Turns events into trees, with a stack of its own instead of recursion."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._line = 0

    def take(self, event: yaml.Event) -> None:
        if event.start_mark is not None:
            self._line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event.anchor or "")
            case yaml.MappingStartEvent():
                self._open(event, "map", _Open([], None, event.anchor))
            case yaml.SequenceStartEvent():
                self._open(event, "seq", _Open(None, [], event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.DocumentStartEvent():
                self._anchors.clear()

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        top = self._stack[-1] if self._stack else None
        plain = bool(event.implicit[0])
        if plain and event.value == "<<" and _awaits_key(top):
            assert top is not None
            top.merging = True
            return
        value = self._resolve(event.tag, event.value, plain=plain)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1)

    def _resolve(self, tag: str | None, text: str, *, plain: bool) -> Any:
        if plain:
            return self._implicit(text)
        if tag is None or tag in ("!", f"{_TAG}str", f"{_TAG}timestamp"):
            return text
        value = self._implicit(text)
        expected = {"bool": bool, "int": int, "float": (int, float), "null": type(None)}
        wanted = expected.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
        if wanted is None:
            self._fail(f"the tag {tag.replace(_TAG, '!!')} has no meaning in JSON")
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            self._fail(f"cannot decode `{text[:40]}` as a {tag.replace(_TAG, '!!')}")
        return value

    def _implicit(self, text: str) -> Any:
        """The value of a plain scalar."""
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _NOT_JSON.fullmatch(text):
            self._fail(f"JSON cannot hold the number {text}")
        digits = text.replace("_", "") if text[0] != "." else text
        if len(digits) > _MAX_DIGITS:
            return text
        for pattern, base in _INTEGERS:
            if pattern.fullmatch(digits):
                return _integer(digits, base)
        if _FLOAT.fullmatch(digits):
            number = float(digits)
            if number - number == 0:
                return int(number) if number.is_integer() and abs(number) < 1e21 else number
        return text

    def _alias(self, anchor: str) -> None:
        if any(item.anchor == anchor for item in self._stack):
            self._fail(f"anchor '{anchor}' value contains itself")
        if anchor not in self._anchors:
            self._fail(f"unknown anchor '{anchor}' referenced")
        value, size = self._anchors[anchor]
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            self._fail("document contains excessive aliasing")
        if len(self._stack) + _depth(value) > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels")
        self._add(_copy(value), size)

    def _open(self, event: yaml.CollectionStartEvent, kind: str, opened: _Open) -> None:
        if event.tag not in (None, "!", f"{_TAG}{kind}"):
            self._fail(f"the tag {event.tag.replace(_TAG, '!!')} has no meaning in JSON")
        if _awaits_key(self._stack[-1] if self._stack else None):
            self._fail("a key must be a scalar, not a list or a map")
        if len(self._stack) >= MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels")
        self._stack.append(opened)

    def _close(self) -> None:
        closed = self._stack.pop()
        value: Any = closed.items if closed.pairs is None else _mapping(closed)
        if closed.anchor:
            self._anchors[closed.anchor] = (value, closed.size)
        self._add(value, closed.size)

    def _add(self, value: Any, size: int) -> None:
        if not self._stack:
            self.documents.append(value)
            return
        top = self._stack[-1]
        top.size += size
        if top.items is not None:
            top.items.append(value)
        elif top.merging:
            top.merging = False
            top.merged.extend(self._mergeable(value))
        elif top.key is None:
            top.key = self._key(value)
            top.lines.append(self._line)
        else:
            assert top.pairs is not None
            top.pairs.append((top.key, value))
            top.key = None

    def _mergeable(self, value: Any) -> Iterator[dict[str, Any]]:
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict):
                self._fail("map merge requires map or sequence of maps as the value")
            yield item

    def _key(self, value: Any) -> str:
        match value:
            case str():
                return value
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
            case float():
                return repr(value)
            case _:
                self._fail("a key must be a string, not null, a list or a map")

    def _fail(self, problem: str) -> NoReturn:
        raise ValueError(f"error converting YAML to JSON: yaml: line {self._line}: {problem}")


def _awaits_key(top: _Open | None) -> bool:
    return top is not None and top.pairs is not None and top.key is None and not top.merging


def _mapping(closed: _Open) -> dict[str, Any]:
    assert closed.pairs is not None
    made = dict(closed.pairs)
    if len(made) != len(closed.pairs):
        made = Repeating(closed.pairs, closed.lines)
    for merged in closed.merged:
        for key, value in merged.items():
            made.setdefault(key, value)
    return made


def _integer(digits: str, base: int) -> int:
    if base == 8:
        number = int(digits.lstrip("+-").lstrip("0").lstrip("oO") or "0", 8)
        return -number if digits[0] == "-" else number
    return int(digits, 0) if base != 10 else int(digits)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
