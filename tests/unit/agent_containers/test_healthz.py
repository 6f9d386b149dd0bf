"""/healthz on a port of its own."""

from __future__ import annotations

import asyncio
import logging
import socket

import aiohttp
import pytest

from agent.server import healthz
from base.clock import FakeClock
from base.tasks import TaskGuard
from tests.ports import free_port

HOST = "127.0.0.1"


async def answer(port: int, path: str = "/healthz") -> tuple[int, str]:
    """What is answered, as soon as somebody listens."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://{HOST}:{port}{path}") as found:
                    return found.status, await found.text()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)


async def test_nobody_needs_a_certificate_and_nothing_else_is_served() -> None:
    port, clock = free_port(), FakeClock()
    async with TaskGuard("test") as guard:
        guard.start(healthz.serve(host=HOST, port=port, clock=clock), name="healthz")
        for path in ("/healthz", "/healthz/ping", "/healthz/syncloop"):
            assert await answer(port, path) == (200, "ok")
        for path in ("/", "/pods", "/metrics", "/healthz/other"):
            assert (await answer(port, path))[0] == 404
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((HOST, port))


async def test_a_port_of_somebody_else_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    port, clock = free_port(), FakeClock()
    async with TaskGuard("test") as guard:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((HOST, port))
            other.listen()
            guard.start(healthz.serve(host=HOST, port=port, clock=clock), name="healthz")
            async with asyncio.timeout(30):
                while not caplog.messages:
                    await asyncio.sleep(0.01)
            await clock.run_for(60)
            (said,) = caplog.messages
            assert said.startswith(f"/healthz is not served on {HOST}:{port}: ")
            assert "--healthz-port" in said
        answered = asyncio.create_task(answer(port))
        while not answered.done():
            await clock.run_for(healthz.RETRY)
            await asyncio.sleep(0.01)
        assert await answered == (200, "ok")
