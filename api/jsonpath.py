"""The JSON paths by which definitions say what to print: a small part of kubectl's notation.

Serves step 1 of the pod's walk for custom resources. `.spec.size`, `.items[0].name`,
`.items[*].name`, `['a.b']`, and `.conditions[?(@.type=="Ready")].status`. Pure; parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_TOKEN = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\\])+)"""
    r"""|\[\s*'(?P<quoted>(?:\\.|[^'\\])*)'\s*\]"""
    r"""|\[\s*(?P<index>-?\d+)\s*\]"""
    r"""|\[\s*(?P<all>\*)\s*\]"""
    r"""|\[\?\(\s*@\.(?P<field>[^\s=!<>]+)\s*(?P<sign>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^)\s]+)\s*\)\]""",
    re.VERBOSE,
)


def parse(text: str) -> Callable[[Any], list[Any]]:
    """What finds the values at a path.

    Raises:
        ValueError: the path is none that is understood.
    """
    text = text.removeprefix("{").removesuffix("}")
    steps: list[Step] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"{text!r} is not understood from {text[position:]!r} on")
        steps.append(_step(found))
        position = found.end()

    def find(tree: Any) -> list[Any]:
        values = [tree]
        for step in steps:
            values = [below for value in values for below in step(value)]
        return values

    return find


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return lambda value, at=int(found["index"]): _item(value, at)  # type: ignore[misc]
    if found["all"] or found["name"] == "*":
        return _all
    if found["field"] is not None:
        return _filter(found["field"], found["sign"] == "==", found["value"].strip("\"'"))
    name = re.sub(r"\\(.)", r"\1", found["name"] or found["quoted"] or "")
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _item(value: Any, at: int) -> list[Any]:
    return [value[at]] if isinstance(value, list) and -len(value) <= at < len(value) else []


def _all(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _filter(field: str, equal: bool, wanted: str) -> Step:
    names = field.split(".")

    def matches(item: Any) -> bool:
        for name in names:
            if not isinstance(item, dict) or name not in item:
                return False
            item = item[name]
        shown = str(item).lower() if isinstance(item, bool) else str(item)
        return (shown == wanted) is equal

    return lambda value: (
        [item for item in value if matches(item)] if isinstance(value, list) else []
    )
