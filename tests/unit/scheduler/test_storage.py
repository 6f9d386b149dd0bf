"""Where a pod's claims let it run: the verdict of each filter about storage."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.core import CSIPersistentVolumeSource, PersistentVolume, PersistentVolumeClaim, Pod
from api.meta import ObjectMeta, OwnerReference
from api.storage import CSINode, CSINodeDriver, CSINodeSpec, VolumeNodeResources
from control.controllers.volumes.deciding import BIND_COMPLETED
from control.controllers.volumes.matching import SELECTED_NODE
from control.scheduler.decide import Decision, decide
from control.scheduler.preemption import NOT_HELPFUL, Choice, preempt
from control.scheduler.reachable import DISK_TAKEN, IN_USE, TOO_MANY
from control.scheduler.request import request_of
from control.scheduler.rules import Filter
from control.scheduler.snapshot import Snapshot
from control.scheduler.storage import UNBOUND
from tests.unit.controllers.test_volumes import claim, class_, volume
from tests.unit.scheduler.making import node, pod

LATE = {"volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": []}
STATIC = {**LATE, "provisioner": "kubernetes.io/no-provisioner"}


def using(*claims: str, name: str = "p", **spec: Any) -> Pod:
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    return pod(name, volumes=volumes, **spec)


def on(name: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "host", "operator": "In", "values": [name]}]}
    return {"required": {"nodeSelectorTerms": [term]}}


def bound(to: str, name: str = "data", **change: Any) -> PersistentVolumeClaim:
    made = claim(metadata__name=name, metadata__annotations={BIND_COMPLETED: "yes"}, **change)
    made.spec.volume_name = to
    return made


def cluster(*objects: Any, nodes: int = 2) -> Snapshot:
    snapshot = Snapshot()
    for number in range(1, nodes + 1):
        labels = {"host": f"n{number}", "topology.kubernetes.io/zone": f"z{number}"}
        snapshot.set_node(node(f"n{number}", labels=labels))
    storage = snapshot.storage
    for one in objects:
        name = one.metadata.name
        if isinstance(one, PersistentVolumeClaim):
            storage.set_claim((one.metadata.namespace, name), one)
        elif isinstance(one, PersistentVolume):
            storage.set_volume(name, one)
        elif isinstance(one, CSINode):
            storage.set_drivers(name, one)
        else:
            storage.set_class(name, one)
    return snapshot


def tried(wanted: Pod, snapshot: Snapshot) -> Decision:
    return decide(request_of(wanted), snapshot, min)


def lost() -> PersistentVolumeClaim:
    made = bound("gone")
    made.status.phase = "Lost"
    return made


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([], 'persistentvolumeclaim "data" not found'),
        ([lost()], 'persistentvolumeclaim "data" bound to non-existent persistentvolume "gone"'),
        (
            [claim(metadata__deletionTimestamp="2026-01-01T00:00:00Z")],
            'persistentvolumeclaim "data" is being deleted',
        ),
        ([claim()], UNBOUND),
        ([claim(), class_()], UNBOUND),
        ([claim(spec__volumeName="share"), class_(**LATE)], UNBOUND),
    ],
)
def test_a_claim_that_is_not_ready_keeps_the_pod_everywhere(objects: list[Any], words: str) -> None:
    found = tried(using("data"), cluster(*objects))
    assert found.message == f"0/2 nodes are available: {words}."
    assert {filter_.value for filter_ in found.rejected_by} == {"VolumeBinding"}


def test_a_bound_claim_says_where() -> None:
    share = volume(spec__nodeAffinity=on("n2"))
    snapshot = cluster(bound("share"), share)
    assert tried(using("data"), snapshot).node == "n2"
    away = tried(using("data", nodeSelector={"host": "n1"}), snapshot)
    assert "1 node(s) had volume node affinity conflict" in away.message


def test_zones() -> None:
    labels = {"topology.kubernetes.io/zone": "z2__z3"}
    share = volume(metadata__labels=labels)
    share.spec.node_affinity = None
    snapshot = cluster(bound("share"), share)
    assert tried(using("data"), snapshot).node == "n2"
    away = tried(using("data", nodeSelector={"host": "n1"}), snapshot)
    assert "1 node(s) had no available volume zone" in away.message


def test_a_claim_that_waits_takes_the_pod_to_a_free_volume() -> None:
    there = volume("local", spec__nodeAffinity=on("n2"))
    snapshot = cluster(claim(), there, class_(**STATIC))
    request = request_of(using("data"))
    assert tried(using("data"), snapshot).node == "n2"
    assert snapshot.pick_volumes(request, "n2") == {("default", "data"): there}
    # It is taken now, before anybody else sees that.
    other = claim(metadata__name="other", metadata__uid="claim-2")
    snapshot.storage.set_claim(("default", "other"), other)
    found = tried(using("other"), snapshot)
    assert found.message == (
        "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."
    )
    snapshot.storage.forget({("default", "data"): there})
    assert tried(using("other"), snapshot).node == "n2"


def test_two_claims_of_one_pod_need_two_volumes_of_one_node() -> None:
    claims = [claim(metadata__name=name, metadata__uid=name) for name in ("a", "b")]
    volumes = [
        volume("v1", "1Gi", spec__nodeAffinity=on("n1")),
        volume("v2", "1Gi", spec__nodeAffinity=on("n2")),
        volume("v3", "2Gi", spec__nodeAffinity=on("n2")),
    ]
    snapshot = cluster(*claims, *volumes, class_(**STATIC))
    assert tried(using("a", "b"), snapshot).node == "n2"
    picks = snapshot.pick_volumes(request_of(using("a", "b")), "n2")
    assert {one.metadata.name for one in picks.values() if one is not None} == {"v2", "v3"}


def test_one_that_can_be_made_on_demand() -> None:
    snapshot = cluster(claim(), class_(**LATE))
    assert tried(using("data"), snapshot).node == "n1"
    assert snapshot.pick_volumes(request_of(using("data")), "n1") == {("default", "data"): None}
    zones = [{"matchLabelExpressions": [{"key": "host", "values": ["n2"]}]}]
    snapshot = cluster(claim(), class_(**{**LATE, "allowedTopologies": zones}))
    assert tried(using("data"), snapshot).node == "n2"
    elsewhere = claim(metadata__annotations={SELECTED_NODE: "n2"})
    assert tried(using("data"), cluster(elsewhere, class_(**LATE))).node == "n2"


def test_one_that_only_one_pod_may_have() -> None:
    share = volume()
    share.spec.node_affinity = None
    snapshot = cluster(bound("share", spec__accessModes=["ReadWriteOncePod"]), share)
    first = request_of(using("data", name="first"))
    snapshot.add_pod(first, "n1")
    assert "ReadWriteOncePod access mode already in-use" in tried(using("data"), snapshot).message
    snapshot.remove_pod("first")
    assert tried(using("data"), snapshot).node == "n1"
    assert not snapshot.claims_used


def test_claims_that_are_made_for_a_pod() -> None:
    template = {"spec": {"accessModes": ["ReadWriteOnce"]}}
    wanted = pod("p", volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}])
    waiting = "waiting for ephemeral volume controller to create the persistentvolumeclaim"
    assert f'{waiting} "p-v"' in tried(wanted, cluster()).message
    strange = bound("share", name="p-v")
    words = 'PVC "default/p-v" was not created for pod "default/p" (pod is not owner)'
    assert words in tried(wanted, cluster(strange)).message
    share = volume()
    share.spec.node_affinity = None
    own = bound("share", name="p-v")
    owner = OwnerReference(api_version="v1", kind="Pod", name="p", uid="p", controller=True)
    own.metadata = ObjectMeta(
        name="p-v", namespace="default", annotations=own.metadata.annotations,
        owner_references=[owner],
    )  # fmt: skip
    assert tried(wanted, cluster(own, share)).node == "n1"


def test_nobody_is_preempted_where_the_volume_is_not() -> None:
    snapshot = cluster(bound("share"), volume(spec__nodeAffinity=on("n2")))
    for name in ("n1", "n2"):
        low = pod(f"low-{name}", cpu="4", priority=1 if name == "n1" else 2000)
        snapshot.add_pod(request_of(low), name)
    request = request_of(using("data", cpu="4", priority=1000))
    decision = decide(request, snapshot, min)
    found = preempt(request, snapshot, decision, [], lambda one: "~")
    assert found.choice is None
    assert NOT_HELPFUL in found.message


GCE, EBS = "gcePersistentDisk", "awsElasticBlockStore"
CEPH = {"monitors": ["10.0.0.1", "10.0.0.2"], "pool": "p", "image": "i"}
OTHER_MONITORS = {**CEPH, "monitors": ["10.0.0.2", "10.0.0.3"]}
TARGET = {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:s", "lun": 0}
READ = {"readOnly": True}


def mounting(name: str, source: str, body: dict[str, Any], **more: Any) -> Pod:
    return pod(name, volumes=[{"name": "v", source: body}], **more)


@pytest.mark.parametrize(
    ("source", "there", "wanted", "shared"),
    [
        (GCE, {"pdName": "a"}, {"pdName": "b"}, True),
        (GCE, {"pdName": "a"}, {"pdName": "a"}, False),
        (GCE, {"pdName": "a", **READ}, {"pdName": "a"}, False),
        (GCE, {"pdName": "a", **READ}, {"pdName": "a", **READ}, True),
        (EBS, {"volumeID": "a", **READ}, {"volumeID": "a", **READ}, False),
        (EBS, {"volumeID": "a"}, {"volumeID": "b"}, True),
        ("iscsi", TARGET, TARGET, False),
        ("iscsi", {**TARGET, **READ}, {**TARGET, **READ}, True),
        ("iscsi", TARGET, {**TARGET, "iqn": "iqn.2001-04.com.example:t"}, True),
        ("rbd", CEPH, OTHER_MONITORS, False),
        ("rbd", {**CEPH, **READ}, {**OTHER_MONITORS, **READ}, True),
        ("rbd", CEPH, {**CEPH, "image": "j"}, True),
        ("rbd", CEPH, {**CEPH, "monitors": ["10.0.0.9"]}, True),
    ],
)
def test_a_disk_is_on_a_node_once_unless_all_only_read(
    source: str, there: dict[str, Any], wanted: dict[str, Any], shared: bool
) -> None:
    snapshot = cluster(nodes=1)
    snapshot.add_pod(request_of(mounting("first", source, there)), "n1")
    decision = tried(mounting("p", source, wanted), snapshot)
    assert decision.node == ("n1" if shared else None)
    if not shared:
        assert decision.message == f"0/1 nodes are available: 1 {DISK_TAKEN}."
    snapshot.remove_pod("first")
    assert tried(mounting("p", source, wanted), snapshot).node == "n1"


def drivers(name: str, count: int | None, driver: str = "disk.example.com") -> CSINode:
    allocatable = None if count is None else VolumeNodeResources(count=count)
    one = CSINodeDriver(name=driver, node_id=name, topology_keys=[], allocatable=allocatable)
    return CSINode(metadata=ObjectMeta(name=name), spec=CSINodeSpec(drivers=[one]))


def attached(number: int, driver: str = "disk.example.com") -> list[Any]:
    """A claim `c1` and its volume, which the driver calls `h1`."""
    made = volume(f"v{number}", spec__nfs=None)
    made.spec.node_affinity = None
    source = {"driver": driver, "volumeHandle": f"h{number}"}
    made.spec.csi = msgspec.convert(source, type=CSIPersistentVolumeSource)
    return [made, bound(f"v{number}", f"c{number}")]


def test_a_node_takes_as_many_volumes_as_its_driver_says() -> None:
    objects = [one for number in (1, 2, 3) for one in attached(number)]
    snapshot = cluster(*objects, drivers("n1", 2), drivers("n2", 1))
    snapshot.add_pod(request_of(using("c1", name="a")), "n1")
    snapshot.add_pod(request_of(using("c2", name="b")), "n2")
    assert tried(using("c3"), snapshot).node == "n1"
    assert tried(using("c1", "c3"), snapshot).node == "n1"
    assert tried(using("c2", "c3"), snapshot).node is None
    snapshot.add_pod(request_of(using("c3", name="c")), "n1")
    decision = tried(using("c2"), snapshot)
    assert decision.node == "n2", "the volume is there already"
    assert decision.rejected_by == {Filter.NODE_VOLUME_LIMITS}
    snapshot.add_pod(request_of(pod("big", cpu="4")), "n2")
    full = tried(using("c2", cpu="1"), snapshot)
    assert full.message == f"0/2 nodes are available: 1 Insufficient cpu, 1 {TOO_MANY}."
    assert tried(using("c1", cpu="1"), snapshot).node == "n1"


def test_a_volume_that_is_not_made_yet_counts_too_and_other_drivers_do_not() -> None:
    waiting = [claim(metadata__name=name) for name in ("c8", "c9")]
    snapshot = cluster(
        class_(**LATE, provisioner="disk.example.com"), *waiting, *attached(1, "other.example.com"),
        drivers("n1", 1), nodes=1,
    )  # fmt: skip
    snapshot.add_pod(request_of(using("c8", name="a")), "n1")
    assert TOO_MANY in tried(using("c9"), snapshot).message
    assert tried(using("c1"), snapshot).node == "n1"
    snapshot.storage.set_drivers("n1", drivers("n1", None))
    assert tried(using("c9"), snapshot).node == "n1"


def preempted(wanted: Pod, snapshot: Snapshot) -> list[str]:
    request = request_of(wanted)
    decision = decide(request, snapshot, min)
    assert decision.node is None
    choice: Choice | None = preempt(request, snapshot, decision, [], lambda one: "~").choice
    return [] if choice is None else [one.name for one in choice.victims]


def test_the_less_important_give_up_claims_disks_and_places() -> None:
    alone = bound("share", spec__accessModes=["ReadWriteOncePod"])
    share = volume()
    share.spec.node_affinity = None
    objects = [one for number in (1, 2) for one in attached(number)]
    snapshot = cluster(alone, share, *objects, drivers("n1", 1), nodes=1)
    for made in (
        using("data", name="owner", priority=1),
        using("c1", name="full", priority=2),
        mounting("disk", GCE, {"pdName": "a"}, priority=3),
    ):
        snapshot.add_pod(request_of(made), "n1")
    assert IN_USE in tried(using("data"), snapshot).message
    assert preempted(using("data", priority=9), snapshot) == ["owner"]
    assert preempted(using("c2", priority=9), snapshot) == ["full"]
    assert preempted(mounting("p", GCE, {"pdName": "a"}, priority=9), snapshot) == ["disk"]
    assert preempted(mounting("p", GCE, {"pdName": "a"}, priority=3), snapshot) == []
    assert snapshot.row(0).disks.total() == 1, "nothing was changed by trying"
