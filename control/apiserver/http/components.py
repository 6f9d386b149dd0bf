"""ComponentStatuses over HTTP: is the control plane well, part by part?

Serves whoever watches a pod's walk with an old tool; `/readyz?verbose` says the same and more. The
statuses are made when they are asked for, from what each part says of itself, and kept nowhere.
Parts are attached as they are started; one that was not started says that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from api import errors, selectors
from api.core import ComponentStatus
from api.scheme import resource_of
from base.clock import Clock
from control.apiserver.http import responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.forms import Presenter, included
from control.apiserver.registry.codecs import Codec, Typed
from control.apiserver.registry.reading import Page
from control.resources.core import componentstatus
from control.resources.strategy import Strategy

Check = Callable[[], Awaitable[str]]
"""Returns "" when the component is well, else what is not."""


class ComponentHandler:
    """The handler of every request for ComponentStatuses."""

    def __init__(self, clock: Clock, **checks: Check) -> None:
        self.resource = resource_of(ComponentStatus)
        self.rules: Strategy[Any] = componentstatus.RULES
        self.codec: Codec = Typed(ComponentStatus)
        self._clock = clock
        self._checks = {"controller-manager": _not_started, "scheduler": _not_started, **checks}

    def attach(self, name: str, check: Check) -> None:
        """From now on `check` tells whether the component is well."""
        self._checks[name] = check

    async def __call__(self, request: ApiRequest) -> web.StreamResponse:
        for text in self.rules.warnings(ComponentStatus()):
            request.call.warn(text)
        form = request.form()
        presenter = Presenter(self, form, included(request.query), self._clock)
        name = request.target.name
        if name:
            if name not in self._checks:
                raise errors.not_found(self.resource, name)
            body = presenter.one(await self._made(name))
        else:
            chosen = _chosen(request)
            items = [await self._made(one) for one in sorted(self._checks) if chosen(one)]
            body = await presenter.many(Page(items, 0))
        body = await responses.as_media_type(body, form.media_type)
        return responses.json_response(body, content_type=form.media_type)

    async def _made(self, name: str) -> bytes:
        return self.codec.encode(componentstatus.made(name, await self._checks[name]()))


def _chosen(request: ApiRequest) -> Callable[[str], bool]:
    """Which names the selectors of a list choose; components have no labels. Raises 400."""
    labels = selectors.parse_label_selector(request.query.text("labelSelector"))
    fields = selectors.parse_field_selector(request.query.text("fieldSelector"))
    return lambda name: labels.matches({}) and fields.matches({"metadata.name": name})


async def _not_started() -> str:
    return "not started: this control plane runs without controllers and scheduler"
