"""The ResourceQuota plugin: what is written beside an object, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api.core import (
    ConfigMap,
    Container,
    Pod,
    PodSpec,
    PodStatus,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    ResourceRequirements,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from api.scheme import resource_of
from base.clock import FakeClock
from control.admission.chain import Attributes, Operation
from control.admission.resourcequota import ResourceQuotaPlugin
from control.auth.user import in_process
from control.store.interface import Amend, KeyValue


class Book:
    """Quotas in memory; what amends one gives its usage as bytes."""

    def __init__(self, *quotas: ResourceQuota) -> None:
        self.found = {one.metadata.name: one for one in quotas}

    async def quotas(self, namespace: str) -> list[ResourceQuota]:
        return [self.read(name) for name in self.found]

    def read(self, name: str) -> ResourceQuota:
        one = self.found[name]
        status = ResourceQuotaStatus(used=dict(one.status.used))
        return ResourceQuota(metadata=one.metadata, spec=one.spec, status=status)

    def amend(self, quota: ResourceQuota, change: Callable[[ResourceQuota], None]) -> Amend:
        def rewrite(current: KeyValue) -> bytes:
            found = self.read(quota.metadata.name)
            change(found)
            self.found[quota.metadata.name] = found
            return repr(found.status.used).encode()

        return Amend(quota.metadata.name, rewrite)


CURRENT = KeyValue("", b"", 1, 1)


def quota(name: str = "q", used: dict[str, str] | None = None, **hard: str) -> ResourceQuota:
    amounts = {key.replace("_", "."): value for key, value in hard.items()}
    return ResourceQuota(
        metadata=ObjectMeta(name=name, namespace="ns"),
        spec=ResourceQuotaSpec(hard=amounts),
        status=ResourceQuotaStatus(used=dict.fromkeys(amounts, "0") | (used or {})),
    )


def pod(phase: str = "Pending", **amounts: dict[str, str]) -> Pod:
    container = Container(name="app", image="i", resources=ResourceRequirements(**amounts))
    return Pod(
        metadata=ObjectMeta(name="p", namespace="ns"),
        spec=PodSpec(containers=[container]),
        status=PodStatus(phase=phase),
    )


def service(type_: str) -> Service:
    return Service(spec=ServiceSpec(type=type_, ports=[ServicePort(port=80)]))


def request(
    new: Any = None, old: Any = None, subresource: str = "", operation: Operation | None = None
) -> Attributes:
    if operation is None:
        operation = Operation.UPDATE if old is not None else Operation.CREATE
    return Attributes(
        operation=operation,
        resource=resource_of(type(old if new is None else new)),
        subresource=subresource,
        namespace="ns",
        name="p",
        user=in_process("test"),
        object=new,
        old=old,
    )


def deletion(old: Any) -> Attributes:
    return request(None, old, operation=Operation.DELETE)


async def written(attributes: Attributes, *quotas: ResourceQuota) -> dict[str, str]:
    """What is written beside the object, by the quota's name."""
    plugin = ResourceQuotaPlugin(Book(*quotas), FakeClock())
    assert plugin.handles(attributes.resource, attributes.operation, attributes.subresource)
    await plugin.validate(attributes)
    writes = await plugin.beside(attributes)
    return {one.key: one.change(CURRENT).decode() for one in writes if isinstance(one, Amend)}


async def refused(attributes: Attributes, *quotas: ResourceQuota) -> str:
    with pytest.raises(ApiError) as caught:
        await written(attributes, *quotas)
    assert caught.value.status.code == 403
    return str(caught.value)


async def test_every_quota_that_counts_it_is_charged() -> None:
    found = await written(
        request(pod(requests={"cpu": "500m"})),
        quota("numbers", pods="5", used={"pods": "1"}),
        quota("compute", cpu="4", used={"cpu": "1"}),
        quota("services", services="1"),
    )
    assert found == {"numbers": "{'pods': '2'}", "compute": "{'cpu': '1500m'}"}


async def test_too_much_is_refused_in_the_words_of_kubernetes() -> None:
    full = quota("compute", cpu="4", used={"cpu": "4"})
    assert await refused(request(pod(requests={"cpu": "1"})), full) == (
        'pods "p" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4, limited: cpu=4'
    )


async def test_what_is_limited_must_be_said() -> None:
    compute = quota("compute", limits_cpu="4", requests_memory="1Gi")
    assert await refused(request(pod(requests={"memory": "1"})), compute) == (
        'pods "p" is forbidden: failed quota: compute: must specify limits.cpu for: app'
    )


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_ends_gives_back(phase: str) -> None:
    change = request(pod(phase), pod("Running"), "status")
    assert await written(change, quota(pods="5", used={"pods": "5"})) == {"q": "{'pods': '4'}"}


async def test_reports_are_never_refused() -> None:
    """Nor is a pod's own change: Kubernetes measures it when it is made and when it is resized."""
    change = request(pod("Running"), pod("Failed"), "status")
    assert await written(change, quota(pods="5", used={"pods": "5"})) == {"q": "{'pods': '6'}"}


async def test_a_deletion_gives_back_what_is_left() -> None:
    full = quota(pods="1", cpu="1", used={"pods": "1", "cpu": "500m"})
    found = await written(deletion(pod(requests={"cpu": "500m"})), full)
    assert found == {"q": "{'pods': '0', 'cpu': '0'}"}
    assert await written(deletion(pod("Failed")), full) == {}


async def test_a_resize_is_charged() -> None:
    old, new = pod(requests={"cpu": "1"}), pod(requests={"cpu": "3"})
    assert await written(request(new, old, "resize"), quota(cpu="4", used={"cpu": "1"})) == {
        "q": "{'cpu': '3'}"
    }
    said = await refused(request(new, old, "resize"), quota(cpu="4", used={"cpu": "3"}))
    assert "requested: cpu=2, used: cpu=3, limited: cpu=4" in said


async def test_a_service_that_gets_node_ports_is_charged() -> None:
    change = request(service("NodePort"), service("ClusterIP"))
    assert await written(change, quota(services_nodeports="1")) == {
        "q": "{'services.nodeports': '1'}"
    }
    assert "requested: services.nodeports=1" in await refused(change, quota(services_nodeports="0"))
    back = request(service("ClusterIP"), service("NodePort"))
    full = quota(services_nodeports="1", used={"services.nodeports": "1"})
    assert await written(back, full) == {"q": "{'services.nodeports': '0'}"}


async def test_a_quota_goes_without_being_written() -> None:
    """A key cannot stand twice in one transaction."""
    own, other = quota("p", resourcequotas="2"), quota("other", resourcequotas="2")
    own.status.used = other.status.used = {"resourcequotas": "2"}
    assert await written(deletion(own), own, other) == {"other": "{'resourcequotas': '1'}"}


async def test_what_is_not_counted_yet_is_waited_for() -> None:
    fresh = quota(pods="1")
    fresh.status.used = {}
    clock, book = FakeClock(), Book(fresh)
    plugin = ResourceQuotaPlugin(book, clock)
    waiting = asyncio.create_task(plugin.validate(request(pod())))
    await clock.run_for(0.2)
    assert not waiting.done()
    fresh.status.used = {"pods": "0"}
    await clock.run_for(0.1)
    await waiting


async def test_what_nobody_counts_is_refused() -> None:
    fresh = quota("compute", cpu="1", pods="1")
    fresh.status.used = {}
    clock = FakeClock()
    plugin = ResourceQuotaPlugin(Book(fresh), clock)
    waiting = asyncio.create_task(plugin.validate(request(pod(requests={"cpu": "1"}))))
    await clock.run_for(2)
    with pytest.raises(ApiError, match="status unknown for quota: compute, resources: cpu,pods"):
        await waiting
    # What goes is not held up; it is not there when it is counted.
    assert not await plugin.beside(deletion(pod(requests={"cpu": "1"})))


async def test_the_last_of_something_goes_to_whoever_is_written_first() -> None:
    """Both found room when they looked; the second is judged by what the first has left."""
    plugin = ResourceQuotaPlugin(Book(quota(pods="1")), FakeClock())
    (first,) = await plugin.beside(request(pod()))
    (second,) = await plugin.beside(request(pod()))
    assert isinstance(first, Amend) and isinstance(second, Amend)
    assert first.change(CURRENT) == b"{'pods': '1'}"
    with pytest.raises(ApiError, match="exceeded quota: q, requested: pods=1, used: pods=1"):
        second.change(CURRENT)
    with pytest.raises(ApiError, match="exceeded quota"):
        await plugin.beside(request(pod()))


@pytest.mark.parametrize(
    ("obj", "operation", "subresource", "handled"),
    [
        (pod(), Operation.CREATE, "", True),
        (pod(), Operation.CREATE, "binding", False),
        (pod(), Operation.UPDATE, "binding", False),
        (ConfigMap(), Operation.CREATE, "", True),
        (ConfigMap(), Operation.UPDATE, "", False),
        (ConfigMap(), Operation.DELETE, "", True),
        (pod(), Operation.CONNECT, "exec", False),
    ],
)
def test_what_can_change_usage(
    obj: Any, operation: Operation, subresource: str, handled: bool
) -> None:
    plugin = ResourceQuotaPlugin(Book(), FakeClock())
    assert plugin.handles(resource_of(type(obj)), operation, subresource) is handled
