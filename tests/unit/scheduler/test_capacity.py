"""Room for volumes that are to be made, and volumes that are still attached."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.objects import Key
from api.storage import CSIDriver, CSIStorageCapacity, VolumeAttachment
from control.scheduler.filters import Filter
from control.scheduler.reachable import NO_ROOM, NONE_TO_BIND, TOO_MANY
from control.scheduler.request import request_of
from control.scheduler.snapshot import Snapshot
from tests.unit.controllers.test_volumes import claim, class_, volume
from tests.unit.scheduler.test_storage import LATE, attached, cluster, drivers, tried, using

DISK = "disk.example.com"
EVERYWHERE: dict[str, Any] = {}


def driver(*, tells: bool = True) -> CSIDriver:
    body = {"metadata": {"name": DISK}, "spec": {"storageCapacity": tells}}
    return msgspec.convert(body, type=CSIDriver)


def room(
    name: str = "room",
    capacity: str | None = "10Gi",
    *,
    where: dict[str, Any] | None = EVERYWHERE,
    of: str = "fast",
    largest: str | None = None,
) -> CSIStorageCapacity:
    body = {
        "metadata": {"name": name, "namespace": "drivers"},
        "nodeTopology": where,
        "storageClassName": of,
        "capacity": capacity,
        "maximumVolumeSize": largest,
    }
    return msgspec.convert(body, type=CSIStorageCapacity)


def on(host: str) -> dict[str, Any]:
    return {"matchLabels": {"host": host}}


def waiting(*rooms: CSIStorageCapacity, tells: bool = True, installed: bool = True) -> Snapshot:
    """A claim of one GiB waits for its pod, and nothing but a driver could serve it."""
    snapshot = cluster(claim(), class_(metadata__name="fast", **LATE, provisioner=DISK))
    if installed:
        snapshot.storage.room.set_driver(DISK, driver(tells=tells))
    for one in rooms:
        put(snapshot, None, one)
    return snapshot


def put(snapshot: Snapshot, old: CSIStorageCapacity | None, new: CSIStorageCapacity | None) -> None:
    one = new or old
    assert one is not None
    snapshot.storage.room.set_capacity(Key("drivers", one.metadata.name), old, new)


@pytest.mark.parametrize(
    ("rooms", "places"),
    [
        ([room()], "n1"),
        ([room(where=on("n2"))], "n2"),
        ([room("a", "1Mi", where=on("n1")), room("b", where=on("n2"))], "n2"),
        ([room("a", "1Mi"), room("b")], "n1"),
        ([room(capacity="1Gi")], "n1"),
        ([room(capacity="1Mi", largest="1Gi")], "n1"),
        ([room(capacity=None, largest="1Gi")], "n1"),
        ([], None),
        ([room(capacity="1023Mi")], None),
        ([room(largest="1Mi")], None),
        ([room(capacity=None)], None),
        ([room(of="slow")], None),
        ([room(where=None)], None),
        ([room(where=on("n3"))], None),
    ],
)
def test_a_volume_is_made_where_there_is_room(
    rooms: list[CSIStorageCapacity], places: str | None
) -> None:
    decision = tried(using("data"), waiting(*rooms))
    assert decision.node == places
    if places is None:
        assert decision.message == f"0/2 nodes are available: 2 {NO_ROOM}."
        assert decision.rejected_by == {Filter.VOLUME_BINDING}


def test_a_driver_that_does_not_tell_has_room() -> None:
    assert tried(using("data"), waiting(tells=False)).node == "n1"
    assert tried(using("data"), waiting(installed=False)).node == "n1"
    snapshot = waiting()
    assert tried(using("data"), snapshot).node is None
    snapshot.storage.room.set_driver(DISK, None)
    assert tried(using("data"), snapshot).node == "n1"


def test_room_comes_and_goes() -> None:
    little, enough = room(capacity="1Mi"), room()
    snapshot = waiting(little)
    assert tried(using("data"), snapshot).node is None
    put(snapshot, little, enough)
    assert tried(using("data"), snapshot).node == "n1"
    put(snapshot, enough, None)
    assert tried(using("data"), snapshot).node is None


def test_a_volume_that_is_there_needs_no_room() -> None:
    snapshot = waiting()
    there = volume("v")
    there.spec.node_affinity = None
    snapshot.storage.set_volume("v", there)
    assert tried(using("data"), snapshot).node == "n1"


def test_each_node_says_what_it_lacks() -> None:
    terms = [{"matchLabelExpressions": [{"key": "host", "values": ["n1"]}]}]
    late = {**LATE, "allowedTopologies": terms}
    snapshot = cluster(claim(), class_(metadata__name="fast", **late, provisioner=DISK))
    snapshot.storage.room.set_driver(DISK, driver())
    decision = tried(using("data"), snapshot)
    assert decision.message == f"0/2 nodes are available: 1 {NO_ROOM}, 1 {NONE_TO_BIND}."


def attachment(name: str, volume: str, node: str = "n1", **inline: Any) -> VolumeAttachment:
    source: dict[str, Any] = {"persistentVolumeName": volume} if volume else inline
    spec = {"attacher": DISK, "nodeName": node, "source": source}
    body = {"metadata": {"name": name}, "spec": spec, "status": {"attached": True}}
    return msgspec.convert(body, type=VolumeAttachment)


def test_what_is_still_attached_counts() -> None:
    objects = [one for number in (1, 2) for one in attached(number)]
    snapshot = cluster(*objects, drivers("n1", 1), nodes=1)
    left = attachment("a", "v1")
    snapshot.storage.set_attachment(None, left)
    decision = tried(using("c2"), snapshot)
    assert decision.message == f"0/1 nodes are available: 1 {TOO_MANY}."
    assert tried(using("c1"), snapshot).node == "n1", "it is there already"
    snapshot.storage.set_attachment(left, left)
    snapshot.storage.set_attachment(left, None)
    assert tried(using("c2"), snapshot).node == "n1"
    assert not snapshot.storage.attachments


def test_one_that_a_pod_uses_is_counted_once() -> None:
    objects = [one for number in (1, 2) for one in attached(number)]
    snapshot = cluster(*objects, drivers("n1", 2), nodes=1)
    snapshot.add_pod(request_of(using("c1", name="a")), "n1")
    snapshot.storage.set_attachment(None, attachment("a", "v1"))
    assert tried(using("c2"), snapshot).node == "n1"
    csi = {"driver": DISK, "volumeHandle": "inline"}
    inline = {"inlineVolumeSpec": {"csi": csi}}
    snapshot.storage.set_attachment(None, attachment("b", "", **inline))
    assert tried(using("c2"), snapshot).node is None


def test_an_attachment_elsewhere_or_of_nothing_known_does_not_count() -> None:
    objects = [one for number in (1, 2) for one in attached(number)]
    snapshot = cluster(*objects, drivers("n1", 1), nodes=1)
    snapshot.storage.set_attachment(None, attachment("a", "v1", node="n2"))
    snapshot.storage.set_attachment(None, attachment("b", "gone"))
    assert tried(using("c2"), snapshot).node == "n1"
