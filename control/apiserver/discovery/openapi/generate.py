"""Writes every OpenAPI document into a directory; run as a process of its own by `serving`.

    python -m control.apiserver.discovery.openapi.generate DIRECTORY

Each group and version becomes `NAME.json.gz` (its URL path with slashes as underscores), all of them
together the v2 document in its two encodings. The directory appears under its name only when it is
complete.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from api.scheme import group_versions
from control.apiserver.discovery.openapi import swagger, swaggerwire
from control.apiserver.discovery.openapi.files import V2_JSON, V2_PROTOBUF, file_name
from control.apiserver.discovery.openapi.operations import paths
from control.apiserver.discovery.openapi.schemas import Components
from control.apiserver.discovery.version import GIT_VERSION
from control.apiserver.http.responses import compress

_TITLE = "Kubernetes"  # clients of the Kubernetes API look for it


def document(group: str, version: str) -> dict[str, Any]:
    """The OpenAPI v3 document of one group and version."""
    components = Components()
    found = paths(components, group, version)
    return {
        "openapi": "3.0.0",
        "info": {"title": _TITLE, "version": GIT_VERSION},
        "paths": found,
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "securitySchemes": {
                "BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}
            },
        },
    }


def documents() -> Iterator[tuple[str, bytes]]:
    """Each file's name and what is in it, before it is compressed."""
    found = []
    for group, version in group_versions():
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        found.append(document(group, version))
        yield file_name(path), msgspec.json.encode(found[-1])
    older = swagger.document(found)
    yield V2_JSON, msgspec.json.encode(older)
    yield V2_PROTOBUF, swaggerwire.encode(older)


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
