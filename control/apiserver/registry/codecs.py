"""How objects of one kind, in one of its versions, become bytes and trees, and come from them.

Serves step 1 of the pod's walk. The registry, patches and handlers do not care whether a kind is
known to the code (its objects are a typed Struct: `Typed`) or came at run time (they carry a tree,
see `control.apiserver.custom.codec`): they ask the kind's codec. Stateless; one per version.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from api.apps import ControllerRevision
from api.codec import decode
from api.codec.decode import Decoded
from api.codec.shapes import zero_struct
from api.patch.schema import Schema, of_type
from api.struct import ApiStruct

_ENCODER = msgspec.json.Encoder()


class Codec(Protocol):
    """What there is to know about the notation of a kind's objects."""

    type_: type[Any]
    """The class of the objects; for typed kinds also what strategic merge patches go by."""

    @property
    def schema(self) -> Schema:
        """Which parts of an object have owners of their own."""
        ...

    @property
    def blank(self) -> dict[str, Any]:
        """An object of which nothing was said: what has no owner because it is always there."""
        ...

    def decode(self, body: bytes) -> Any:
        """A private object from bytes that this server wrote."""
        ...

    def encode(self, obj: Any) -> bytes:
        """The object's JSON: apiVersion and kind first, then metadata."""
        ...

    def copy(self, obj: Any) -> Any:
        """A private copy of an object."""
        ...

    def tree(self, obj: Any) -> dict[str, Any]:
        """The object as plain JSON values: what patches are applied to."""
        ...

    def from_tree(self, tree: Any, validation: str) -> Decoded[Any]:
        """An object of a tree that a patch made. Raises 400 for what does not fit the kind."""
        ...

    def decode_body(self, body: bytes, content_type: str, validation: str) -> Decoded[Any]:
        """An object of a request's body. Raises 400 and 415."""
        ...


class Typed:
    """Objects that are Structs of `api`."""

    __slots__ = ("_blank", "_decoder", "type_")

    def __init__(self, type_: type[Any]) -> None:
        self.type_ = type_
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_)
        self._blank: dict[str, Any] | None = None

    @property
    def schema(self) -> Schema:
        schema: Schema = of_type(self.type_)  # type: ignore[arg-type]
        return schema

    @property
    def blank(self) -> dict[str, Any]:
        if self._blank is None:
            self._blank = self.tree(zero_struct(self.type_))
        return self._blank

    def __repr__(self) -> str:
        return f"Typed({self.type_.__name__})"

    def decode(self, body: bytes) -> Any:
        return self._decoder.decode(body)

    def encode(self, obj: ApiStruct) -> bytes:
        return _ENCODER.encode(obj)

    def copy(self, obj: ApiStruct) -> Any:
        return self.decode(self.encode(obj))

    def tree(self, obj: ApiStruct) -> dict[str, Any]:
        tree: dict[str, Any] = decode.to_tree(obj)
        return tree

    def from_tree(self, tree: Any, validation: str) -> Decoded[Any]:
        return decode.convert_object(tree, self.type_, validation)

    def decode_body(self, body: bytes, content_type: str, validation: str) -> Decoded[Any]:
        return decode.decode_body(body, content_type, self.type_, validation)


class Escaped(Typed):
    """Typed objects whose bytes clients compare: characters of HTML are written as Go writes them."""

    __slots__ = ()

    def encode(self, obj: ApiStruct) -> bytes:
        body = super().encode(obj)
        for character in b"&<>":  # in JSON they stand in strings only
            body = body.replace(bytes([character]), b"\\u%04x" % character)
        return body


def codec_of(type_: type[Any]) -> Typed:
    """The codec of a kind as it is stored. `kubectl rollout undo` compares the data of revisions."""
    return Escaped(type_) if type_ is ControllerRevision else Typed(type_)
