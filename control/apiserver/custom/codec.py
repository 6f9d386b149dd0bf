"""Bytes and trees of objects whose kind came at run time, in one of its versions.

Serves step 1 of the pod's walk. Metadata is decoded as everybody's; all else stays a tree, from
which fields that the version's schema does not know are dropped and into which its defaults are
written. Whether the values are allowed, the strategy asks later. There is no protobuf form, because
there are no field numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from api import errors
from api.codec import decode, jsontree, yaml
from api.codec.decode import Decoded
from api.custom import Custom
from api.fielderrors import FieldError
from api.meta import ObjectMeta, PartialObjectMetadata
from api.patch.schema import Schema

_ENCODER = msgspec.json.Encoder()
_ACCEPTED = (decode.JSON, decode.YAML)
_HEAD = ("apiVersion", "kind", "metadata")


class Rules(Protocol):
    """The schema of one version, compiled."""

    has_defaults: bool

    @property
    def schema(self) -> Schema:
        """Which parts of an object have owners of their own."""
        ...

    def prune(self, tree: dict[str, Any]) -> Sequence[str]:
        """Drop what the schema does not know, in place. Returns the paths of what was dropped."""
        ...

    def default(self, tree: dict[str, Any]) -> None:
        """Fill in what is missing, in place."""
        ...

    def validate(self, tree: dict[str, Any], old: dict[str, Any] | None) -> list[FieldError]:
        """Every violation; what `old` had already is excused as Kubernetes does it."""
        ...


class CustomCodec:
    """One version of one kind."""

    def __init__(self, type_: type[Custom], api_version: str, kind: str, rules: Rules) -> None:
        self.type_ = type_
        self.api_version = api_version
        self.kind = kind
        self.rules = rules
        self.head = f'{{"apiVersion":"{api_version}","kind":"{kind}",'.encode()

    @property
    def schema(self) -> Schema:
        return self.rules.schema

    @property
    def blank(self) -> dict[str, Any]:
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": {}}

    def __repr__(self) -> str:
        return f"CustomCodec({self.api_version} {self.kind})"

    def decode(self, body: bytes) -> Custom:
        tree: dict[str, Any] = msgspec.json.decode(body)
        metadata = msgspec.convert(tree.pop("metadata"), ObjectMeta)
        return self._made(tree, metadata, tree.pop("apiVersion"))

    def encode(self, obj: Custom) -> bytes:
        return _ENCODER.encode(
            {
                "apiVersion": obj.api_version,
                "kind": obj.kind,
                "metadata": obj.metadata,
                **obj.content,
            }
        )

    def copy(self, obj: Custom) -> Custom:
        made = self.decode(self.encode(obj))
        made.checked = obj.checked
        return made

    def tree(self, obj: Custom) -> dict[str, Any]:
        return {
            "apiVersion": obj.api_version,
            "kind": obj.kind,
            "metadata": msgspec.to_builtins(obj.metadata),
            **copy.deepcopy(obj.content),
        }

    def from_tree(self, tree: Any, validation: str) -> Decoded[Any]:
        if not isinstance(tree, dict):
            raise errors.bad_request(f"expected an object of kind {self.kind}, found {tree!r:.40}")
        self._check_names(tree)
        repeated = jsontree.repeated(tree)
        plain = jsontree.plain(tree)
        headed = {"metadata": plain.get("metadata") or {}}
        told = decode.IGNORE if validation == decode.IGNORE else decode.WARN
        head = decode.convert(headed, PartialObjectMetadata, told)
        unknown = [*head.unknown, *self.rules.prune(plain)]
        strict = [*repeated, *(f'unknown field "{path}"' for path in unknown)]
        if strict and validation == decode.STRICT:
            raise errors.bad_request(f"strict decoding error: {', '.join(strict)}")
        self.rules.default(plain)
        made = self._made(plain, head.obj.metadata, self.api_version)
        warnings = strict if validation == decode.WARN else []
        return Decoded(made, tuple(warnings), tuple(unknown))

    def decode_body(self, body: bytes, content_type: str, validation: str) -> Decoded[Any]:
        parse = self._parser(body, content_type)
        if not body.strip():
            raise errors.bad_request(f"the request has no body; expected a {self.kind}")
        try:
            tree = parse(body)
        except ValueError as error:
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {self.kind}): {error}"
            ) from None
        return self.from_tree(tree, validation)

    def _parser(self, body: bytes, content_type: str) -> Callable[[bytes], Any]:
        media_type = content_type.partition(";")[0].strip().lower()
        if not media_type:  # who says nothing may send either
            media_type = decode.JSON if body.lstrip()[:1] == b"{" else decode.YAML
        if media_type in decode.JSON_TYPES:
            return jsontree.parse
        if media_type in decode.YAML_TYPES:
            return yaml.load
        raise errors.unsupported_media_type(_ACCEPTED)

    def _check_names(self, tree: dict[str, Any]) -> None:
        version, kind = tree.get("apiVersion"), tree.get("kind")
        if kind not in (None, "", self.kind):
            raise errors.bad_request(
                f"the kind in the data ({kind}) does not match the expected kind ({self.kind})"
            )
        if version not in (None, "", self.api_version):
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match "
                f"the expected API version ({self.api_version})"
            )

    def _made(self, tree: dict[str, Any], metadata: ObjectMeta, api_version: str) -> Custom:
        content = {name: value for name, value in tree.items() if name not in _HEAD}
        return self.type_(
            api_version=api_version, kind=self.kind, metadata=metadata, content=content
        )
