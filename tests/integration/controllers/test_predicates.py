"""What Kubernetes' own suites ask of placement, through the whole control plane: predicates, gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from api import conditions
from api.client import PatchType
from api.core import Node, Pod, Service
from api.meta import ObjectMeta
from api.node import Overhead, RuntimeClass
from tests.integration.controllers.conftest import Plane, eventually

HOST = "kubernetes.io/hostname"
FOO = "example.com/foo"


async def start(plane: Plane, name: str, *, labels: Mapping[str, str] = {}, **spec: Any) -> Pod:
    """A pod; `requests` and `ports` are those of its container."""
    container: dict[str, Any] = {"name": "c", "image": "i"}
    container["resources"] = {
        "requests": spec.pop("requests", {}),
        "limits": spec.pop("limits", {}),
    }
    container["ports"] = spec.pop("ports", [])
    body = {
        "metadata": {"name": name, "namespace": spec.pop("namespace", "default"), "labels": labels},
        "spec": {"containers": [container], **spec},
    }
    return await plane.client.create(msgspec.convert(body, type=Pod))


async def change(plane: Plane, type_: Any, name: str, body: Any, **more: Any) -> None:
    namespace = "default" if type_ is Pod else ""
    await plane.client.patch(type_, name, namespace, body, patch_type=PatchType.MERGE, **more)


async def on(plane: Plane, *names: str, namespace: str = "default") -> list[str]:
    """Their nodes, once all have one."""

    async def placed() -> list[str] | None:
        found = [await plane.client.get(Pod, name, namespace) for name in names]
        nodes = [one.spec.node_name for one in found]
        return nodes if all(nodes) else None

    return await eventually(placed)


async def refused(plane: Plane, name: str, why: str = "") -> None:
    """Wait until it waits, and says so; nodes may still come to the scheduler's notice."""

    async def told() -> bool:
        one = await plane.client.get(Pod, name, "default")
        assert not one.spec.node_name
        found = conditions.find(one.status.conditions, "PodScheduled")
        assert found is not None and found.reason == "Unschedulable"
        said = found.message.partition(" preemption:")[0]
        assert why in ("", said), said
        return True

    await eventually(told)


async def test_ports_of_one_number_and_several_addresses_and_protocols(plane: Plane) -> None:
    await plane.agents.add_node("n1")

    def port(address: str, protocol: str = "TCP") -> list[dict[str, Any]]:
        return [{"containerPort": 80, "hostPort": 54321, "protocol": protocol, "hostIP": address}]

    await start(plane, "a", ports=port("127.0.0.1"))
    await start(plane, "b", ports=port("10.0.0.1"))
    await start(plane, "c", ports=port("10.0.0.1", "UDP"))
    assert await on(plane, "a", "b", "c") == ["n1"] * 3
    await start(plane, "all", ports=port("0.0.0.0"))
    await refused(
        plane, "all",
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    )  # fmt: skip
    await start(plane, "all-sctp", ports=port("0.0.0.0", "SCTP"))
    assert await on(plane, "all-sctp") == ["n1"]
    for name in ("a", "b"):
        await plane.client.delete(Pod, name, "default", grace_period_seconds=0)
    assert await on(plane, "all") == ["n1"]


async def test_overhead_counts_with_the_requests(plane: Plane) -> None:
    await plane.agents.add_node("n1", cpu="1")
    sandboxed = RuntimeClass(
        metadata=ObjectMeta(name="sandboxed"),
        handler="runc",
        overhead=Overhead(pod_fixed={"cpu": "250m"}),
    )
    await plane.client.create(sandboxed)
    await start(plane, "first", requests={"cpu": "300m"}, runtimeClassName="sandboxed")
    assert await on(plane, "first") == ["n1"]
    await start(plane, "second", requests={"cpu": "300m"}, runtimeClassName="sandboxed")
    await refused(plane, "second", "0/1 nodes are available: 1 Insufficient cpu.")
    await start(plane, "plain", requests={"cpu": "450m"})
    assert await on(plane, "plain") == ["n1"]


async def test_init_containers_and_sidecars_count_as_long_as_they_run(plane: Plane) -> None:
    await plane.agents.add_node("n1", cpu="1")

    def init(name: str, cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "i", "resources": {"requests": {"cpu": cpu}}, **more}

    sidecar = init("sidecar", "200m", restartPolicy="Always")
    # max(200m + 900m, 200m + 100m): what is needed while it starts
    await start(
        plane, "large", requests={"cpu": "100m"}, initContainers=[sidecar, init("i", "900m")]
    )
    await refused(plane, "large", "0/1 nodes are available: 1 Insufficient cpu.")
    await start(
        plane, "fits", requests={"cpu": "100m"}, initContainers=[init("i", "900m"), sidecar]
    )
    assert await on(plane, "fits") == ["n1"]
    await start(plane, "tiny", requests={"cpu": "100m"})
    assert await on(plane, "tiny") == ["n1"]


async def test_requests_of_the_pod_as_a_whole(plane: Plane) -> None:
    await plane.agents.add_node("n1", cpu="1")
    await start(plane, "whole", resources={"requests": {"cpu": "800m"}})
    assert await on(plane, "whole") == ["n1"]
    await start(plane, "next", requests={"cpu": "300m"})
    await refused(plane, "next", "0/1 nodes are available: 1 Insufficient cpu.")


async def test_gated_pods_wait_for_their_last_gate(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    gates = [{"name": "example.com/a"}, {"name": "example.com/b"}]
    await start(plane, "p", schedulingGates=gates)
    made = await plane.client.get(Pod, "p", "default")
    (condition,) = made.status.conditions
    assert (condition.status, condition.reason) == ("False", "SchedulingGated")
    await change(plane, Pod, "p", {"spec": {"schedulingGates": gates[1:]}})
    await start(plane, "free")
    await on(plane, "free")
    made = await plane.client.get(Pod, "p", "default")
    assert not made.spec.node_name
    await change(plane, Pod, "p", {"spec": {"schedulingGates": [], "nodeSelector": {HOST: "n2"}}})
    await refused(plane, "p")
    await plane.agents.add_node("n2", labels={HOST: "n2"})
    assert await on(plane, "p") == ["n2"]
    made = await plane.client.get(Pod, "p", "default")
    assert [c.status for c in made.status.conditions if c.type == "PodScheduled"] == ["True"]


async def test_a_cordon_ends_and_a_taint_goes(plane: Plane) -> None:
    taints = [{"key": "k", "value": "v", "effect": "NoSchedule"}]
    await plane.agents.add_node("n1", unschedulable=True)
    await plane.agents.add_node("n2", taints=taints)
    await start(plane, "p", requests={"cpu": "3"})
    await start(plane, "q", requests={"cpu": "3"})
    await refused(
        plane, "p",
        "0/2 nodes are available: 1 node(s) had untolerated taint {k: v}, 1 node(s) were unschedulable.",
    )  # fmt: skip
    await change(plane, Node, "n1", {"spec": {"unschedulable": None}})

    async def one() -> bool:
        found = [await plane.client.get(Pod, name, "default") for name in ("p", "q")]
        return sorted(each.spec.node_name for each in found) == ["", "n1"]

    await eventually(one)
    await change(plane, Node, "n2", {"spec": {"taints": None}})
    assert sorted(await on(plane, "p", "q")) == ["n1", "n2"]


async def test_its_own_new_toleration_lets_a_waiting_pod_go(plane: Plane) -> None:
    taints = [{"key": "k", "value": "v", "effect": "NoSchedule"}]
    await plane.agents.add_node("n1", taints=taints, labels={HOST: "n1"})
    made = await start(plane, "p")
    await refused(plane, "p")
    tolerations = [*map(msgspec.to_builtins, made.spec.tolerations), {"operator": "Exists"}]
    await change(plane, Pod, "p", {"spec": {"tolerations": tolerations}})
    assert await on(plane, "p") == ["n1"]


async def test_nodes_by_their_names_and_the_rest_by_labels(plane: Plane) -> None:
    for name, disk in (("n1", "ssd"), ("n2", "hdd")):
        await plane.agents.add_node(name, labels={HOST: name, "disk": disk})

    def affinity(term: dict[str, Any]) -> dict[str, Any]:
        rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        return {"nodeAffinity": rule}

    name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
    await start(plane, "named", affinity=affinity(name))
    both = {**name, "matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    await start(plane, "never", affinity=affinity(both))
    assert await on(plane, "named") == ["n2"]
    await refused(
        plane, "never",
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
    )  # fmt: skip


async def test_four_pods_are_spread_evenly_over_two_nodes(plane: Plane) -> None:
    for name in ("n1", "n2"):
        await plane.agents.add_node(name, labels={HOST: name})
    spread = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    names = [f"p{number}" for number in range(4)]
    for name in names:
        await start(plane, name, labels={"app": "web"}, topologySpreadConstraints=[spread])
    assert sorted(await on(plane, *names)) == ["n1", "n1", "n2", "n2"]


async def test_each_revision_is_spread_by_itself(plane: Plane) -> None:
    """With `matchLabelKeys` the pods of the old revision do not count."""
    for name in ("n1", "n2"):
        await plane.agents.add_node(name, labels={HOST: name})
    for name in ("old-0", "old-1"):
        await start(plane, name, labels={"app": "web", "rev": "1"}, nodeSelector={HOST: "n1"})
    assert await on(plane, "old-0", "old-1") == ["n1", "n1"]
    spread = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["rev"],
    }
    names = ["new-0", "new-1"]
    for name in names:
        labels = {"app": "web", "rev": "2"}
        await start(plane, name, labels=labels, topologySpreadConstraints=[spread])
    assert sorted(await on(plane, *names)) == ["n1", "n2"]


@pytest.mark.parametrize(("policy", "waits"), [("Ignore", True), ("Honor", False)])
async def test_places_that_a_pod_cannot_go_to(plane: Plane, policy: str, waits: bool) -> None:
    """A tainted zone is the emptiest one for ever, unless taints are honoured."""
    await plane.agents.add_node("n1", labels={HOST: "n1", "zone": "a"})
    taints = [{"key": "k", "effect": "NoSchedule"}]
    await plane.agents.add_node("n2", labels={HOST: "n2", "zone": "b"}, taints=taints)
    spread = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "nodeTaintsPolicy": policy,
    }
    for name in ("a", "b"):
        await start(plane, name, labels={"app": "web"}, topologySpreadConstraints=[spread])
        if name == "a" or not waits:
            assert await on(plane, name) == ["n1"]
    if waits:
        await refused(
            plane, "b",
            "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
            "1 node(s) had untolerated taint {k: }.",
        )  # fmt: skip


async def test_too_few_places(plane: Plane) -> None:
    """With `minDomains` an absent place counts as an empty one."""
    await plane.agents.add_node("n1", labels={"zone": "a"})
    spread = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "minDomains": 2,
    }
    await start(plane, "a", labels={"app": "web"}, topologySpreadConstraints=[spread])
    assert await on(plane, "a") == ["n1"]
    await start(plane, "b", labels={"app": "web"}, topologySpreadConstraints=[spread])
    await refused(plane, "b")
    await plane.agents.add_node("n2", labels={"zone": "b"})
    assert await on(plane, "b") == ["n2"]


async def test_tenants_that_shun_each_other(plane: Plane) -> None:
    """`mismatchLabelKeys`: away from pods whose tenant is another."""
    for name in ("n1", "n2"):
        await plane.agents.add_node(name, labels={HOST: name})
    await start(plane, "theirs", labels={"tenant": "b"}, nodeSelector={HOST: "n1"})
    await on(plane, "theirs")
    term = {
        "topologyKey": HOST,
        "labelSelector": {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]},
        "mismatchLabelKeys": ["tenant"],
    }
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    names = [f"ours-{number}" for number in range(3)]
    for name in names:
        await start(plane, name, labels={"tenant": "a"}, affinity=rule)
    assert await on(plane, *names) == ["n2"] * 3
    await start(plane, "more", labels={"tenant": "b"}, nodeSelector={HOST: "n2"})
    await refused(
        plane, "more",
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) didn't satisfy existing pods anti-affinity rules.",
    )  # fmt: skip


async def test_pods_of_a_service_are_spread_over_zones(plane: Plane) -> None:
    for name, zone in (("a1", "a"), ("b1", "b"), ("b2", "b"), ("b3", "b")):
        labels = {HOST: name, "topology.kubernetes.io/zone": zone}
        await plane.agents.add_node(name, labels=labels)
    service = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    await plane.client.create(msgspec.convert(service, type=Service))
    names = [f"p{number}" for number in range(6)]
    for name in names:
        await start(plane, name, labels={"app": "web"})
        await on(plane, name)
    assert (await on(plane, *names)).count("a1") == 3


async def test_a_node_that_a_pod_names_itself(plane: Plane) -> None:
    """Without a scheduler nothing is asked: not whether there is room, nor whether it is cordoned."""
    await plane.agents.add_node("n1", cpu="1", unschedulable=True)
    await start(plane, "p", requests={"cpu": "3"}, nodeName="n1")
    assert await on(plane, "p") == ["n1"]
