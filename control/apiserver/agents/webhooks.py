"""HTTPS to webhooks: at a URL, or behind a Service of the cluster.

Serves step 1 of the pod's walk, when somebody outside has a say in it: conversion of custom
resources, admission. The other side must have a certificate by the configured CA (or, without one,
by the system's) for the URL's host, or for `SERVICE.NAMESPACE.svc`; redirects are not followed. A
Service is reached as `services/proxy` reaches it: by way of the agent of one of its pods, so the
API server need not be part of the pods' network.

One connection per call, closed with it; the answer has a size and a time that it may take.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from api.errors import ApiError
from base.errors import TemporaryError
from control.apiserver.agents.forwarding import Given
from control.apiserver.agents.proxied import Named
from control.apiserver.agents.proxies import Proxies

MAX_ANSWER = 16 * 1024 * 1024
_CONTEXTS = 32
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json, */*"}


class WebhookError(TemporaryError):
    """The webhook could not be asked, or gave no answer that counts."""


class Webhooks:
    """Asks webhooks; `config` is a `clientConfig` as the API has it."""

    def __init__(self) -> None:
        self._proxies: Proxies | None = None
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    def reach(self, proxies: Proxies) -> None:
        """Ask those behind Services, too, from now on.

        Later than the rest: the way to a Service is read from the registry, whose admission may ask
        webhooks.
        """
        self._proxies = proxies

    async def post(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        timeout: float,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of its answer. Raises WebhookError, worded to follow "failed: "."""
        url = address_of(config)
        if query:
            url = url.extend_query(query)
        shown = _shown(config, url)
        try:
            async with asyncio.timeout(timeout):
                return await self._post(config, url, body, shown)
        except TimeoutError:
            raise WebhookError(f'Post "{shown}": context deadline exceeded') from None
        except ApiError as error:
            raise WebhookError(f'Post "{shown}": {error.message}') from None
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            raise WebhookError(f'Post "{shown}": {error}') from None

    async def _post(self, config: Mapping[str, Any], url: URL, body: bytes, shown: str) -> bytes:
        context = await self._context(str(config.get("caBundle") or ""))
        service = config.get("service")
        if not service:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                return await _ask(session, url, body, context, shown)
        if self._proxies is None:
            raise WebhookError(f'Post "{shown}": Services are not reached yet')
        named = Named("https", service["name"], str(service.get("port") or 443))
        destination = await self._proxies.to_service(service["namespace"], named)
        _, writer = await destination.dial()
        try:
            await writer.start_tls(context, server_hostname=url.host)
            async with aiohttp.ClientSession(
                connector=Given(writer), cookie_jar=aiohttp.DummyCookieJar()
            ) as session:
                # The connection is TLS already: to the session it is a plain one.
                plain = url.with_scheme("http").with_port(url.port)
                return await _ask(session, plain, body, None, shown)
        finally:
            writer.transport.abort()

    async def _context(self, bundle: str) -> ssl.SSLContext:
        """What vouches for a webhook; made once for each bundle.

        In a thread: reading the system's certificates takes a tenth of a second.
        """
        context = self._contexts.pop(bundle, None)
        if context is None:
            context = await asyncio.to_thread(_trusting, bundle)
        self._contexts[bundle] = context
        if len(self._contexts) > _CONTEXTS:
            self._contexts.popitem(last=False)
        return context


def _trusting(bundle: str) -> ssl.SSLContext:
    if not bundle:
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())


def address_of(config: Mapping[str, Any]) -> URL:
    """The URL of a webhook; that of a Service has the name its certificate must be for."""
    service = config.get("service")
    if not service:
        return URL(str(config.get("url") or ""))
    path = "/" + str(service.get("path") or "").lstrip("/")
    host = f"{service['name']}.{service['namespace']}.svc"
    return URL(f"https://{host}:{service.get('port') or 443}{path}")


def _shown(config: Mapping[str, Any], url: URL) -> str:
    """As Kubernetes prints it: of a Service with the port, whichever it is."""
    if not config.get("service"):
        return str(url)
    return f"https://{url.host}:{url.port}{url.raw_path_qs}"


async def _ask(
    session: aiohttp.ClientSession,
    url: URL,
    body: bytes,
    context: ssl.SSLContext | None,
    shown: str,
) -> bytes:
    async with session.post(
        url,
        data=body,
        headers=_HEADERS,
        allow_redirects=False,
        ssl=context if context is not None else True,
    ) as answer:
        received = await answer.content.read(MAX_ANSWER + 1)
        while not answer.content.at_eof() and len(received) <= MAX_ANSWER:
            received += await answer.content.read(MAX_ANSWER + 1 - len(received))
        if answer.status not in (200, 201):
            text = received[:200].decode(errors="replace").strip()
            raise WebhookError(f'Post "{shown}": status {answer.status} ({text})')
        if len(received) > MAX_ANSWER:
            raise WebhookError(f'Post "{shown}": the answer has more than {MAX_ANSWER} bytes')
        return received
