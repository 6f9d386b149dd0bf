"""Writes every OpenAPI document into a directory; run as a process of its own by `serving`.

    python -m control.apiserver.discovery.openapi.generate DIRECTORY

Each group and version becomes `NAME.json.gz` (its URL path with slashes as underscores), all of them
together the v2 document in its two encodings, with room for custom resources. The directory appears
under its name only when it is complete.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from api.meta import DeleteOptions, ListMeta, ObjectMeta, Status
from api.scheme import group_versions
from control.apiserver.discovery.openapi import swagger, swaggerwire
from control.apiserver.discovery.openapi.files import (
    COMMON,
    V2_DEFINITIONS,
    V2_PATHS,
    V2_PROTOBUF,
    file_name,
)
from control.apiserver.discovery.openapi.operations import paths
from control.apiserver.discovery.openapi.schemas import Components, envelope
from control.apiserver.http.responses import compress


def document(group: str, version: str) -> dict[str, Any]:
    """The OpenAPI v3 document of one group and version."""
    components = Components()
    found = paths(components, group, version)
    return envelope(found, dict(sorted(components.schemas.items())))


def common() -> dict[str, Any]:
    """The schemas that those of custom resources refer to."""
    components = Components()
    for type_ in (DeleteOptions, ListMeta, ObjectMeta, Status):
        components.add(type_)
    return components.schemas


def documents() -> Iterator[tuple[str, bytes]]:
    """Each file's name and what is in it, before it is compressed."""
    found = []
    for group, version in group_versions():
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        found.append(document(group, version))
        yield file_name(path), msgspec.json.encode(found[-1])
    older = swagger.document(found)
    yield V2_PROTOBUF, swaggerwire.encode(older)
    below, definitions = older.pop("paths"), older.pop("definitions")
    yield V2_PATHS, msgspec.json.encode(older)[:-1] + b',"paths":' + _open(below)
    yield V2_DEFINITIONS, b'},"definitions":' + _open(definitions)
    yield COMMON, msgspec.json.encode(common())


def _open(entries: dict[str, Any]) -> bytes:
    """An object without its last brace: more may follow."""
    return msgspec.json.encode(entries)[:-1]


def write(directory: Path) -> None:
    """Write the documents into `directory`, which must not exist yet."""
    partial = directory.with_name(directory.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name, body in documents():
        (partial / name).write_bytes(compress(body, 9))
    partial.rename(directory)


def main(argv: Sequence[str]) -> int:
    write(Path(argv[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
