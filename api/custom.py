"""Objects of kinds that came at run time: metadata that is known, and a tree of everything else.

Serves step 1 of the pod's walk for what CustomResourceDefinitions define. Not a Struct: it would be
encoded with its `content` as a field. Whoever handles objects of every kind needs no more than
`api_version`, `kind` and `metadata`; bytes are the business of the kind's codec.

Each kind has a subclass of its own (`custom_type`), because clients, informers and the registry
look kinds up by the type of their objects.
"""

from __future__ import annotations

from typing import Any

from api.meta import ObjectMeta


class Custom:
    """One object. `checked`: its schema was enforced in the version in which it was sent."""

    __slots__ = ("api_version", "checked", "content", "kind", "metadata")

    def __init__(
        self,
        *,
        api_version: str,
        kind: str,
        metadata: ObjectMeta,
        content: dict[str, Any],
        checked: bool = False,
    ) -> None:
        self.api_version = api_version
        self.kind = kind
        self.metadata = metadata
        self.content = content
        self.checked = checked

    def __repr__(self) -> str:
        return (
            f"Custom({self.api_version} {self.kind} {self.metadata.namespace}/{self.metadata.name})"
        )


def custom_type(kind: str) -> type[Custom]:
    """A type for the objects of one kind."""
    return type(kind, (Custom,), {"__slots__": (), "__doc__": f"An object of kind {kind}."})
