"""Where pods go because of other pods, through the whole control plane: the books' examples."""

from collections import Counter
from typing import Any

from api import conditions
from api.core import Namespace, Pod
from api.meta import ObjectMeta
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.scheduler.making import pod

HOST = "kubernetes.io/hostname"


def template(app: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def term(app: str, key: str = HOST, **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def required(sort: str, *terms: dict[str, Any]) -> dict[str, Any]:
    return {sort: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


async def deploy(plane: Plane, app: str, replicas: int, **spec: Any) -> None:
    await plane.deploy(
        app,
        replicas=replicas,
        selector={"matchLabels": {"app": app}},
        template=template(app, **spec),
    )


async def add_nodes(plane: Plane, *names: str, zone: str = "east") -> None:
    for name in names:
        await plane.agents.add_node(name, labels={HOST: name, "zone": zone})


async def placed(
    plane: Plane, app: str, number: int, namespace: str = "default", *, of: int = 0
) -> Counter[str]:
    """The nodes of an application's pods, once so many (`of` so many) have one; empty names wait."""

    async def bound() -> Counter[str] | None:
        found = [p for p in await plane.pods(namespace) if p.metadata.labels.get("app") == app]
        nodes = Counter(p.spec.node_name for p in found)
        made = nodes.total() >= of
        return nodes if made and nodes.total() - nodes[""] == number else None

    return await eventually(bound)


async def pending(plane: Plane, app: str) -> set[str]:
    """What the waiting pods of an application say, once they all say something."""

    async def told() -> set[str] | None:
        waiting = [
            each
            for each in await plane.pods()
            if each.metadata.labels.get("app") == app and not each.spec.node_name
        ]
        found = [conditions.find(each.status.conditions, "PodScheduled") for each in waiting]
        return {_filtered(one.message) for one in found if one} if found and all(found) else None

    return await eventually(told)


def _filtered(message: str) -> str:
    """What the filters said, without what preemption adds."""
    return message.partition(" preemption:")[0]


async def test_five_that_shun_each_other_on_two_nodes(plane: Plane) -> None:
    await add_nodes(plane, "n1", "n2")
    shy = required("podAntiAffinity", term("frontend"))
    await deploy(plane, "frontend", 5, affinity=shy)

    assert await placed(plane, "frontend", 2, of=5) == {"n1": 1, "n2": 1, "": 3}
    assert await pending(plane, "frontend") == {
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    }

    await add_nodes(plane, "n3")
    assert await placed(plane, "frontend", 3) == {"n1": 1, "n2": 1, "n3": 1, "": 2}


async def test_a_backend_that_comes_again_returns_to_its_frontends(plane: Plane) -> None:
    await add_nodes(plane, "n1", "n2", "n3")
    await deploy(plane, "backend", 1)
    home = next(iter(await placed(plane, "backend", 1)))
    near = required("podAffinity", term("backend"))
    await deploy(plane, "frontend", 5, affinity=near)
    assert await placed(plane, "frontend", 5) == {home: 5}

    gone = next(p for p in await plane.pods() if p.metadata.labels["app"] == "backend")
    await plane.client.delete(Pod, gone.metadata.name, "default", grace_period_seconds=0)

    async def returned() -> bool:
        found = [p for p in await plane.pods() if p.metadata.labels["app"] == "backend"]
        names = {p.metadata.name for p in found}
        return names != {gone.metadata.name} and {p.spec.node_name for p in found} == {home}

    assert await eventually(returned)


async def test_affinity_waits_for_the_pod_it_wants(plane: Plane) -> None:
    await add_nodes(plane, "n1", "n2")
    near = required("podAffinity", term("backend"))
    await deploy(plane, "frontend", 1, affinity=near)
    assert await pending(plane, "frontend") == {
        "0/2 nodes are available: 2 node(s) didn't match pod affinity rules."
    }

    await deploy(plane, "backend", 1)

    assert await placed(plane, "frontend", 1) == await placed(plane, "backend", 1)


async def test_zones_are_filled_evenly_and_no_further(plane: Plane) -> None:
    await add_nodes(plane, "e1", "e2", "e3")
    await add_nodes(plane, "w1", zone="west")
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]
    await deploy(plane, "web", 8, topologySpreadConstraints=spread)

    nodes = await placed(plane, "web", 8)
    assert nodes["w1"] == 4


async def test_namespaces_by_their_labels_as_they_change(plane: Plane) -> None:
    await add_nodes(plane, "n1")
    for name, team in (("quiet", "red"), ("loud", "blue")):
        await plane.client.create(Namespace(metadata=ObjectMeta(name=name, labels={"team": team})))
    away = term("noisy", namespaceSelector={"matchLabels": {"team": "blue"}})
    noisy = pod("noisy", namespace="loud", labels={"app": "noisy"})
    noisy.metadata.uid = ""
    await plane.client.create(noisy)
    await placed(plane, "noisy", 1, "loud")
    shy = required("podAntiAffinity", away)
    await deploy(plane, "shy", 1, affinity=shy)
    assert await pending(plane, "shy") == {
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules."
    }

    await plane.client.patch(Namespace, "loud", "", {"metadata": {"labels": {"team": "green"}}})

    await placed(plane, "shy", 1)
