"""The pipeline without HTTP: races, companions, graceful ends, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api import errors
from api.client import Client, PatchType
from api.core import (
    Binding,
    ConfigMap,
    Container,
    Namespace,
    ObjectReference,
    Pod,
    PodSpec,
    Service,
    ServicePort,
    ServiceSpec,
    Toleration,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from base.clock import FakeClock
from control.admission.chain import Reader
from control.apiserver.local import LocalClient
from control.apiserver.registry import updating
from control.apiserver.registry.allocators import ADDRESSES, PORTS
from control.apiserver.registry.call import Call
from control.apiserver.registry.registry import CacheReader, Registry
from control.auth.user import in_process


def config(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="ns"), data=data)


def pod(name: str, **spec: Any) -> Pod:
    containers = [Container(name="c", image="i")]
    return Pod(
        metadata=ObjectMeta(name=name, namespace="ns"), spec=PodSpec(containers=containers, **spec)
    )


def service(name: str, **spec: Any) -> Service:
    ports = spec.pop("ports", [ServicePort(port=80)])
    return Service(
        metadata=ObjectMeta(name=name, namespace="ns"), spec=ServiceSpec(ports=ports, **spec)
    )


def test_it_is_a_client(client: LocalClient) -> None:
    used: Client = client
    assert used is client


async def test_objects_given_and_taken_are_copies(client: LocalClient) -> None:
    sent = config("a", k="v")
    made = await client.create(sent)
    assert sent.metadata.uid == "" and made.metadata.uid
    made.data["k"] = "changed"
    assert (await client.get(ConfigMap, "a", "ns")).data == {"k": "v"}


async def test_a_change_is_retried_on_what_is_there_now(
    registry: Registry, client: LocalClient
) -> None:
    """Between reading and writing, somebody else writes: both changes stand in the end."""
    await client.create(config("a"))
    kind = registry.kind_of(ConfigMap)
    seen: list[dict[str, str]] = []

    async def make(current: Any) -> Any:
        seen.append(dict(current.data))
        if len(seen) == 1:
            await client.patch(ConfigMap, "a", "ns", {"data": {"theirs": "1"}})
        current.data = {**current.data, "ours": "1"}
        return current

    call = Call(user=in_process("test"))
    await updating.change(registry, kind, call, "ns", "a", make)
    assert seen == [{}, {"theirs": "1"}]
    assert (await client.get(ConfigMap, "a", "ns")).data == {"theirs": "1", "ours": "1"}


async def test_an_object_deleted_under_a_change_is_not_found(
    registry: Registry, client: LocalClient
) -> None:
    await client.create(config("a"))

    async def make(current: Any) -> Any:
        await client.delete(ConfigMap, "a", "ns")
        current.data = {"k": "v"}
        return current

    with pytest.raises(ApiError) as caught:
        await updating.change(
            registry,
            registry.kind_of(ConfigMap),
            Call(user=in_process("test")),
            "ns",
            "a",
            make,
        )
    assert errors.is_not_found(caught.value)


async def test_a_uid_of_another_object_is_a_conflict(client: LocalClient) -> None:
    made = await client.create(config("a"))
    made.metadata.resource_version, made.metadata.uid = "", "other"
    with pytest.raises(ApiError, match="UID in precondition: other"):
        await client.update(made)


@pytest.mark.parametrize(("field", "value"), [("kind", "Pod"), ("apiVersion", "v2")])
async def test_a_patch_cannot_make_another_kind(
    client: LocalClient, field: str, value: str
) -> None:
    await client.create(config("a"))
    with pytest.raises(ApiError, match=value) as caught:
        await client.patch(ConfigMap, "a", "ns", {field: value})
    assert caught.value.code == 400
    assert (await client.get(ConfigMap, "a", "ns")).kind == "ConfigMap"


async def test_patches_of_each_type(client: LocalClient) -> None:
    await client.create(config("a", x="1"))
    operations = [{"op": "add", "path": "/data/y", "value": "2"}]
    await client.patch(ConfigMap, "a", "ns", operations, patch_type=PatchType.JSON)
    done = await client.patch(
        ConfigMap, "a", "ns", {"data": {"x": None}}, patch_type=PatchType.STRATEGIC
    )
    assert done.data == {"y": "2"}


async def test_only_the_spec_counts_generations(client: LocalClient) -> None:
    made = await client.create(pod("p"))
    assert made.metadata.generation == 1
    made.metadata.labels = {"a": "b"}
    made = await client.update(made)
    assert made.metadata.generation == 1
    made.spec.active_deadline_seconds = 5
    made = await client.update(made)
    assert made.metadata.generation == 2
    made.status.message = "hello"
    made = await client.update(made, subresource="status")
    assert made.metadata.generation == 2 and made.status.message == "hello"


async def test_a_pod_gets_tolerations(client: LocalClient) -> None:
    made = await client.create(pod("p"))
    assert {one.key: one.toleration_seconds for one in made.spec.tolerations} == {
        "node.kubernetes.io/not-ready": 300,
        "node.kubernetes.io/unreachable": 300,
    }
    every = [Toleration(operator="Exists")]
    made = await client.create(pod("q", tolerations=every))
    assert made.spec.tolerations == every


async def test_an_update_that_names_other_tolerations_adds_them(client: LocalClient) -> None:
    made = await client.create(pod("p"))
    defaults = made.spec.tolerations
    other = Toleration(key="a", operator="Equal", value="b", effect="NoSchedule")
    made.spec.tolerations = [other]
    made = await client.update(made)
    assert made.spec.tolerations == [other, *defaults]
    assert made.metadata.generation == 2
    made.spec.tolerations = []
    with pytest.raises(ApiError, match="existing toleration can not be modified"):
        await client.update(made)


async def test_graceful_deletion_counts_from_the_first_request(
    client: LocalClient, clock: FakeClock
) -> None:
    await client.create(pod("p", node_name="n"))
    await client.delete(Pod, "p", "ns")
    first = await client.get(Pod, "p", "ns")
    assert first.metadata.deletion_timestamp == "2026-01-01T00:00:30Z"
    clock.advance(10)
    await client.delete(Pod, "p", "ns", grace_period_seconds=20)
    second = await client.get(Pod, "p", "ns")
    assert second.metadata.deletion_timestamp == "2026-01-01T00:00:20Z"
    await client.delete(Pod, "p", "ns", grace_period_seconds=0)
    with pytest.raises(ApiError):
        await client.get(Pod, "p", "ns")


async def test_a_pod_without_a_node_is_gone_at_once(client: LocalClient) -> None:
    await client.create(pod("p"))
    await client.delete(Pod, "p", "ns")
    with pytest.raises(ApiError):
        await client.get(Pod, "p", "ns")


async def test_a_namespace_goes_when_its_finalizer_does(client: LocalClient) -> None:
    await client.delete(Namespace, "ns")
    going = await client.get(Namespace, "ns")
    assert going.status.phase == "Terminating"
    with pytest.raises(ApiError, match="because it is being terminated") as caught:
        await client.create(config("a"))
    assert caught.value.code == 403
    assert caught.value.status.details is not None
    assert caught.value.status.details.causes[0].reason == "NamespaceTerminating"
    going.spec.finalizers = []
    await client.update(going, subresource="finalize")
    with pytest.raises(ApiError):
        await client.get(Namespace, "ns")


async def test_binding_a_pod_that_goes(client: LocalClient) -> None:
    await client.create(pod("p"))
    target = ObjectReference(kind="Node", name="n")
    body = Binding(metadata=ObjectMeta(name="p", uid="other"), target=target)
    with pytest.raises(ApiError, match="UID in precondition"):
        await client.create_subresource(Pod, "p", "ns", "binding", body)
    body = Binding(metadata=ObjectMeta(name="p"), target=target)
    await client.create_subresource(Pod, "p", "ns", "binding", body)
    bound = await client.get(Pod, "p", "ns")
    assert bound.spec.node_name == "n" and bound.metadata.generation == 1


async def test_a_watch_begins_where_a_list_ended(client: LocalClient) -> None:
    await client.create(config("a"))
    listed = await client.list(ConfigMap, "ns")
    await client.create(config("b"))
    events = client.watch(ConfigMap, "ns", resource_version=listed.resource_version)
    event = await anext(events)
    assert event.type == "ADDED" and event.object is not None
    assert event.object.metadata.name == "b"
    assert event.resource_version == event.object.metadata.resource_version
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_stopped_watch_leaves_nothing_behind(
    registry: Registry, client: LocalClient
) -> None:
    events = client.watch(ConfigMap, resource_version="0")
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await events.aclose()  # type: ignore[attr-defined]
    assert registry.kind_of(ConfigMap).cache.statistics()["subscriptions"] == 0


# Addresses of Services


async def keys(registry: Registry, prefix: str) -> set[str]:
    found = await registry.store.range(prefix)
    return {item.key.removeprefix(prefix) for item in found.items}


async def test_addresses_come_and_go_with_their_services(
    registry: Registry, client: LocalClient
) -> None:
    made = await client.create(service("s", type="NodePort"))
    address, port = made.spec.cluster_ip, made.spec.ports[0].node_port
    assert made.spec.cluster_ips == [address]
    assert made.spec.ip_families == ["IPv4"] and made.spec.ip_family_policy == "SingleStack"
    assert address not in ("10.96.0.0", "10.96.0.1", "10.96.0.10", "10.96.0.255")
    assert await keys(registry, ADDRESSES) == {address}
    assert await keys(registry, PORTS) == {f"{port}/TCP"}
    await client.delete(Service, "s", "ns")
    assert not await keys(registry, ADDRESSES) and not await keys(registry, PORTS)


async def test_a_replace_keeps_the_addresses_it_does_not_mention(
    registry: Registry, client: LocalClient
) -> None:
    made = await client.create(service("s", type="NodePort"))
    again = await client.update(service("s", type="NodePort", ports=[ServicePort(port=80)]))
    assert again.spec.cluster_ip == made.spec.cluster_ip
    assert again.spec.ports[0].node_port == made.spec.ports[0].node_port
    moved = await client.update(service("s", type="NodePort", ports=[ServicePort(port=81)]))
    assert await keys(registry, PORTS) == {f"{moved.spec.ports[0].node_port}/TCP"}


async def test_a_service_that_becomes_external_gives_back_all(
    registry: Registry, client: LocalClient
) -> None:
    await client.create(service("s", type="NodePort"))
    external = service("s", type="ExternalName", external_name="example.com", ports=[])
    made = await client.update(external)
    assert made.spec.cluster_ip == ""
    assert not await keys(registry, ADDRESSES) and not await keys(registry, PORTS)
    back = await client.update(service("s"))
    assert await keys(registry, ADDRESSES) == {back.spec.cluster_ip}


async def test_headless_services_have_no_address(registry: Registry, client: LocalClient) -> None:
    made = await client.create(service("s", cluster_ip="None"))
    assert made.spec.cluster_ip == "None" and made.spec.cluster_ips == ["None"]
    assert not await keys(registry, ADDRESSES)


async def test_one_node_port_for_tcp_and_udp(client: LocalClient) -> None:
    ports = [
        ServicePort(name="udp", port=53, protocol="UDP"),
        ServicePort(name="tcp", port=53, protocol="TCP"),
    ]
    made = await client.create(service("s", type="NodePort", ports=ports))
    assert made.spec.ports[0].node_port == made.spec.ports[1].node_port


async def test_a_range_is_used_to_its_end_and_not_further(client: LocalClient) -> None:
    made = [await client.create(service(f"s{n}", type="NodePort")) for n in range(32)]
    assert len({one.spec.ports[0].node_port for one in made}) == 32
    assert len({one.spec.cluster_ip for one in made}) == 32
    with pytest.raises(ApiError, match="range is full"):
        await client.create(service("more", type="NodePort"))
    await client.delete(Service, "s7", "ns")
    again = await client.create(service("more", type="NodePort"))
    assert again.spec.ports[0].node_port == made[7].spec.ports[0].node_port


async def test_services_made_at_once_get_different_addresses(client: LocalClient) -> None:
    made = await asyncio.gather(
        *(client.create(service(f"s{n}", type="NodePort")) for n in range(30))
    )
    assert len({one.spec.cluster_ip for one in made}) == 30
    assert len({one.spec.ports[0].node_port for one in made}) == 30


async def test_a_service_that_exists_is_said_to_exist(client: LocalClient) -> None:
    await client.create(service("s", cluster_ip="10.96.0.7"))
    with pytest.raises(ApiError) as caught:
        await client.create(service("s", cluster_ip="10.96.0.7"))
    assert errors.is_already_exists(caught.value)
    with pytest.raises(ApiError, match="provided IP is already allocated"):
        await client.create(service("t", cluster_ip="10.96.0.7"))


async def test_a_dry_run_takes_no_address(registry: Registry, client: LocalClient) -> None:
    made = await client.create(service("s"), dry_run=True)
    assert made.spec.cluster_ip and not await keys(registry, ADDRESSES)


async def test_pods_are_found_by_their_node(client: LocalClient) -> None:
    for number in range(4):
        await client.create(pod(f"p{number}", node_name="n" if number % 2 else "m"))
    found = await client.list(Pod, field_selector="spec.nodeName=n")
    assert [one.metadata.name for one in found.items] == ["p1", "p3"]
    assert not (await client.list(Pod, "other", field_selector="spec.nodeName=n")).items


async def test_objects_do_not_grow_without_bound(client: LocalClient) -> None:
    """Each body is bounded; what patch after patch adds up to must be, too."""
    await client.create(pod("large"))

    async def say(**status: str) -> None:
        await client.patch(Pod, "large", "ns", {"status": status}, subresource="status")

    await say(message="x" * 2_500_000)
    with pytest.raises(ApiError) as caught:
        await say(reason="y" * 2_500_000)
    assert caught.value.code == 413
    await client.delete(Pod, "large", "ns")  # what is there already can be dealt with


async def test_admission_reads_one_object_or_all_of_a_namespace(
    registry: Registry, client: LocalClient
) -> None:
    await client.create(Namespace(metadata=ObjectMeta(name="other")))
    for name, namespace in (("b", "ns"), ("a", "ns"), ("c", "other")):
        await client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace)))
    reader: Reader = CacheReader(registry)
    await reader.fresh(ConfigMap)
    assert [one.metadata.name for one in reader.list(ConfigMap, "ns")] == ["a", "b"]
    assert [one.metadata.name for one in reader.list(ConfigMap)] == ["a", "b", "c"]
    assert reader.get(ConfigMap, "c", "ns") is None
