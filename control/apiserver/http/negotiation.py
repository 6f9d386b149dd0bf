"""Which form of an answer a client wants, from its Accept header.

Clients list what they would like best first, such as a Table for `kubectl get`; the first form we
have is taken. Answers are JSON (or YAML for people who ask for it with curl); protobuf-only clients
get a 406 that says so. The parsed headers are remembered, up to a bound: clients send few kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

_META_GROUP = "meta.k8s.io"
_META_VERSIONS = ("v1", "v1beta1")


class Shape(StrEnum):
    """How an object is presented."""

    OBJECT = ""
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"


@dataclass(frozen=True, slots=True)
class Form:
    """A shape, the version of meta.k8s.io it is wanted in, and the encoding."""

    shape: Shape = Shape.OBJECT
    version: str = "v1"
    media_type: str = JSON

    @property
    def plain(self) -> bool:
        """The object itself, whatever the encoding."""
        return self.shape is Shape.OBJECT


PLAIN = Form()

_SHAPES = {
    "": Shape.OBJECT,
    "Table": Shape.TABLE,
    "PartialObjectMetadata": Shape.PARTIAL,
    "PartialObjectMetadataList": Shape.PARTIAL,
}
_MEDIA_TYPES = {
    JSON: JSON,
    YAML: YAML,
    "application/x-yaml": YAML,
    "text/yaml": YAML,
    "*/*": JSON,
    "application/*": JSON,
    "text/html": JSON,  # a browser: show it something readable
    "text/plain": JSON,
}


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Form | None:
    """The first acceptable form, or None where the client accepts nothing we can make."""
    if not accept:
        return PLAIN
    for media_type, parameters in parse_accept(accept):
        form = _form(media_type, parameters)
        if form is not None:
            return form
    return None


def parse_accept(accept: str) -> list[tuple[str, dict[str, str]]]:
    """The clauses of an Accept header, the most wanted first."""
    clauses = []
    for position, clause in enumerate(accept.split(",")):
        media_type, *rest = (part.strip() for part in clause.split(";"))
        parameters = {
            name.strip(): value.strip().strip('"')
            for name, _, value in (part.partition("=") for part in rest)
        }
        clauses.append((-_weight(parameters.pop("q", "1")), position, media_type, parameters))
    clauses.sort(key=lambda clause: clause[:2])
    return [(media_type, parameters) for _, _, media_type, parameters in clauses]


def _form(media_type: str, parameters: dict[str, str]) -> Form | None:
    encoding = _MEDIA_TYPES.get(media_type.lower())
    shape = _SHAPES.get(parameters.get("as", ""))
    if encoding is None or shape is None:
        return None
    if shape is Shape.OBJECT:
        return PLAIN if encoding == JSON else Form(media_type=encoding)
    version = parameters.get("v", "v1")
    if parameters.get("g", _META_GROUP) != _META_GROUP or version not in _META_VERSIONS:
        return None
    return Form(shape, version, encoding)


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def media_type(content_type: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
