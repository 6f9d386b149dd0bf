"""Statuses on their way to the API: in order, coalesced, the newest always arriving."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.pod.pusher import StatusPusher, difference
from api.core import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from base.clock import FakeClock
from base.tasks import TaskGuard
from tests.unit.agent.builders import make_pod
from tests.unit.agent.fakeapi import FakeApi


def container_status(running: bool = False) -> ContainerStatus:
    state = (
        ContainerState(running=ContainerStateRunning())
        if running
        else ContainerState(waiting=ContainerStateWaiting(reason="ContainerCreating"))
    )
    return ContainerStatus(
        name="web", state=state, ready=running, restart_count=0, image="a", image_id=""
    )


CREATING = PodStatus(phase="Pending", container_statuses=[container_status()])
RUNNING = PodStatus(phase="Running", container_statuses=[container_status(True)])


# The difference.


def test_only_what_changed_is_sent() -> None:
    before = PodStatus(phase="Pending", host_ip="1.1.1.1", qos_class="BestEffort")
    after = PodStatus(phase="Running", host_ip="1.1.1.1", qos_class="BestEffort")
    assert difference(before, after) == {"phase": "Running"}
    assert difference(after, after) == {}


def test_what_is_gone_is_sent_as_null() -> None:
    assert difference(PodStatus(pod_ip="1.1.1.1", reason="x"), PodStatus()) == {
        "podIP": None,
        "reason": None,
    }


def test_lists_that_would_be_merged_are_replaced() -> None:
    before = PodStatus(pod_ips=[PodIP(ip="10.0.0.1")])
    after = PodStatus(pod_ips=[PodIP(ip="10.0.0.2")])
    assert difference(before, after)["podIPs"] == [{"$patch": "replace"}, {"ip": "10.0.0.2"}]
    assert difference(PodStatus(), after)["podIPs"] == [{"ip": "10.0.0.2"}]


@pytest.mark.parametrize("sort", ["init_container", "container", "ephemeral_container"])
def test_statuses_of_every_sort_of_container_are_sent(sort: str) -> None:
    after = PodStatus(**{f"{sort}_statuses": [container_status(True)]})
    (sent,) = difference(PodStatus(), after).values()
    assert sent[0]["name"] == "web"


def test_conditions_one_by_one_with_nulls() -> None:
    before = PodStatus(
        conditions=[
            PodCondition(type="Ready", status="False", reason="R", message="M"),
            PodCondition(type="Initialized", status="True"),
            PodCondition(type="example.org/gate", status="True"),
        ]
    )
    after = PodStatus(
        conditions=[
            PodCondition(type="Ready", status="True"),
            PodCondition(type="Initialized", status="True"),
        ]
    )
    assert difference(before, after) == {
        "conditions": [{"type": "Ready", "status": "True", "reason": None, "message": None}]
    }


# Sending.


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi()
        self.guard = TaskGuard("test")
        self.pusher = StatusPusher(self.api, self.clock, self.guard)
        self.pod = self.api.put(make_pod())

    def patches(self) -> list[dict[str, object]]:
        return [body["status"] for body in self.api.bodies]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.guard.close()


async def test_a_small_change_waits_for_company(world: World) -> None:
    world.pusher.submit(world.pod, CREATING)
    await world.clock.run_for(0.1)
    assert world.patches() == []
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(0)
    assert len(world.patches()) == 1
    assert world.api.pod().status.phase == "Running"


async def test_but_not_for_long(world: World) -> None:
    world.pusher.submit(world.pod, CREATING)
    await world.clock.run_for(0.3)
    assert world.api.pod().status.phase == "Pending"


async def test_the_newest_wins_while_the_api_is_away(world: World) -> None:
    world.api.down = True
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(5)
    for number in range(5):
        world.pusher.submit(world.pod, PodStatus(phase="Running", message=str(number)))
        await world.clock.run_for(1)
    world.api.down = False
    await world.clock.run_for(15)
    assert world.api.pod().status.message == "4"
    sent = [c for c in world.api.bodies if "message" in c["status"]]
    assert world.patches()[-1]["message"] == "4" and sent


async def test_it_tries_for_ever(world: World) -> None:
    world.api.down = True
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(3600)
    world.api.down = False
    await world.clock.run_for(11)
    assert world.api.pod().status.phase == "Running"


async def test_a_pod_that_is_gone_ends_the_matter(world: World) -> None:
    world.api.remove(Pod, "pod", "ns")
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(60)
    assert len([c for c in world.api.calls if c[0] == "patch"]) == 1
    world.pusher.submit(world.pod, CREATING)
    await world.clock.run_for(60)
    assert len([c for c in world.api.calls if c[0] == "patch"]) == 1


async def test_a_namesake_is_never_written_to(world: World) -> None:
    twin = make_pod()
    twin.metadata.uid = "another"
    world.api.put(twin)
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(60)
    assert world.api.pod().status.phase == ""


async def test_flush_waits_until_all_is_told(world: World) -> None:
    world.pusher.submit(world.pod, CREATING)
    await world.pusher.flush(world.pod.metadata.uid)
    assert world.api.pod().status.phase == "Pending"
    await world.pusher.flush("nobody")


async def test_a_change_by_others_is_put_right_once(world: World) -> None:
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(1)
    changed = world.api.put(
        Pod(metadata=world.api.pod().metadata, spec=world.pod.spec, status=CREATING)
    )
    world.pusher.heard(changed)
    await world.clock.run_for(1)
    assert world.api.pod().status.phase == "Running"
    count = len(world.patches())
    world.pusher.heard(world.api.pod())
    world.pusher.heard(changed)  # an old version that arrives late
    await world.clock.run_for(5)
    assert len(world.patches()) == count


async def test_forgetting_stops_a_retry(world: World) -> None:
    world.api.down = True
    world.pusher.submit(world.pod, RUNNING)
    await world.clock.run_for(5)
    world.pusher.forget(world.pod.metadata.uid)
    calls = len(world.api.calls)
    await world.clock.run_for(60)
    assert len(world.api.calls) == calls
    assert world.pusher.statistics()["status_waiting"] == 0
