"""Which pods are a pod's like, and that these are kept apart: over nodes, and over zones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from api.apps import ReplicaSet, StatefulSet
from api.core import Pod, ReplicationController, Service
from control.scheduler.decide import decide
from control.scheduler.request import Request, request_of
from control.scheduler.siblings import Siblings
from control.scheduler.snapshot import Snapshot
from tests.unit.scheduler.making import node, pod

ZONE = "topology.kubernetes.io/zone"
WEB = {"app": "web"}


class Told:
    """An informer that knows what it is told."""

    def __init__(self) -> None:
        self.handlers: list[Callable[[Any, Any], None]] = []
        self.known: dict[str, Any] = {}

    def subscribe(self, handler: Callable[[Any, Any], None]) -> None:
        self.handlers.append(handler)

    def get(self, name: str, namespace: str) -> Any:
        return self.known.get(name)

    def tell(self, old: Any, new: Any) -> None:
        for handler in self.handlers:
            handler(old, new)


def service(name: str = "web", namespace: str = "default", **selector: str) -> Service:
    metadata = {"name": name, "namespace": namespace}
    body = {"metadata": metadata, "spec": {"selector": selector}}
    return msgspec.convert(body, type=Service)


def siblings(**owners: Any) -> tuple[Siblings, Told]:
    made, services, sets, stateful, old = Siblings(), Told(), Told(), Told(), Told()
    informers: Any = (services, sets, stateful, old)
    for informer, name in ((sets, "rs"), (stateful, "ss"), (old, "rc")):
        if name in owners:
            informer.known[name] = owners[name]
    made.follow(*informers)
    return made, services


def words(made: Siblings, one: Pod) -> str | None:
    found = made.of(one)
    return None if found is None else str(found.selector)


def test_services_select() -> None:
    made, services = siblings()
    assert words(made, pod("p", labels=WEB)) is None
    first, second = service(app="web"), service("tier", tier="front")
    for each in (first, second, service("other", "elsewhere", app="web"), service("empty")):
        services.tell(None, each)
    assert words(made, pod("p", labels=WEB)) == "app=web"
    assert words(made, pod("p", labels={**WEB, "tier": "front"})) == "app=web,tier=front"
    assert words(made, pod("p", labels={"app": "db"})) is None
    assert words(made, pod("p")) is None
    services.tell(first, service(app="db"))
    assert words(made, pod("p", labels=WEB)) is None
    assert words(made, pod("p", labels={"app": "db"})) == "app=db"
    services.tell(service(app="db"), None)
    assert words(made, pod("p", labels={"app": "db"})) is None


@pytest.mark.parametrize(
    ("kind", "name", "owner"),
    [
        ("ReplicaSet", "rs", ReplicaSet),
        ("StatefulSet", "ss", StatefulSet),
        ("ReplicationController", "rc", ReplicationController),
        ("Job", "rs", ReplicaSet),
        ("ReplicaSet", "gone", ReplicaSet),
    ],
)
def test_controllers_select(kind: str, name: str, owner: Any) -> None:
    plain = owner is ReplicationController
    selector = {"hash": "1"} if plain else {"matchLabels": {"hash": "1"}}
    container = {"name": "c", "image": "i"}
    template = {"metadata": {}, "spec": {"containers": [container]}}
    spec = {"selector": selector, "template": template, "serviceName": "s"}
    if owner is not StatefulSet:
        del spec["serviceName"]
    known = msgspec.convert({"metadata": {"name": name}, "spec": spec}, type=owner)
    made, services = siblings(**{name: known}) if name != "gone" else siblings()
    one = pod("p", labels={**WEB, "hash": "1"}, owner=name)
    one.metadata.owner_references[0].kind = kind
    one.metadata.owner_references[0].name = name
    expected = "hash=1" if kind != "Job" and name != "gone" else None
    assert words(made, one) == expected
    services.tell(None, service(app="web"))
    assert words(made, one) == ("app=web,hash=1" if expected else "app=web")


def spread(snapshot: Snapshot, number: int, request: Callable[[int], Request]) -> Counter[str]:
    """Where so many pods go, one after the other."""
    found = Counter[str]()
    for count in range(number):
        one = request(count)
        chosen = decide(one, snapshot, min).node
        assert chosen is not None
        snapshot.add_pod(one, chosen)
        found[chosen] += 1
    return found


def zones(**nodes: str) -> Snapshot:
    snapshot = Snapshot()
    for name, zone in nodes.items():
        snapshot.set_node(node(name, labels={ZONE: zone} if zone else {}))
    return snapshot


@pytest.mark.parametrize("owned", [True, False])
def test_zones_are_filled_alike_however_many_nodes_they_have(owned: bool) -> None:
    made, services = siblings()
    services.tell(None, service(app="web"))

    def request(count: int) -> Request:
        one = pod(f"p{count}", labels=WEB, owner="rs" if owned else "")
        return request_of(one, siblings=None if owned else made.of(one))

    found = spread(zones(e1="east", w1="west", w2="west", w3="west"), 6, request)
    assert found["e1"] == 3
    assert sorted(found[name] for name in ("w1", "w2", "w3")) == [1, 1, 1]


def test_pods_of_a_service_go_apart_and_others_do_not_count() -> None:
    made, services = siblings()
    services.tell(None, service(app="web"))
    snapshot = zones(a="", b="")
    snapshot.add_pod(request_of(pod("web-0", labels=WEB)), "a")
    for number in range(2):  # b is the fuller one
        snapshot.add_pod(request_of(pod(f"other{number}", labels={"app": "db"}, cpu="200m")), "b")
    alone = pod("p", labels=WEB)
    assert decide(request_of(alone), snapshot, min).node == "a"
    assert decide(request_of(alone, siblings=made.of(alone)), snapshot, min).node == "b"
