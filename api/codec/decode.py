"""Bodies → typed objects, with every error and its path; and objects → bytes.

Serves step 1 of the pod's walk. Two speeds: a clean body is taken by msgspec's typed decoder, then
its special leaves (quantities, times) are made canonical; unless the client asked to ignore them,
unknown and repeated fields are looked for in a plain reading of the same bytes. Whatever is not
clean is walked slowly beside its type (`api.codec.walk`), which knows everything that is wrong.

`fieldValidation` decides about unknown and repeated fields: Strict refuses them (400), Warn tells
them, Ignore drops them. A mistyped field is always 400, a missing one never: that is validation's.

Pure, no state but msgspec's decoders. YAML has the same rules by way of its tree; protobuf has no
unknown fields to speak of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from api import errors
from api.codec import jsontree, protobuf, walk, yaml
from api.codec.shapes import struct_shape
from api.errors import ApiError
from api.meta import StatusCause, StatusDetails
from api.scheme import Resource
from api.struct import ApiStruct

T = TypeVar("T", bound=ApiStruct)

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON, YAML, PROTOBUF)

STRICT = "Strict"
WARN = "Warn"
IGNORE = "Ignore"

JSON_TYPES = frozenset((JSON, "text/json"))
# The last is what `curl --data-binary @pod.yaml` says unless told otherwise; JSON is YAML, too.
YAML_TYPES = frozenset(
    (
        YAML,
        "application/x-yaml",
        "text/yaml",
        "text/x-yaml",
        "text/plain",
        "application/x-www-form-urlencoded",
    )
)

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""The JSON of an object: exactly what is stored and sent."""


class Decoded(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An object and what to warn its sender about."""

    obj: T
    warnings: Sequence[str] = ()
    unknown: Sequence[str] = ()
    """Paths of fields that the type does not have; looked for unless they are ignored."""


def decode_object(
    body: bytes, content_type: str, resource: Resource, validation: str = WARN
) -> Decoded[Any]:
    """Decode the body of a request that creates or replaces an object of `resource`.

    Raises:
        ApiError: 400 or 415, worded for the sender.
    """
    return decode_body(body, content_type, resource.type, validation)


def decode_body(
    body: bytes,
    content_type: str,
    type_: type[T],
    validation: str = WARN,
    *,
    any_version: bool = False,
) -> Decoded[T]:
    """As `decode_object`, for any type that names its apiVersion and kind (Binding, Scale, …).

    `any_version` is for options such as DeleteOptions, which clients send in every group's version.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if not media_type:  # who says nothing may send either
        media_type = JSON if body.lstrip()[:1] == b"{" else YAML
    if media_type in JSON_TYPES:
        found = _json(body, type_, validation)
    elif media_type in YAML_TYPES:
        found = _walked(_parsed(yaml.load, body, type_), type_, validation)
    elif media_type == PROTOBUF:
        found = Decoded(_protobuf(body, type_))
    else:
        raise errors.unsupported_media_type(ACCEPTED)
    _check_type(found.obj, type_, any_version=any_version)
    return found


def convert(tree: Any, type_: type[T], validation: str = IGNORE) -> Decoded[T]:
    """Make an object of a tree, such as the result of a patch; the same rules and errors."""
    try:
        obj = msgspec.convert(tree, type_)
        walk.canonicalise(obj, type_)
    except (*walk.DecodeErrors, ValueError):
        return _walked(tree, type_, validation)
    if validation != IGNORE and walk.has_unknown(tree, type_):
        return _walked(tree, type_, validation)
    return Decoded(obj)


def convert_object(tree: Any, type_: type[T], validation: str = IGNORE) -> Decoded[T]:
    """As `convert`, of a tree that must still say it is of this type: a patch may say otherwise."""
    found = convert(tree, type_, validation)
    _check_type(found.obj, type_, any_version=False)
    return found


def to_tree(obj: ApiStruct) -> Any:
    """The object as plain JSON values: what patches are applied to."""
    return msgspec.to_builtins(obj)


def _json(body: bytes, type_: type[T], validation: str) -> Decoded[T]:
    try:
        obj = _decoder(type_).decode(body)
        walk.canonicalise(obj, type_)
    except (*walk.DecodeErrors, ValueError):
        return _walked(_parsed(jsontree.parse, body, type_), type_, validation)
    if validation != IGNORE:
        sound = jsontree.parse_sound(body)
        if sound is not None and not walk.has_unknown(sound, type_):
            return Decoded(obj)
        tree, repeating = _parsed(jsontree.parse_counting, body, type_)
        if repeating or walk.has_unknown(tree, type_):
            return _walked(tree, type_, validation)
    return Decoded(obj)


def _protobuf(body: bytes, type_: type[T]) -> T:
    wrapped: protobuf.Envelope = _parsed(protobuf.envelope, body, type_)
    _check_names({"apiVersion": wrapped.api_version, "kind": wrapped.kind}, type_)
    obj: T = _parsed(partial(protobuf.message, type_=type_), wrapped.raw, type_, empty=True)
    if "kind" in struct_shape(type_).fields:
        obj.api_version = wrapped.api_version  # type: ignore[attr-defined]
        obj.kind = wrapped.kind  # type: ignore[attr-defined]
    return obj


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    return decoder


def _parsed(parse: Any, body: bytes, type_: type[ApiStruct], *, empty: bool = False) -> Any:
    kind = type_.__name__
    if not empty and not body.strip():
        raise errors.bad_request(f"the request has no body; expected a {kind}")
    try:
        return parse(body)
    except ValueError as error:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): {error}"
        ) from None


def _walked(tree: Any, type_: type[T], validation: str) -> Decoded[T]:
    if isinstance(tree, dict):
        _check_names(tree, type_)
    walker = walk.Walker()
    obj = walker.read(tree, type_)
    if walker.mistakes:
        raise _mistyped(type_, walker.mistakes)
    if walker.strict and validation == STRICT:
        raise errors.bad_request(f"strict decoding error: {', '.join(walker.strict)}")
    if validation != WARN:
        return Decoded(obj)
    return Decoded(obj, tuple(walker.strict), tuple(walker.unknown))


def _mistyped(type_: type[ApiStruct], mistakes: Sequence[walk.Mistake]) -> ApiError:
    version, kind = _expected(type_)
    words = "; ".join(mistake.message for mistake in mistakes)
    error = errors.bad_request(
        f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {kind}: {words}'
    )
    error.status.details = StatusDetails(
        causes=[
            StatusCause(reason="FieldValueTypeInvalid", message=item.message, field=item.path)
            for item in mistakes
        ]
    )
    return error


def _expected(type_: type[ApiStruct]) -> tuple[str, str]:
    """(apiVersion, kind) that objects of this type carry; the kind is the class's name if it has none."""
    fields = struct_shape(type_).fields
    version, kind = fields.get("apiVersion"), fields.get("kind")
    if version is None or kind is None or version.info.required:
        return "v1", type_.__name__
    return version.info.default(), kind.info.default()


def _check_names(tree: dict[str, Any], type_: type[ApiStruct]) -> None:
    """Another kind must be told as such, before its fields are held against this one's."""
    named = tree.get("apiVersion") or "", tree.get("kind") or ""
    expected = _expected(type_)
    if isinstance(named[1], str) and named[1] not in ("", expected[1]):
        _refuse_kind(named[0] or expected[0], named[1], expected)


def _check_type(obj: ApiStruct, type_: type[ApiStruct], *, any_version: bool) -> None:
    """The body must say it is what the path says; saying nothing is agreement."""
    expected = _expected(type_)
    if "kind" not in struct_shape(type_).fields:
        return
    version: str = obj.api_version or expected[0]  # type: ignore[attr-defined]
    kind: str = obj.kind or expected[1]  # type: ignore[attr-defined]
    if kind != expected[1]:
        _refuse_kind(version, kind, expected)
    if version != expected[0] and not any_version:
        raise errors.bad_request(
            f"the API version in the data ({version}) does not match "
            f"the expected API version ({expected[0]})"
        )
    obj.api_version, obj.kind = expected  # type: ignore[attr-defined]


def _refuse_kind(version: Any, kind: str, expected: tuple[str, str]) -> None:
    raise errors.bad_request(
        f'{kind} in version "{str(version).rpartition("/")[2]}" cannot be handled as a '
        f"{expected[1]}: the kind in the data ({kind}) does not match the expected kind "
        f"({expected[1]})"
    )
