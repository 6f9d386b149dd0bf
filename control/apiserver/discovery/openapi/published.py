"""Which definitions the OpenAPI documents show, and the documents and pieces that are made of them.

Serves clients of custom resources. What is published changes at once and costs next to nothing:
hashes are of the definitions, each taken once; a document is made when somebody asks for it.
`Published` belongs to the event loop; the functions beside it are pure and may run in a thread.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from control.apiserver.custom.definition import Definition


class Published:
    """Definitions by the path of their document in the v3 index."""

    def __init__(self) -> None:
        self._digests: dict[str, tuple[Definition, str]] = {}
        self._paths: dict[str, list[Definition]] = {}

    def replace(self, definitions: Mapping[str, Definition]) -> None:
        """Publish these, and no others."""
        self._digests = {
            name: self._digest(name, definitions[name]) for name in sorted(definitions)
        }
        paths: dict[str, list[Definition]] = defaultdict(list)
        for definition, _ in self._digests.values():
            for version in definition.versions:
                if version.served:
                    paths[f"apis/{definition.group}/{version.name}"].append(definition)
        self._paths = dict(sorted(paths.items()))

    @property
    def paths(self) -> Sequence[str]:
        return tuple(self._paths)

    @property
    def everything(self) -> Sequence[Definition]:
        return tuple(definition for definition, _ in self._digests.values())

    def at(self, path: str) -> Sequence[Definition]:
        """The definitions of one document."""
        return self._paths.get(path, ())

    def digest(self, path: str, salt: str) -> str:
        """The hash of a document that is not made yet. `salt`: of all else that goes into it."""
        digest = hashlib.sha512(salt.encode())
        for definition in self.at(path):
            digest.update(self._digests[definition.name][1].encode())
        return digest.hexdigest().upper()

    def _digest(self, name: str, definition: Definition) -> tuple[Definition, str]:
        known = self._digests.get(name)
        if known is not None and known[0] is definition:
            return known
        return definition, hashlib.sha256(msgspec.json.encode(definition)).hexdigest()


# The modules that make schemas are imported where they are used: most servers never need them.


def newer(path: str, several: Sequence[Definition], common: bytes, base: bytes | None) -> bytes:
    """The v3 document at a path. `base`: the document of kinds of the code that is there already."""
    from control.apiserver.discovery.openapi import custom
    from control.apiserver.discovery.openapi.schemas import envelope

    parts = [
        (definition, version)
        for definition, version in custom.parts(several)
        if path == f"apis/{definition.api_version(version.name)}"
    ]
    schemas, paths = msgspec.json.decode(common), custom.paths(parts)
    if base is not None:
        known = msgspec.json.decode(base)
        schemas, paths = known["components"]["schemas"], {**known["paths"], **paths}
    return msgspec.json.encode(envelope(paths, {**schemas, **custom.schemas(parts)}))


def older(several: Sequence[Definition]) -> tuple[bytes, bytes]:
    """What definitions add to the paths and to the definitions of the v2 document in JSON."""
    from control.apiserver.discovery.openapi import custom

    parts = custom.parts(several)
    return _entries(custom.older_paths(parts)), _entries(custom.older_schemas(parts))


def older_message(several: Sequence[Definition]) -> bytes:
    """What definitions add to the v2 document as a message."""
    from control.apiserver.discovery.openapi import custom, swaggerwire

    parts = custom.parts(several)
    if not parts:
        return b""
    added = {"paths": custom.older_paths(parts), "definitions": custom.older_schemas(parts)}
    return swaggerwire.encode(added)


def _entries(tree: Mapping[str, object]) -> bytes:
    """The entries of an object, to stand behind others."""
    return b"," + msgspec.json.encode(tree)[1:-1] if tree else b""
