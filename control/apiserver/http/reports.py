"""Reports over HTTP: what is made when it is asked for, such as the answers to "why?".

Serves whoever watches a pod's walk. Who makes them is told after the server is there, because the
scheduler comes after it; a control plane without one says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from api import errors
from api.struct import ApiStruct
from control.apiserver.http import responses
from control.apiserver.http.context import ApiRequest
from control.auth.authorization import Access, Authorizer


class May(Protocol):
    """Whether whoever asks may do this (`get`, `list`) with that resource (`pods/log`) of the namespace,
    or of all namespaces.
    """

    def __call__(
        self, verb: str, resource: str, *, everywhere: bool = False
    ) -> Awaitable[bool]: ...


_OF_NO_NAMESPACE = frozenset({"nodes"})

Maker = Callable[[str, str, May], Awaitable[ApiStruct]]
"""Makes a report of a namespace's object by its name, with no more in it than the asking user may read."""


class ReportHandler:
    """The handler of every request for a resource that has only reports."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
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

        async def may(verb: str, resource: str, *, everywhere: bool = False) -> bool:
            plural, _, subresource = resource.partition("/")
            of_the_object = plural == target.resource.plural
            access = Access(
                user=request.user,
                verb=verb,
                resource=plural,
                subresource=subresource,
                namespace="" if everywhere or plural in _OF_NO_NAMESPACE else target.namespace,
                name=target.name if of_the_object and verb == "get" else "",
            )
            return (await self._authorizer.authorize(access)).allowed

        made = await maker(target.namespace, target.name, may)
        body = await responses.as_media_type(responses.encode(made), form.media_type)
        return responses.json_response(body, content_type=form.media_type)
