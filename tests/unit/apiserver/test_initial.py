"""The first objects: made once, kept, and following the machine."""

from __future__ import annotations

import asyncio
from typing import Any

from api import errors
from api.core import Endpoints, Namespace, Service
from api.discovery import EndpointSlice
from base.clock import FakeClock
from control import initial
from control.apiserver.local import LocalClient
from control.settings import ControlSettings


async def test_they_are_made_once(client: LocalClient, settings: ControlSettings) -> None:
    await initial.ensure(client, settings, "192.0.2.7")
    first = await client.get(Service, "kubernetes", "default")
    await initial.ensure(client, settings, "192.0.2.7")
    assert await client.get(Service, "kubernetes", "default") == first
    assert first.spec.cluster_ip == "10.96.0.1"
    assert (await client.get(Service, "kube-dns", "kube-system")).spec.cluster_ip == "10.96.0.10"


async def test_endpoints_follow_the_machine(client: LocalClient, settings: ControlSettings) -> None:
    await initial.ensure(client, settings, "192.0.2.7")
    await initial.ensure(client, settings, "192.0.2.8")
    subset = (await client.get(Endpoints, "kubernetes", "default")).subsets[0]
    assert [one.ip for one in subset.addresses] == ["192.0.2.8"]
    found = await client.get(EndpointSlice, "kubernetes", "default")
    assert found.endpoints[0].addresses == ["192.0.2.8"]


async def test_what_was_deleted_comes_back(
    client: LocalClient, settings: ControlSettings, clock: FakeClock
) -> None:
    await initial.ensure(client, settings, "192.0.2.7")
    await client.delete(Service, "kube-dns", "kube-system")
    await client.delete(Namespace, "kube-node-lease")  # stays Terminating: nobody finalizes here
    keeping = asyncio.ensure_future(initial.keep(client, settings, "192.0.2.7", clock))
    await clock.run_for(initial.RESYNC_SECONDS)
    assert (await client.get(Service, "kube-dns", "kube-system")).spec.cluster_ip == "10.96.0.10"
    assert not keeping.done()
    keeping.cancel()


class Refusing:
    """An API that refuses everything, as a webhook for everything makes it."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self.refuses = True

    async def create(self, obj: Any) -> Any:
        if self.refuses:
            raise errors.internal("failed calling webhook")
        return await self._client.create(obj)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


async def test_a_refusal_does_not_stop_the_server_and_is_soon_forgotten(
    client: LocalClient, settings: ControlSettings, clock: FakeClock
) -> None:
    api: Any = Refusing(client)
    assert not await initial.begin(api, settings, "192.0.2.7")
    keeping = asyncio.ensure_future(initial.keep(api, settings, "192.0.2.7", clock, made=False))
    api.refuses = False
    await clock.run_for(initial.RETRY_SECONDS)
    assert (await client.get(Service, "kube-dns", "kube-system")).spec.cluster_ip == "10.96.0.10"
    keeping.cancel()
