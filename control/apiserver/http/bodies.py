"""Request bodies: read up to a limit, decoded by their Content-Type, their faults reported.

Serves step 1 of the pod's walk. JSON, YAML and Kubernetes' protobuf envelope become typed objects
in `api.codec.decode`; here are only the limit, the warnings, and options that may also stand in the URL.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from aiohttp import web

from api import errors
from api.codec import decode
from api.meta import DeleteOptions
from api.struct import ApiStruct
from control.apiserver.http.context import ApiRequest
from control.apiserver.registry.apart import LARGE, worked
from control.apiserver.registry.codecs import Codec, Typed

# The library tries others, too, and may wait for ever for the end of what is broken.
_ENCODINGS = ("", "identity", "gzip")

T = TypeVar("T", bound=ApiStruct)


async def read(request: ApiRequest) -> bytes:
    """The whole body. Raises 413 when it is larger than the server reads."""
    encoding = request.http.headers.get("Content-Encoding", "").lower()
    if encoding not in _ENCODINGS:
        raise errors.unsupported_encoding(encoding)
    try:
        body = await request.http.read()
        request.call.large = len(body) >= LARGE
        return body
    except web.HTTPRequestEntityTooLarge:
        raise errors.too_large(f"limit is {request.max_body}") from None
    except web.RequestPayloadError as error:
        words = " ".join(str(error).split())
        raise errors.bad_request(f"the body cannot be read: {words}") from None


async def read_object(request: ApiRequest, codec: Codec) -> Any:
    """The body as an object. Raises 400 and 415; what is only worth a warning goes into the call."""
    body, sent_as = await read(request), content_type(request)
    call = request.call
    decoded = await worked(
        call.large, lambda: codec.decode_body(body, sent_as, call.field_validation)
    )
    for text in decoded.warnings:
        request.call.warn(text)
    return decoded.obj


async def read_typed(request: ApiRequest, type_: type[T]) -> T:
    """As `read_object`, for a body whose type the code knows: a Binding, a Scale, a review."""
    obj: T = await read_object(request, typed(type_))
    return obj


@cache
def typed(type_: type[ApiStruct]) -> Typed:
    return Typed(type_)


async def read_delete_options(request: ApiRequest) -> DeleteOptions:
    """Options of a delete: the body's, or the URL's where there is no body."""
    body = await read(request)
    if body.strip():
        return decode.decode_body(
            body, content_type(request), DeleteOptions, decode.IGNORE, any_version=True
        ).obj
    query = request.query
    return DeleteOptions(
        grace_period_seconds=query.integer("gracePeriodSeconds"),
        propagation_policy=query.text("propagationPolicy") or None,
        orphan_dependents=query.flag("orphanDependents") if query.has("orphanDependents") else None,
        dry_run=query.many("dryRun"),
    )


def content_type(request: ApiRequest) -> str:
    return request.http.headers.get("Content-Type", "")
