"""Whether the agent lives: `/healthz` (after step 5 of the pod's walk).

Whoever is answered knows that the agent's one loop goes round, which is what the kubelet's checks are about.
Beside the server behind TLS a port of the loopback answers whoever is on the machine, as a kubelet's does
(`healthzPort`). Nothing depends on it: where that port is somebody else's, the agent works all the same, and
tries again.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from base.clock import Clock

log = logging.getLogger(__name__)

RETRY = 5.0


def routes() -> list[web.RouteDef]:
    return [web.get("/healthz", _ok), web.get("/healthz/{check:ping|log|syncloop}", _ok)]


async def serve(*, host: str, port: int, clock: Clock) -> None:
    """Answer on a port of its own, until cancelled."""
    app = web.Application()
    app.add_routes(routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    told = ""
    try:
        while True:
            site = web.TCPSite(runner, host, port)
            try:
                await site.start()
            except OSError as error:
                await site.stop()
                words = f"/healthz is not served on {host}:{port}: {error.strerror}"
                if words != told:
                    log.warning("%s (--healthz-port chooses another port, or 0 for none)", words)
                told = words
                await clock.sleep(RETRY)
            else:
                await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _ok(request: web.Request) -> web.Response:
    return web.Response(text="ok")
