"""Services in unusual company: without a selector, with a foreign name, changing their mind."""

from api.apps import Deployment
from api.core import EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Event, Node, Service
from api.discovery import EndpointSlice
from api.meta import ObjectMeta
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import service


def _endpoints(address: str) -> Endpoints:
    subset = EndpointSubset(
        addresses=[EndpointAddress(ip=address)],
        not_ready_addresses=[EndpointAddress(ip="192.0.2.99")],
        ports=[EndpointPort(port=9000)],
    )
    return Endpoints(metadata=ObjectMeta(name="web", namespace="default"), subsets=[subset])


async def _create(plane: Plane, wanted: Service) -> Service:
    wanted.metadata.uid = ""
    return await plane.client.create(wanted)


async def _slices(plane: Plane) -> list[EndpointSlice]:
    found = await plane.client.list(
        EndpointSlice, "default", label_selector="kubernetes.io/service-name=web"
    )
    return list(found.items)


async def _reaches(plane: Plane, *expected: tuple[str, bool]) -> None:
    async def reached() -> bool:
        shown = [
            (e.addresses[0], e.conditions.ready) for s in await _slices(plane) for e in s.endpoints
        ]
        return sorted(shown) == sorted(expected)

    await eventually(reached)


async def test_endpoints_written_by_hand_are_mirrored(plane: Plane) -> None:
    """SVC-12: node proxies read slices only, people write Endpoints."""
    await plane.client.create(_endpoints("192.0.2.7"))  # before its Service, as files may have it
    await _create(plane, service(selector={}))
    await _reaches(plane, ("192.0.2.7", True), ("192.0.2.99", False))
    (piece,) = await _slices(plane)
    assert [(p.port, p.protocol) for p in piece.ports] == [(9000, "TCP")]
    assert piece.metadata.owner_references[0].kind == "Endpoints"

    changed = await plane.client.get(Endpoints, "web", "default")
    changed.subsets[0].addresses = [EndpointAddress(ip="192.0.2.8")]
    changed.subsets[0].not_ready_addresses = []
    await plane.client.update(changed)
    await _reaches(plane, ("192.0.2.8", True))

    await plane.client.delete(Service, "web", "default")

    async def gone() -> bool:
        endpoints = (await plane.client.list(Endpoints, "default")).items
        return not await _slices(plane) and [e.metadata.name for e in endpoints] == ["kubernetes"]

    await eventually(gone)


async def test_an_external_name_has_no_endpoints(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    await _create(plane, service(type="ExternalName", externalName="example.com", clusterIP=""))
    other = service(selector={"app": "web"})
    other.metadata.name = "other"
    await _create(plane, other)

    async def other_has_some() -> bool:
        found = await plane.client.get(Endpoints, "other", "default")
        return bool(found.subsets)

    await eventually(other_has_some)
    assert not await _slices(plane)
    names = {e.metadata.name for e in (await plane.client.list(Endpoints, "default")).items}
    assert names == {"kubernetes", "other"}


async def test_a_selector_that_is_taken_away_leaves_the_endpoints_to_people(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    await _create(plane, service(selector={"app": "web"}))
    (pod,) = await plane.pods()
    await _reaches(plane, (pod.status.pod_ip, True))
    await plane.client.patch(Service, "web", "default", {"spec": {"selector": None}})
    await plane.client.update(_endpoints("192.0.2.7"))
    await _reaches(plane, ("192.0.2.7", True), ("192.0.2.99", False))
    await plane.client.patch(Service, "web", "default", {"spec": {"selector": {"app": "web"}}})
    await _reaches(plane, (pod.status.pod_ip, True))


async def test_endpoints_tell_the_zone_of_their_node(plane: Plane) -> None:
    await plane.agents.add_node("n1", labels={"topology.kubernetes.io/zone": "west"})
    await plane.deploy(replicas=2)
    await _create(plane, service(selector={"app": "web"}))

    async def zones() -> list[str | None]:
        return [e.zone for piece in await _slices(plane) for e in piece.endpoints]

    async def are(zone: str) -> bool:
        return await zones() == [zone] * 2

    await eventually(lambda: are("west"))
    moved = {"metadata": {"labels": {"topology.kubernetes.io/zone": "east"}}}
    await plane.client.patch(Node, "n1", "", moved)
    await eventually(lambda: are("east"))


async def test_a_node_that_comes_with_a_zone_concerns_no_service_yet(plane: Plane) -> None:
    """Ten thousand Services are not looked at anew for each of many nodes that join."""
    zone = {"topology.kubernetes.io/zone": "west"}
    await plane.agents.add_node("n1", labels=zone)
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)
    await _create(plane, service(selector={"app": "web"}))
    (pod,) = await plane.pods()
    await _reaches(plane, (pod.status.pod_ip, True))
    controller = next(c for c in plane.manager.controllers if c.name == "endpointslice-controller")
    seen: list[str] = []
    controller.enqueue = lambda obj: seen.append(obj.metadata.name)  # type: ignore[method-assign, attr-defined]
    await plane.agents.add_node("n2", labels=zone)
    nodes = controller.context.informers.of(Node)

    async def known() -> bool:
        return nodes.get("n2") is not None

    await eventually(known)
    assert not seen
    moved = {"metadata": {"labels": {"topology.kubernetes.io/zone": "east"}}}
    await plane.client.patch(Node, "n1", "", moved)

    async def told() -> bool:
        return seen == ["web"]

    await eventually(told)


async def test_endpoints_tell_what_they_followed(plane: Plane) -> None:
    """The pod's readiness; and where it is not a pod that has come or changed, nothing."""
    name = "endpoints.kubernetes.io/last-change-trigger-time"
    await plane.agents.add_node("n1")
    made = await _create(plane, service(selector={"app": "web"}))

    async def told() -> list[str | None]:
        endpoints = await plane.client.get(Endpoints, "web", "default")
        pieces = await _slices(plane)
        return [one.metadata.annotations.get(name) for one in (endpoints, *pieces)]

    async def say(when: str | None) -> bool:
        return await told() == [when, when]

    await eventually(lambda: say(made.metadata.creation_timestamp))
    await plane.deploy(replicas=1)
    await plane.complete("web", replicas=1)

    async def ready() -> bool:
        (pod,) = await plane.pods()
        condition = next(c for c in pod.status.conditions if c.type == "Ready")
        return condition.status == "True" and await say(condition.last_transition_time)

    await eventually(ready)
    await plane.client.patch(Deployment, "web", "default", {"spec": {"replicas": 0}})
    await eventually(lambda: say(None))


async def test_endpoints_are_for_their_zones(plane: Plane) -> None:
    for name, zone in ("n1", "west"), ("n2", "east"):
        await plane.agents.add_node(name, labels={"topology.kubernetes.io/zone": zone})
    await plane.deploy(replicas=4)
    await plane.complete("web", replicas=4)
    await _create(plane, service(selector={"app": "web"}))

    async def hinted() -> list[tuple[str | None, list[str]]]:
        found = [e for piece in await _slices(plane) for e in piece.endpoints]
        return [(e.zone, [z.name for z in e.hints.for_zones] if e.hints else []) for e in found]

    async def near() -> bool:
        found = await hinted()
        return len(found) == 4 and all(for_zones == [zone] for zone, for_zones in found)

    async def none() -> bool:
        found = await hinted()
        return len(found) == 4 and not any(for_zones for _, for_zones in found)

    await eventually(none)
    await plane.client.patch(
        Service, "web", "default", {"spec": {"trafficDistribution": "PreferClose"}}
    )
    await eventually(near)
    automatic = {"service.kubernetes.io/topology-mode": "Auto"}
    change = {"metadata": {"annotations": automatic}, "spec": {"trafficDistribution": None}}
    await plane.client.patch(Service, "web", "default", change)
    await eventually(near)
    same = {"metadata": {"labels": {"topology.kubernetes.io/zone": "west"}}}
    await plane.client.patch(Node, "n2", "", same)
    await eventually(none)

    async def told() -> bool:
        found = (await plane.client.list(Event, "default")).items
        return {(e.type, e.reason, e.message) for e in found if "Topology" in e.reason} == {
            (
                "Normal",
                "TopologyAwareHintsEnabled",
                "Topology Aware Hints has been enabled, addressType: IPv4",
            ),
            (
                "Warning",
                "TopologyAwareHintsDisabled",
                "Nodes only ready in one zone, addressType: IPv4",
            ),
        }

    await eventually(told)
