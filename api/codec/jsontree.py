"""JSON as plain values, read so that nothing a client did is lost: duplicate keys, spelling, depth.

Serves step 1 of the pod's walk: request bodies that the fast typed decoder cannot take, and patches,
which have no type. The tree is made of dict, list, str, int, float, bool and None. An object whose
text repeats a key is a `Repeating` dict (the last value wins, as in Go), and a number with a
fraction or an exponent is a `Spelled` float, because `1e3` and `1000` are different quantities.

Pure. Nesting deeper than `MAX_DEPTH` is refused, which keeps every recursive walk over a tree safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

MAX_DEPTH = 200

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


class Repeating(dict[str, Any]):
    """An object in which some keys were written more than once; `lines`: where, if it was YAML.

    `written`: its keys as they stand in the text, each as often as it came.
    """

    __slots__ = ("_lines", "repeated", "written")

    def __init__(self, pairs: list[tuple[str, Any]], lines: Sequence[int] = ()) -> None:
        super().__init__(pairs)
        self.written = [key for key, _ in pairs]
        seen: set[str] = set()
        self.repeated: list[str] = []
        self._lines: dict[str, int] = {}
        for position, (key, _) in enumerate(pairs):
            if key in seen and key not in self.repeated:
                self.repeated.append(key)
                if lines:
                    self._lines[key] = lines[position]
            seen.add(key)

    def findings(self, path: str) -> Iterator[str]:
        """What Kubernetes says of each: of JSON the place in the object, of YAML the line."""
        for key in self.repeated:
            yield self.finding(path, key)

    def finding(self, path: str, key: str) -> str:
        """The same of one key."""
        line = self._lines.get(key)
        if line is not None:
            return f'yaml: line {line}: key "{key}" already set in map'
        return f'duplicate field "{f"{path}.{key}".removeprefix(".")}"'

    @property
    def is_yaml(self) -> bool:
        return bool(self._lines)


class Spelled(float):
    """A number that remembers how it was written."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def read(cls, text: str) -> Spelled:
        number = cls(text)
        if number - number != 0:  # infinite
            raise ValueError(f"the number {text[:40]} is out of range")
        number.text = text
        return number


def parse(body: bytes) -> Any:
    """Read a JSON text.

    Raises:
        ValueError: not UTF-8, not JSON, or nested too deeply; the message says where.
    """
    tree, _ = parse_counting(body)
    return tree


def parse_sound(body: bytes) -> Any | None:
    """The tree of an ordinary text in which no key is repeated; None where that is not certain.

    Many times as fast as `parse`, which does not lose what may be wrong with the text. Quotes tell:
    a key that came again is missing in what is written of the tree. Only `\\u` may spell a quote
    without one, and such texts are left to `parse`.
    """
    if b"\\u" in body or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return None
    try:
        tree = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tree if body.count(b'"') == _encode(tree).count(b'"') else None


def parse_counting(body: bytes) -> tuple[Any, bool]:
    """As `parse`; also tells whether any object repeats a key."""
    text = utf8(body)
    repeating = False

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeating
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        repeating = True
        return Repeating(pairs)

    try:
        tree = json.loads(
            text,
            object_pairs_hook=build,
            parse_float=Spelled.read,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:  # else it cannot be that deep
        check_depth(tree)
    if _SURROGATE.search(text):
        tree = _mend(tree)
    return tree, repeating


def utf8(body: bytes) -> str:
    """The text of a body, without a byte order mark.

    Raises:
        ValueError: with the position of the first byte that is not UTF-8.
    """
    try:
        return body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the body is not UTF-8: {error.reason} (0x{body[error.start]:02x}) at byte {error.start}"
        ) from None


def check_depth(tree: Any, limit: int = MAX_DEPTH) -> None:
    """Refuse a tree that is nested too deeply; itself without recursion.

    Raises:
        ValueError: it is.
    """
    level = [tree]
    for _ in range(limit + 1):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following.extend(value.values())
            elif isinstance(value, list):
                following.extend(value)
        if not following:
            return
        level = following
    raise ValueError(_TOO_DEEP)


def repeated(tree: Any, path: str = "") -> list[str]:
    """What to say of all keys that were written more than once."""
    found: list[str] = []
    if isinstance(tree, dict):
        if isinstance(tree, Repeating):
            found.extend(tree.findings(path))
        for key, value in tree.items():
            found.extend(repeated(value, f"{path}.{key}"))
    elif isinstance(tree, list):
        for position, value in enumerate(tree):
            found.extend(repeated(value, f"{path}[{position}]"))
    return found


def plain(tree: Any) -> Any:
    """The tree without what only the decoder needs to know (spelling, repetition)."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    if isinstance(tree, Spelled):
        return float(tree)
    return tree


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _mend(tree: Any) -> Any:
    """Replace halves of surrogate pairs, which no UTF-8 text can hold, as Go does."""
    if isinstance(tree, str):
        return tree.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(tree, list):
        return [_mend(item) for item in tree]
    if isinstance(tree, dict):
        mended: dict[str, Any] = {_mend(key): _mend(value) for key, value in tree.items()}
        if isinstance(tree, Repeating):
            again = Repeating(list(mended.items()))
            again.repeated = tree.repeated
            return again
        return mended
    return tree


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
