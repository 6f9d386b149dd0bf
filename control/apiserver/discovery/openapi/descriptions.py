"""What a type and its fields say about themselves: the docstrings in the source of `api`.

Only read when OpenAPI documents are made, so that descriptions cost no memory in a running server.
A field's description is the string that stands right below it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType

from api.struct import ApiStruct

_PLACEHOLDER = "DOC "

Described = Mapping[str, str]
"""Attribute → description; "" is the class itself."""


def of_type(type_: type[ApiStruct]) -> Described:
    """The descriptions of one class: its own, and its own fields' (not its bases')."""
    module = inspect.getmodule(type_)
    assert module is not None
    return _of_module(module).get(type_.__name__, {})


@cache
def _of_module(module: ModuleType) -> Mapping[str, Described]:
    tree = ast.parse(inspect.getsource(module))
    return {
        node.name: dict(_of_class(node)) for node in tree.body if isinstance(node, ast.ClassDef)
    }


def _of_class(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    yield "", _clean(ast.get_docstring(node) or "")
    for field, below in zip(node.body, node.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if (
            isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, _clean(inspect.cleandoc(below.value.value))


def _clean(text: str) -> str:
    """One line per paragraph: kubectl wraps for the terminal it has."""
    if text.startswith(_PLACEHOLDER):
        return ""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
