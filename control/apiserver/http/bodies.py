"""Request bodies: read up to a limit, decoded by their Content-Type, their faults reported.

TEMPORARY shim until api.decode lands.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from api import errors
from api.meta import DeleteOptions
from control.apiserver.http.context import ApiRequest


async def read(http: web.BaseRequest) -> bytes:
    try:
        return await http.read()
    except web.HTTPRequestEntityTooLarge:
        raise errors.too_large(f"limit is {http._client_max_size}") from None


async def read_object(request: ApiRequest, type_: Any) -> Any:
    body = await read(request.http)
    ct = request.http.content_type
    try:
        if "yaml" in ct:
            return msgspec.yaml.decode(body, type=type_)
        return msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as e:
        raise errors.bad_request(str(e)) from None


async def read_delete_options(request: ApiRequest) -> DeleteOptions:
    body = await read(request.http)
    options = msgspec.json.decode(body, type=DeleteOptions) if body else DeleteOptions()
    return options
