"""Where a pod's claims let it run: the verdict of each filter about storage."""

from __future__ import annotations

from typing import Any

import pytest

from api.core import PersistentVolume, PersistentVolumeClaim, Pod
from api.meta import ObjectMeta, OwnerReference
from control.controllers.volumes.deciding import BIND_COMPLETED
from control.controllers.volumes.matching import SELECTED_NODE
from control.scheduler.decide import Decision, decide
from control.scheduler.preemption import NOT_HELPFUL, preempt
from control.scheduler.request import request_of
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
