"""Subresources over HTTP that are not a part of the object: binding, eviction and scale.

Serves step 3 of the pod's walk (a scheduler outside this process binds pods here) and
`kubectl scale`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from api import errors
from api.autoscaling import Scale
from api.codec import decode
from api.core import Binding, Pod
from api.policy import Eviction
from api.scheme import Resource, resource_of
from control.apiserver.http import bodies, responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.forms import Presenter, included
from control.apiserver.registry import applying, evicting, patching, reading, subresources
from control.apiserver.registry.codecs import Codec, Typed
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry
from control.resources.autoscaling.scale import ScaleRules
from control.resources.strategy import Strategy


class ScalesPresented:
    """How a Scale is shown in a Table: `kubectl get deployment x --subresource=scale`."""

    resource = Resource("autoscaling", "v1", "Scale", "scales", Scale, True, "scale")
    rules: Strategy[Any] = ScaleRules(resource)
    codec: Codec = Typed(Scale)


SCALES = ScalesPresented()


class SmallSubresources:
    """Handlers of subresources with a body type of their own."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def binding(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        return await self._bind(request, kind, request.target.name)

    async def bindings(self, request: ApiRequest) -> web.StreamResponse:
        """The same by its old path, where only the body names the pod."""
        return await self._bind(request, self._registry.kind(resource_of(Pod)), "")

    async def _bind(self, request: ApiRequest, kind: Kind[Any], name: str) -> web.StreamResponse:
        request.read_write_options()
        body = await bodies.read_typed(request, Binding)
        status = await subresources.bind(
            self._registry,
            kind,
            request.call,
            body,
            request.target.namespace,
            name or body.metadata.name,
        )
        return responses.json_response(responses.encode(status), code=201)

    async def eviction(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """Delete a pod if its disruption budget allows it."""
        request.read_write_options()
        body = decode.decode_body(
            await bodies.read(request),
            bodies.content_type(request),
            Eviction,
            request.call.field_validation,
            any_version=True,  # clients before 1.22 say policy/v1beta1 and mean the same
        )
        for text in body.warnings:
            request.call.warn(text)
        target = request.target
        status = await evicting.evict(
            self._registry, kind, request.call, body.obj, target.namespace, target.name
        )
        return responses.json_response(responses.encode(status), code=201)

    async def scale(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """Read, replace or patch how many replicas a workload wants."""
        target, form = request.target, request.form()
        if request.verb == "get":
            stored = await reading.get(
                self._registry, kind, namespace=target.namespace, name=target.name
            )
        else:
            request.read_write_options()
            stored = await self._change_scale(request, kind)
        shown = subresources.scale_of(kind, stored, wanted=request.verb == "get")
        presenter = Presenter(SCALES, form, included(request.query), self._registry.clock)
        body = await responses.as_media_type(
            presenter.one(responses.encode(shown)), form.media_type
        )
        return responses.json_response(body, content_type=form.media_type)

    async def _change_scale(self, request: ApiRequest, kind: Kind[Any]) -> Any:
        target = request.target
        if request.verb == "update":
            make = await self._replacement(request)
        else:
            body, sent_as = await bodies.read(request), bodies.content_type(request)
            if applying.is_apply(sent_as):
                version = self._registry.version(target.resource)
                return await applying.scale(
                    self._registry, version, request.call, body, target.namespace, target.name
                )
            request.refuse_force()
            apply = patching.applier(bodies.typed(Scale), request.call, body, sent_as)

            async def make(current: Scale) -> Scale:
                scale: Scale = apply(current)
                return scale

        return await subresources.scale(
            self._registry, kind, request.call, target.namespace, target.name, make
        )

    async def _replacement(self, request: ApiRequest) -> Callable[[Scale], Awaitable[Scale]]:
        wanted, name = await bodies.read_typed(request, Scale), request.target.name
        if wanted.metadata.name not in ("", name):
            raise errors.bad_request(
                f"the name of the object ({wanted.metadata.name}) does not match the name on the "
                f"URL ({name})"
            )

        async def make(current: Scale) -> Scale:
            return wanted

        return make
