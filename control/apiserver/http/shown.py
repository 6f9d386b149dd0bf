"""Objects that are made when they are read: ComponentStatuses, and what nodes and pods use.

Serves whoever watches a pod's walk. They are kept nowhere and cannot be watched; lists take label
selectors and select by name and namespace, and every form of an answer is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from api import errors, selectors
from api.scheme import Resource
from api.struct import ApiStruct
from base.clock import Clock
from control.apiserver.http import responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.forms import Presenter, included
from control.apiserver.registry.codecs import Codec
from control.apiserver.registry.reading import Page
from control.resources.strategy import Strategy

Chooses = Callable[[Any], bool]


class Source(Protocol):
    """Makes the objects of one kind."""

    resource: Resource
    rules: Strategy[Any]
    codec: Codec

    async def get(self, namespace: str, name: str) -> ApiStruct | None:
        """One object; None if there is no such thing."""

    async def every(self, namespace: str) -> Sequence[ApiStruct]:
        """All of a namespace, or of every one, by namespace and name."""


class ShownHandler:
    """The handler of every request for a kind that can only be read."""

    def __init__(self, clock: Clock, sources: Iterable[Source]) -> None:
        self._clock = clock
        self._sources: Mapping[Resource, Source] = {one.resource: one for one in sources}

    async def __call__(self, request: ApiRequest) -> web.StreamResponse:
        target = request.target
        source = self._sources[target.resource]
        form = request.form()
        presenter = Presenter(source, form, included(request.query), self._clock)
        if target.name:
            found = await source.get(target.namespace, target.name)
            if found is None:
                raise errors.not_found(target.resource, target.name)
            body = presenter.one(source.codec.encode(found))
        else:
            chooses = _chosen(request)
            items = [one for one in await source.every(target.namespace) if chooses(one)]
            body = await presenter.many(Page([source.codec.encode(one) for one in items], 0))
        body = await responses.as_media_type(body, form.media_type)
        return responses.json_response(body, content_type=form.media_type)


def _chosen(request: ApiRequest) -> Chooses:
    """What the selectors of a list choose. Raises 400."""
    try:
        labels = selectors.parse_label_selector(request.query.text("labelSelector"))
        fields = selectors.parse_field_selector(request.query.text("fieldSelector"))
    except ValueError as error:
        raise errors.bad_request(str(error)) from error

    def chooses(one: Any) -> bool:
        meta = one.metadata
        names = {"metadata.name": meta.name, "metadata.namespace": meta.namespace}
        return labels.matches(meta.labels) and fields.matches(names)

    return chooses
