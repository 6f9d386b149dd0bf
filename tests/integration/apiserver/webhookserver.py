"""A real HTTPS server that answers AdmissionReviews as a test wants it to."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from base import pki
from base.clock import SystemClock

Answer = Callable[[dict[str, Any]], Any]
"""From the request of a review to the response, or to anything else that is to be sent."""

GROUP = "/apis/admissionregistration.k8s.io/v1"
MUTATING, VALIDATING = "Mutating", "Validating"


def allow(request: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def deny(why: str, **status: Any) -> Answer:
    return lambda request: {"allowed": False, "status": {"message": why, **status}}


def patching(*steps: dict[str, Any]) -> Answer:
    patch = base64.b64encode(json.dumps(steps).encode()).decode()
    return lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


class WebhookServer:
    """One path per webhook; `asked` has the requests of each."""

    def __init__(self, *names: str) -> None:
        clock = SystemClock()
        self.ca = pki.create_ca("webhook", days=1, clock=clock)
        self._pair = pki.issue(
            self.ca,
            common_name="webhook",
            dns_names=list(names),
            ip_addresses=["127.0.0.1"],
            server=True,
            clock=clock,
        )
        self.port = 0
        self.answers: dict[str, Answer] = {}
        self.asked: dict[str, list[dict[str, Any]]] = {}
        self.queries: list[Mapping[str, str]] = []
        self.delay = 0.0
        self.meanwhile: Callable[[dict[str, Any]], Any] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def bundle(self) -> str:
        return base64.b64encode(self.ca.cert_pem).decode()

    async def start(self) -> None:
        runner = await self._serving()
        context = pki.server_context(self._pair, ca_pem=self.ca.cert_pem)
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context).start()
        self.port = runner.addresses[0][1]

    async def start_on(self, listening: socket.socket) -> None:
        """On a socket that may be in another network."""
        runner = await self._serving()
        context = pki.server_context(self._pair, ca_pem=self.ca.cert_pem)
        await web.SockSite(runner, listening, ssl_context=context).start()

    async def _serving(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/{name}", self._review)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        return self._runner

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def client_config(self, path: str) -> dict[str, Any]:
        return {"url": f"https://127.0.0.1:{self.port}/{path}", "caBundle": self.bundle}

    def webhook(self, path: str, *resources: str, **more: Any) -> dict[str, Any]:
        """An entry of a configuration: all operations on these resources, of any group."""
        rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"]}
        return {
            "name": f"{path}.hooks.example.com",
            "clientConfig": self.client_config(path),
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "rules": [{**rule, "resources": list(resources)}],
            **more,
        }

    def last(self, path: str) -> dict[str, Any]:
        return self.asked[path][-1]

    async def _review(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        review = await request.json()
        self.asked.setdefault(name, []).append(review["request"])
        self.queries.append(dict(request.query))
        if self.meanwhile is not None:
            await self.meanwhile(review["request"])
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = self.answers.get(name, allow)(review["request"])
        if isinstance(answer, web.Response):
            return answer
        response = {"uid": review["request"]["uid"], **answer}
        return web.json_response(
            {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
        )


def configuration(kind: str, name: str, *webhooks: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(webhooks),
    }


def path_of(kind: str, name: str = "") -> str:
    path = f"{GROUP}/{kind.lower()}webhookconfigurations"
    return f"{path}/{name}" if name else path
