"""What a node's network is told, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from agent.node.network import GATHER, NetworkFeed
from api.core import Node, Service
from api.discovery import EndpointSlice
from api.informer import Informer
from api.interface import Listed, WatchEvent
from base.clock import FakeClock
from base.tasks import TaskGuard
from tests.unit.scheduler.making import node

ZONE = "topology.kubernetes.io/zone"


class Api:
    """Two nodes, of which one may change."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Node] = asyncio.Queue()

    async def list(self, type_: type[Any], *_: Any, **__: Any) -> Listed[Any]:
        nodes = [node("own", labels={ZONE: "west"}), node("other", labels={ZONE: "west"})]
        for one in nodes:
            one.metadata.resource_version = "1"
        return Listed(nodes if type_ is Node else [], "1")

    async def watch(self, type_: type[Any], *_: Any, **__: Any) -> AsyncIterator[WatchEvent[Any]]:
        if type_ is not Node:
            await asyncio.Event().wait()
        while True:
            changed = await self.changes.get()
            yield WatchEvent("MODIFIED", changed, changed.metadata.resource_version)

    def move(self, name: str, zone: str, version: str) -> None:
        moved = node(name, labels={ZONE: zone})
        moved.metadata.resource_version = version
        self.changes.put_nowait(moved)


class Network:
    def __init__(self) -> None:
        self.zones: list[str] = []

    async def set_peers(self, peers: Iterable[Any]) -> None:
        pass

    async def set_services(self, services: Any, slices: Any, *, zone: str) -> None:
        self.zones.append(zone)


async def test_services_are_seen_anew_from_another_zone() -> None:
    api, network, clock = Api(), Network(), FakeClock()
    async with TaskGuard("test") as guard:
        nodes, services, slices = (
            Informer[Any](api, type_, clock=clock)  # type: ignore[arg-type]
            for type_ in (Node, Service, EndpointSlice)
        )
        feed = NetworkFeed(
            network,  # type: ignore[arg-type]
            own="own",
            nodes=nodes,
            services=services,
            slices=slices,
            clock=clock,
            guard=guard,
        )
        feed.start()
        for informer in (nodes, services, slices):
            guard.start(informer.run(), name=repr(informer))
            await informer.synced()
        await clock.run_for(10 * GATHER)
        assert network.zones[-1:] == ["west"]
        told = len(network.zones)
        api.move("other", "east", "2")
        await clock.run_for(10 * GATHER)
        assert len(network.zones) == told
        api.move("own", "east", "3")
        await clock.run_for(10 * GATHER)
        assert network.zones[told:] == ["east"]
