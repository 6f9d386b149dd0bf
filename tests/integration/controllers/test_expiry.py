"""What is swept away in time, and what a sweep must leave alone, over the real store."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from api import timestamps
from api.coordination import Lease, LeaseSpec
from api.core import Event, Node, ObjectReference
from api.errors import is_not_found
from api.meta import ObjectMeta, OwnerReference
from base.errors import PodwrightError
from control.controllers.lifecycle import expiry
from control.controllers.lifecycle.expiry import ExpiryController
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.scheduler.making import node


def sweeper(plane: Plane) -> ExpiryController:
    return next(c for c in plane.manager.controllers if isinstance(c, ExpiryController))


async def happened(plane: Plane, name: str) -> Event:
    when = timestamps.now_string(plane.clock)
    return await plane.client.create(
        Event(
            metadata=ObjectMeta(name=name, namespace="default"),
            involved_object=ObjectReference(kind="Pod", namespace="default", name="p"),
            first_timestamp=when,
            last_timestamp=when,
            count=1,
            reporting_component="test",
            reporting_instance="",
        )
    )


async def names(plane: Plane) -> set[str]:
    return {event.metadata.name for event in (await plane.client.list(Event, "default")).items}


async def test_events_go_an_hour_after_they_were_told_last(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAGE", 2)
    for name in ("a", "b", "c", "again"):
        await happened(plane, name)
    plane.clock.ahead = timedelta(minutes=30)
    later = {"count": 2, "lastTimestamp": timestamps.now_string(plane.clock)}
    await plane.client.patch(Event, "again", "default", later)
    await sweeper(plane)._sweep()
    assert {"a", "b", "c", "again"} <= await names(plane)
    plane.clock.ahead = timedelta(minutes=61)
    await happened(plane, "new")
    await sweeper(plane)._sweep()
    left = await names(plane)
    assert {"again", "new"} <= left
    assert not {"a", "b", "c"} & left


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, True), (600.0, False), (7200.0, True)])
async def test_how_long_events_are_kept_is_said_at_the_start(
    plane: Plane, seconds: float, kept: bool
) -> None:
    context = dataclasses.replace(plane.manager._context, event_ttl=seconds)
    controller = ExpiryController(context)
    await happened(plane, "old")
    plane.clock.ahead = timedelta(minutes=61)
    await controller._sweep()
    assert ("old" in await names(plane)) is kept


async def test_an_event_that_is_told_again_this_moment_stays(plane: Plane) -> None:
    seen = await happened(plane, "again")
    await plane.client.patch(Event, "again", "default", {"count": 2})
    await expiry.delete_quietly(plane.client, seen)
    assert "again" in await names(plane)
    await expiry.delete_quietly(plane.client, await plane.client.get(Event, "again", "default"))
    await expiry.delete_quietly(plane.client, seen)
    assert "again" not in await names(plane)


async def test_the_lease_of_a_node_goes_with_it(plane: Plane) -> None:
    """It names the node as its owner, as agents write it."""
    made = await plane.client.create(node("n1"))
    owner = OwnerReference(api_version="v1", kind="Node", name="n1", uid=made.metadata.uid)
    metadata = ObjectMeta(name="n1", namespace="kube-node-lease", owner_references=[owner])
    await plane.client.create(Lease(metadata=metadata, spec=LeaseSpec(holder_identity="n1")))
    await plane.client.delete(Node, "n1")

    async def gone() -> bool:
        try:
            await plane.client.get(Lease, "n1", "kube-node-lease")
        except PodwrightError as error:
            return is_not_found(error)
        return False

    await eventually(gone)
