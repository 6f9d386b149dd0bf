"""Manifests: reading them, sending them, and following what they asked for until it is there.

Serves step 1 of a pod's walk from the client's side, as `podwright up` needs it. Documents are sent
as they were written: the server judges them, so a mistake is answered in its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api import errors, scheme
from api.client import HttpClient, PatchType
from api.codec.yaml import load_all
from api.core import Event, Pod
from api.errors import ApiError
from api.scheme import Resource
from api.struct import ApiStruct
from base.errors import PermanentError

Tree = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Document:
    """One object of a manifest."""

    source: str
    resource: Resource
    namespace: str
    name: str
    tree: Tree

    def __str__(self) -> str:
        return f"{self.resource.kind.lower()}/{self.name}"


def read(paths: Iterable[Path]) -> list[Document]:
    documents: list[Document] = []
    for path in paths:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise PermanentError(f"cannot read {path}: {error.strerror}") from error
        documents += parse(text, str(path))
    return documents


def parse(text: bytes, source: str) -> list[Document]:
    """Every object of a YAML text; Lists are taken apart."""
    try:
        documents = load_all(text)
    except ValueError as error:
        raise PermanentError(f"{source}: {error}") from error
    return [
        _document(tree, f"{source}, document {number}")
        for number, document in enumerate(documents, start=1)
        for tree in _items(document)
    ]


def images(documents: Iterable[Document]) -> set[str]:
    """Every image the documents name, wherever a pod template may stand."""
    return {image for document in documents for image in _images(document.tree)}


async def apply(client: HttpClient, document: Document) -> str:
    """Create it, or patch what is there: `created`, `configured` or `unchanged`."""
    resource = document.resource
    body = json.dumps(document.tree).encode()
    query = {"fieldValidation": "Strict"}
    try:
        await client.raw("POST", resource.path(document.namespace), query, body)
        return "created"
    except ApiError as error:
        if not errors.is_already_exists(error):
            raise _blamed(error, document) from error
    path = resource.path(document.namespace, document.name)
    before = json.loads(await client.raw("GET", path))
    try:
        answer = await client.raw(
            "PATCH", path, query, body, content_type=PatchType.STRATEGIC.value
        )
    except ApiError as error:
        raise _blamed(error, document) from error
    after = json.loads(answer)
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return "unchanged" if same else "configured"


async def current(client: HttpClient, documents: Sequence[Document]) -> list[ApiStruct]:
    """The objects as they are now."""
    return [await client.get(d.resource.type, d.name, d.namespace) for d in documents]


async def pods_and_events(
    client: HttpClient, namespaces: Iterable[str]
) -> tuple[list[Pod], list[Event]]:
    pods: list[Pod] = []
    events: list[Event] = []
    for namespace in sorted(set(namespaces)):
        pods += (await client.list(Pod, namespace)).items
        events += (await client.list(Event, namespace)).items
    return pods, events


def _items(document: Any) -> Iterator[Tree]:
    if isinstance(document, dict) and document.get("kind") == "List":
        yield from document.get("items") or []
    else:
        yield document


def _document(tree: Any, source: str) -> Document:
    if not isinstance(tree, dict):
        raise PermanentError(f"{source}: expected an object, found {type(tree).__name__}")
    api_version, kind = str(tree.get("apiVersion", "")), str(tree.get("kind", ""))
    resource = scheme.by_kind(api_version, kind)
    if resource is None:
        raise PermanentError(
            f"{source}: there is no kind {kind!r} in apiVersion {api_version!r}",
            hint="`kubectl api-resources` lists what there is.",
        )
    metadata = tree.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = str(metadata.get("name", ""))
    if not name:
        raise PermanentError(f"{source}: metadata.name: Required value")
    namespace = str(metadata.get("namespace") or "default") if resource.namespaced else ""
    return Document(source=source, resource=resource, namespace=namespace, name=name, tree=tree)


def _images(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                for container in value:
                    if isinstance(container, dict) and isinstance(container.get("image"), str):
                        yield container["image"]
            else:
                yield from _images(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _images(item)


def _blamed(error: ApiError, document: Document) -> PermanentError:
    return PermanentError(f"{document.source}: {error.message}", hint=error.hint)
