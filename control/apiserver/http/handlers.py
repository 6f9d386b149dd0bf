"""The verbs of a resource over HTTP: read the request, call the registry, present the answer.

Serves step 1 of the pod's walk, one small function per verb. Subresources that are more than an
update of a part (`binding`, `scale`, `log`, `exec`) have handlers of their own in a table. What is not
stored goes to another handler altogether (`reviews`, `components`, `reports`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from api import errors
from api.meta import DeleteOptions, ListOptions, Preconditions, StatusDetails
from api.scheme import Resource
from control.apiserver.http import bodies, responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.forms import Presenter, included
from control.apiserver.http.negotiation import JSON
from control.apiserver.http.watches import WatchStreams
from control.apiserver.registry import applying, creating, deleting, reading, updating
from control.apiserver.registry.call import Removed, Stored
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.patching import patcher
from control.apiserver.registry.reading import Page
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.versions import Version

Handler = Callable[[ApiRequest, Kind[Any]], Awaitable[web.StreamResponse]]
"""Of a subresource: it gets the kind as it is stored."""
Verb = Callable[[ApiRequest, Version], Awaitable[web.StreamResponse]]
Subresources = dict[str, Handler]
Unstored = Mapping[tuple[str, ...], Callable[[ApiRequest], Awaitable[web.StreamResponse]]]
"""Handlers of what is not stored, by the verbs that it has."""

# Kinds whose delete answers with the object that was deleted; the others answer with a Status.
_RETURN_DELETED = frozenset({"Pod", "Service", "ServiceAccount"})
_STREAMED_FROM = 1024 * 1024
"""Bytes from which a list is sent while it is made."""

_DELETED_AT_ONCE = 16
"""Deletes of a collection that are under way together: the store commits them as one."""

_PARTS = frozenset({"status", "approval", "finalize", "ephemeralcontainers", "resize"})


class ResourceHandlers:
    """The handler of every request for a resource."""

    def __init__(
        self,
        registry: Registry,
        watches: WatchStreams,
        subresources: Subresources,
        unstored: Unstored,
    ) -> None:
        self._registry = registry
        self._watches = watches
        self._subresources = subresources
        self._unstored = unstored
        self._verbs: dict[str, Verb] = {
            "get": self.get,
            "list": self.list,
            "watch": self.watch,
            "create": self.create,
            "update": self.update,
            "patch": self.patch,
            "delete": self.delete,
            "deletecollection": self.delete_collection,
        }

    async def __call__(self, request: ApiRequest) -> web.StreamResponse:
        target = request.target
        if target.resource.warning:
            request.call.warn(target.resource.warning)
        if not target.resource.stored:
            return await self._unstored[target.resource.verbs](request)
        version = request.call.version = self._registry.version(target.resource)
        if target.subresource and target.subresource not in _PARTS:
            handler = self._subresources.get(target.subresource)
            if handler is None:
                raise errors.path_not_found()
            return await handler(request, version.kind)
        return await self._verbs[request.verb](request, version)

    async def get(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        found = await reading.get(
            self._registry,
            version.kind,
            namespace=request.target.namespace,
            name=request.target.name,
            resource_version=request.query.text("resourceVersion"),
        )
        return await self._present(request, version, found)

    async def list(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        form = request.form()
        page = await reading.list_(
            self._registry,
            version.kind,
            list_options(request, version),
            namespace=request.target.namespace,
        )
        page, presenter = await _as_served(page, version), self._presenter(request, version)
        if form.media_type == JSON and page.size > _STREAMED_FROM:
            return responses.Pieces(presenter.pieces(page), JSON)
        body = await responses.as_media_type(await presenter.many(page), form.media_type)
        return responses.json_response(body, content_type=form.media_type)

    async def watch(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        return await self._watches.serve(
            request, version, list_options(request, version), self._presenter(request, version)
        )

    async def create(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        request.read_write_options()
        request.form()
        sent = await bodies.read_object(request, version.codec)
        obj = await version.from_served(sent)
        stored = await creating.create(
            self._registry, version.kind, request.call, obj, namespace=request.target.namespace
        )
        return await self._present(request, version, stored)

    async def update(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        request.read_write_options()
        request.form()
        sent = await bodies.read_object(request, version.codec)
        obj = await version.from_served(sent)
        target = request.target
        stored = await updating.update(
            self._registry,
            version.kind,
            request.call,
            obj,
            namespace=target.namespace,
            name=target.name,
            subresource=target.subresource,
        )
        return await self._present(request, version, stored)

    async def patch(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        request.read_write_options()
        request.form()
        target, content_type = request.target, bodies.content_type(request)
        body = await bodies.read(request)
        if applying.is_apply(content_type):
            applied = await applying.apply(
                self._registry,
                version,
                request.call,
                body,
                namespace=target.namespace,
                name=target.name,
                subresource=target.subresource,
            )
            return await self._present(request, version, applied)
        request.refuse_force()
        change = patcher(version, request.call, body, content_type)
        stored = await updating.change(
            self._registry,
            version.kind,
            request.call,
            target.namespace,
            target.name,
            change,
            subresource=target.subresource,
        )
        return await self._present(request, version, stored)

    async def delete(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        request.read_write_options()
        target, form = request.target, request.form()
        options = await bodies.read_delete_options(request)
        removed = await deleting.delete(
            self._registry,
            version.kind,
            request.call,
            options,
            namespace=target.namespace,
            name=target.name,
        )
        if removed.gone and version.resource.kind not in _RETURN_DELETED:
            status = _deleted(version.resource, target.name, removed)
            body = await responses.as_media_type(status, form.media_type)
            return responses.json_response(body, content_type=form.media_type)
        return await self._present(request, version, Stored(removed.body, 0))

    async def delete_collection(self, request: ApiRequest, version: Version) -> web.StreamResponse:
        """Delete what a list with the same parameters shows; answers with what that was."""
        request.read_write_options()
        form = request.form()
        options = await bodies.read_delete_options(request)
        namespace = request.target.namespace
        page = await reading.list_(
            self._registry, version.kind, list_options(request, version), namespace=namespace
        )
        removed: list[bytes] = []
        for start in range(0, len(page.items), _DELETED_AT_ONCE):
            some = page.items[start : start + _DELETED_AT_ONCE]
            ended = await asyncio.gather(
                *(self._delete_listed(request, version, options, body) for body in some),
                return_exceptions=True,  # whatever one of them meets, none is left unfinished
            )
            for one in ended:
                if isinstance(one, BaseException):
                    raise one
                if one is not None:
                    removed.append(one)
        answer = Page(removed, page.revision, page.continue_, page.remaining)
        served = await _as_served(answer, version)
        body = await self._presenter(request, version).many(served)
        body = await responses.as_media_type(body, form.media_type)
        return responses.json_response(body, content_type=form.media_type)

    async def _delete_listed(
        self, request: ApiRequest, version: Version, options: DeleteOptions, body: bytes
    ) -> bytes | None:
        """Delete one that a list has shown; None if it is gone, or another by now."""
        metadata = version.kind.decode(body).metadata
        wanted = options.preconditions or Preconditions()
        preconditions = msgspec.structs.replace(wanted, uid=wanted.uid or metadata.uid)
        try:
            one = await deleting.delete(
                self._registry,
                version.kind,
                request.call,
                msgspec.structs.replace(options, preconditions=preconditions),
                namespace=metadata.namespace,
                name=metadata.name,
            )
        except errors.ApiError as error:
            another = errors.is_conflict(error) and options.preconditions is None
            if errors.is_not_found(error) or another:
                return None
            raise
        return one.body

    def _presenter(self, request: ApiRequest, version: Version) -> Presenter:
        return Presenter(version, request.form(), included(request.query), self._registry.clock)

    async def _present(self, request: ApiRequest, version: Version, stored: Stored) -> web.Response:
        form = request.form()
        body = await version.one(stored.body)
        if not form.plain:
            body = self._presenter(request, version).one(body)
        body = await responses.as_media_type(body, form.media_type)
        code = 200 if stored.existed else 201
        return responses.json_response(body, code=code, content_type=form.media_type)


async def _as_served(page: Page, version: Version) -> Page:
    if version.conversion is None:
        return page
    items = await version.to_served(page.items)
    return Page(items, page.revision, page.continue_, page.remaining)


def list_options(request: ApiRequest, version: Version) -> ListOptions:
    """The query of a list or a watch."""
    query = request.query
    initial = query.flag("sendInitialEvents") if query.has("sendInitialEvents") else None
    field_selector = version.stored_selector(query.text("fieldSelector"))
    if request.target.name:  # a watch of one object, in the old spelling
        named = f"metadata.name={request.target.name}"
        field_selector = f"{named},{field_selector}" if field_selector else named
    return ListOptions(
        label_selector=query.text("labelSelector"),
        field_selector=field_selector,
        allow_watch_bookmarks=query.flag("allowWatchBookmarks"),
        resource_version=query.text("resourceVersion"),
        resource_version_match=query.text("resourceVersionMatch"),
        timeout_seconds=query.seconds("timeoutSeconds"),
        limit=query.integer("limit") or 0,
        continue_=query.text("continue"),
        send_initial_events=initial,
    )


def _deleted(resource: Resource, name: str, removed: Removed) -> bytes:
    return responses.success_status(
        StatusDetails(name=name, group=resource.group, kind=resource.plural, uid=removed.uid)
    )
