"""Reports over HTTP: what is made when it is asked for, such as the answers to "why?".

Serves whoever watches a pod's walk. Who makes them is told after the server is there, because the
scheduler comes after it; a control plane without one says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from api import errors
from api.struct import ApiStruct
from control.apiserver.http import responses
from control.apiserver.http.context import ApiRequest

Maker = Callable[[str, str], Awaitable[ApiStruct]]
"""Makes a report of a namespace's object by its name."""


class ReportHandler:
    """The handler of every request for a resource that has only reports."""

    def __init__(self) -> None:
        self._makers: dict[type[ApiStruct], Maker] = {}

    def attach(self, type_: type[ApiStruct], maker: Maker) -> None:
        """From now on reports of this type are made by `maker`."""
        self._makers[type_] = maker

    async def __call__(self, request: ApiRequest) -> web.StreamResponse:
        target = request.target
        form = request.form()
        maker = self._makers.get(target.resource.type)
        if maker is None:
            raise errors.unavailable(
                "this control plane runs no controllers and no scheduler, which would know the answer"
            )
        made = await maker(target.namespace, target.name)
        body = await responses.as_media_type(responses.encode(made), form.media_type)
        return responses.json_response(body, content_type=form.media_type)
