"""What the API server does with the answers of an agent, which may be anybody's who has the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from api.codec import decode
from api.core import Node
from api.errors import ApiError
from base import pki
from base.clock import SystemClock
from control.apiserver.agents import agents as module
from control.apiserver.agents.agents import Agents, body_of
from control.apiserver.agents.location import Agent
from control.apiserver.agents.usage import UsageCollector

CLOCK = SystemClock()
CA = pki.create_ca("test", clock=CLOCK)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[tuple[Agents, Agent]]:
    """The agent of a node whose owner has his own ideas."""
    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    pair = pki.issue(
        CA, common_name="system:node:n", ip_addresses=["127.0.0.1"], server=True, clock=CLOCK
    )
    own = pki.issue(CA, common_name="apiserver", client=True, clock=CLOCK)
    tls = pki.server_context(pair, ca_pem=CA.cert_pem, require_client_certificate=True)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    reader: Any = None
    agents = Agents(reader, ca_pem=CA.cert_pem, pair=own)
    try:
        yield agents, Agent("n", "127.0.0.1", runner.addresses[0][1])
    finally:
        await agents.close()
        await runner.cleanup()


async def test_an_agent_cannot_send_the_server_elsewhere() -> None:
    """With our certificate we may read more, and elsewhere, than the client who asks."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/containerLogs/other/pod/c"})

    async with answering(answer) as (agents, agent):
        found = await agents.get(agent, "/containerLogs/ns/pod/c", {})
        assert found.status == 302
    assert seen == ["/containerLogs/ns/pod/c"]


async def test_an_answer_without_end_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 1000)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["size"]))

    async with answering(answer) as (agents, agent):
        async with await agents.get(agent, "/", {"size": "1000"}) as found:
            assert await body_of(found) == b"x" * 1000
        async with await agents.get(agent, "/", {"size": "1001"}) as found:
            with pytest.raises(ApiError, match="too large"):
                await body_of(found)


@pytest.mark.parametrize(
    "said", [b"no JSON", b"[]", b"{}", b'{"node": 1}', b'{"node": {"cpu": 1}, "pods": []}',
             b'{"node":{"cpu":{"usageCoreNanoSeconds":1e400},"memory":{"workingSetBytes":1}}}',
             b'{"node":{"cpu":{"usageCoreNanoSeconds":-1},"memory":{"workingSetBytes":1}},"pods":[]}'],
)  # fmt: skip
async def test_nonsense_of_one_agent_is_left_out(said: bytes) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=said)

    async with answering(answer) as (agents, agent):
        node = decode.convert(
            {
                "metadata": {"name": "n"},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": agent.host}],
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}},
                },
            },
            Node,
        ).obj
        nodes: Any = SimpleNamespace(list=lambda type_: [node])
        collector = UsageCollector(agents, nodes, CLOCK)
        assert await collector.by_node() == {}
        assert asked
