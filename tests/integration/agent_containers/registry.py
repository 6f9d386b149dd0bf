"""A registry with one image, in an engine's network namespace, where the engine may use plain HTTP.

Only what a pull asks for: the version check, manifests and blobs; optionally a name and a password.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from agent.containers import pause
from netplugin import namespaces

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Registry:
    """Serves `tiny:1` and counts how often its tag was resolved."""

    password: str = ""
    address: str = ""
    pulls: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Blobs are sent once it is set."""

    def __post_init__(self) -> None:
        layer = pause.layer("x86_64")
        packed = gzip.compress(layer, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": ["/pause"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
            }
        ).encode()
        self.blobs = {digest(packed): packed, digest(config): config}

        def described(kind: str, data: bytes) -> dict[str, object]:
            return {
                "mediaType": f"application/vnd.docker.{kind}",
                "size": len(data),
                "digest": digest(data),
            }

        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described("container.image.v1+json", config),
                "layers": [described("image.rootfs.diff.tar.gzip", packed)],
            }
        ).encode()
        self.gate.set()

    async def version(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response({})

    async def manifests(self, request: web.Request) -> web.Response:
        self._check(request)
        if request.match_info["reference"] not in ("1", digest(self.manifest)):
            error = {"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}
            return web.json_response({"errors": [error]}, status=404)
        self.pulls += request.match_info["reference"] == "1" and request.method == "HEAD"
        headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": digest(self.manifest)}
        return web.Response(body=self.manifest, headers=headers)

    async def blob(self, request: web.Request) -> web.Response:
        self._check(request)
        await self.gate.wait()
        return web.Response(body=self.blobs[request.match_info["digest"]])

    def _check(self, request: web.Request) -> None:
        expected = base64.b64encode(f"me:{self.password}".encode()).decode()
        if self.password and request.headers.get("Authorization") != f"Basic {expected}":
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="test"'})


@asynccontextmanager
async def running(registry: Registry, namespace: str) -> AsyncIterator[Registry]:
    """Listen on the loopback of the namespace; the event loop itself stays where it is."""

    def listen() -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    listener = namespaces.run_inside(namespace, listen)
    app = web.Application()
    app.add_routes(
        [
            web.get("/v2/", registry.version),
            web.get("/v2/{name}/manifests/{reference}", registry.manifests),
            web.get("/v2/{name}/blobs/{digest}", registry.blob),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    registry.address = f"127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield registry
    finally:
        await runner.cleanup()
