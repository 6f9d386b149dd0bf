"""Node ranges, namespaces, services and certificates, over the real store and registry."""

from typing import Any

import msgspec
import pytest

from api import conditions, errors
from api.certificates import CertificateSigningRequest, CertificateSigningRequestSpec
from api.client import Client
from api.core import ConfigMap, Endpoints, Namespace, Node, Pod, Secret, Service, ServiceAccount
from api.discovery import EndpointSlice
from api.meta import ObjectMeta
from base import pki
from base.clock import SystemClock
from control.admission.chain import Plugin
from control.admission.namespacelifecycle import NamespaceLifecycle
from control.controllers.lifecycle.certificates import CLIENT_SIGNER, SERVING_SIGNER, judge
from control.controllers.lifecycle.namespace import NamespaceController, Remains
from tests.integration.controllers.conftest import Plane, eventually
from tests.unit.controllers.making import service
from tests.unit.scheduler.making import pod


async def test_nodes_get_ranges_that_do_not_overlap(plane: Plane) -> None:
    for name in ("n1", "n2", "n3"):
        await plane.agents.add_node(name)

    async def given() -> list[str] | None:
        nodes = (await plane.client.list(Node)).items
        ranges = [node.spec.pod_cidr for node in nodes]
        return ranges if all(ranges) and len(ranges) == 3 else None

    ranges = await eventually(given)
    assert ranges is not None
    assert sorted(ranges) == ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]


async def test_every_namespace_is_furnished_and_emptied(plane: Plane) -> None:
    await plane.client.create(Namespace(metadata=ObjectMeta(name="shop")))

    async def furnished() -> bool:
        account = await plane.client.get(ServiceAccount, "default", "shop")
        bundle = await plane.client.get(ConfigMap, "kube-root-ca.crt", "shop")
        return bool(account.metadata.uid) and bundle.data["ca.crt"].encode() == plane.ca

    await eventually(furnished)
    held = ConfigMap(
        metadata=ObjectMeta(name="held", namespace="shop", finalizers=["example.com/x"])
    )
    await plane.client.create(held)
    await plane.client.delete(Namespace, "shop")

    async def says_why() -> bool:
        found = await plane.client.get(Namespace, "shop")
        told = {c.type: c for c in found.status.conditions}
        return (
            found.status.phase == "Terminating"
            and "configmaps. has 1" in told["NamespaceContentRemaining"].message
            and "example.com/x in 1" in told["NamespaceFinalizersRemaining"].message
        )

    await eventually(says_why)
    with pytest.raises(errors.ApiError, match="being terminated"):
        await plane.client.create(ConfigMap(metadata=ObjectMeta(name="late", namespace="shop")))
    await plane.client.patch(ConfigMap, "held", "shop", {"metadata": {"finalizers": None}})

    await eventually(lambda: _is_gone(plane, "shop"))


async def _is_gone(plane: Plane, namespace: str) -> bool:
    return namespace not in {n.metadata.name for n in (await plane.client.list(Namespace)).items}


async def test_a_namespace_loses_its_pods_first(plane: Plane) -> None:
    """What they read, and what shields them, is there until the last one has ended."""
    await plane.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    held = pod("held", namespace="shop")
    held.metadata.finalizers = ["example.com/hold"]
    await plane.client.create(held)
    await plane.client.create(pod("free", namespace="shop"))
    await plane.client.create(ConfigMap(metadata=ObjectMeta(name="read", namespace="shop")))
    await plane.client.delete(Namespace, "shop")

    async def one_pod_remains() -> bool:
        found = await plane.client.get(Namespace, "shop")
        told = {c.type: c.message for c in found.status.conditions}
        return told["NamespaceContentRemaining"] == (
            "Some resources are remaining: pods. has 1 resource instances"
        )

    await eventually(one_pod_remains)
    await plane.clock.sleep(1.5)
    read = await plane.client.get(ConfigMap, "read", "shop")
    assert read.metadata.deletion_timestamp is None
    assert (await plane.client.list(ServiceAccount, "shop")).items
    await plane.client.patch(Pod, "held", "shop", {"metadata": {"finalizers": None}})
    await eventually(lambda: _is_gone(plane, "shop"))


async def test_a_namespace_that_others_hold_says_that_it_is_empty(plane: Plane) -> None:
    await plane.client.create(Namespace(metadata=ObjectMeta(name="held")))
    held = await plane.client.get(Namespace, "held")
    held.spec.finalizers = [*held.spec.finalizers, "example.com/mine"]
    await plane.client.update(held, subresource="finalize")
    await plane.client.delete(Namespace, "held")

    async def let_go() -> Namespace | None:
        found = await plane.client.get(Namespace, "held")
        return found if found.spec.finalizers == ["example.com/mine"] else None

    left = await eventually(let_go)
    told = {one.type: one.status for one in left.status.conditions}
    assert len(told) == 5 and set(told.values()) == {"False"}
    left.spec.finalizers = []
    await plane.client.update(left, subresource="finalize")
    await eventually(lambda: _is_gone(plane, "held"))


async def test_a_namespace_says_how_much_is_left_and_why_it_cannot_be_deleted(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.controllers.lifecycle.namespace.PAGE", 2)
    await plane.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    for number in range(5):
        name, held = f"c{number}", ["example.com/hold"] * (number < 3)
        metadata = ObjectMeta(name=name, namespace="shop", finalizers=held)
        await plane.client.create(ConfigMap(metadata=metadata))
    await plane.client.create(Secret(metadata=ObjectMeta(name="stuck", namespace="shop")))
    controller = next(c for c in plane.manager.controllers if c.name == "namespace-controller")
    refusing: Any = Refusing(plane.client, "stuck")
    controller.client = refusing
    await plane.client.delete(Namespace, "shop")

    async def told() -> bool:
        found = await plane.client.get(Namespace, "shop")
        said = {c.type: c.message for c in found.status.conditions}
        return said["NamespaceContentRemaining"] == (
            "Some resources are remaining: configmaps. has 3 resource instances,"
            " secrets. has 1 resource instances"
        ) and said["NamespaceDeletionContentFailure"] == (
            "Failed to delete all resource types, 1 remaining: secrets stuck: no, not this one"
        )

    await eventually(told)
    controller.client = plane.client
    for number in range(3):
        body = {"metadata": {"finalizers": None}}
        await plane.client.patch(ConfigMap, f"c{number}", "shop", body)
    await eventually(lambda: _is_gone(plane, "shop"))


class Refusing:
    """A client that deletes everything but one."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def delete(self, type_: type[Any], name: str, *arguments: Any, **more: Any) -> None:
        if name == self._name:
            raise errors.unavailable("no, not this one")
        await self._client.delete(type_, name, *arguments, **more)


async def test_endpoints_follow_readiness(plane: Plane) -> None:
    await plane.agents.add_node("n1")
    wanted = service()
    wanted.metadata.uid = ""
    await plane.client.create(wanted)
    plane.agents.hold = True
    await plane.deploy(replicas=2)

    async def counts() -> tuple[int, int, int]:
        found = await plane.client.get(Endpoints, "web", "default")
        ready = sum(len(s.addresses) for s in found.subsets)
        not_ready = sum(len(s.not_ready_addresses) for s in found.subsets)
        slices = await plane.client.list(
            EndpointSlice, "default", label_selector="kubernetes.io/service-name=web"
        )
        serving = sum(e.conditions.ready is True for s in slices.items for e in s.endpoints)
        return ready, not_ready, serving

    async def reach(expected: tuple[int, int, int]) -> None:
        async def reached() -> bool:
            return await counts() == expected

        await eventually(reached)

    await reach((0, 2, 0))
    plane.agents.hold = False
    await reach((2, 0, 2))
    await plane.client.delete(Service, "web", "default")

    async def gone() -> bool:
        slices = (await plane.client.list(EndpointSlice, "default")).items
        endpoints = (await plane.client.list(Endpoints, "default")).items
        return {o.metadata.name for o in (*slices, *endpoints)} == {"kubernetes"}

    assert await eventually(gone)


async def test_a_pod_that_fits_nowhere_says_why_and_is_placed_when_it_can(plane: Plane) -> None:
    await plane.agents.add_node("small", cpu="1")
    wanted = msgspec.convert(
        {
            "metadata": {"name": "big", "namespace": "default"},
            "spec": {
                "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}}}]
            },
        },
        type=Pod,
    )
    await plane.client.create(wanted)

    async def refused() -> bool:
        found = await plane.client.get(Pod, "big", "default")
        scheduled = conditions.find(found.status.conditions, "PodScheduled")
        return scheduled is not None and (
            scheduled.message
            == "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
            "1 Preemption is not helpful for scheduling."
        )

    await eventually(refused)
    await plane.agents.add_node("large", cpu="4")

    async def placed() -> bool:
        return (await plane.client.get(Pod, "big", "default")).spec.node_name == "large"

    assert await eventually(placed)


def request(csr: bytes, signer: str, username: str, *groups: str) -> CertificateSigningRequest:
    purpose = "client auth" if signer == CLIENT_SIGNER else "server auth"
    return CertificateSigningRequest(
        metadata=ObjectMeta(name="csr"),
        spec=CertificateSigningRequestSpec(
            request=csr,
            signer_name=signer,
            usages=["digital signature", purpose],
            username=username,
            groups=list(groups),
        ),
    )


@pytest.mark.parametrize(
    ("common_name", "organization", "signer", "username", "groups", "outcome"),
    [
        (
            "system:node:n1",
            "system:nodes",
            CLIENT_SIGNER,
            "system:bootstrap:x",
            ("system:bootstrappers",),
            True,
        ),
        (
            "system:node:n1",
            "system:nodes",
            CLIENT_SIGNER,
            "system:node:n1",
            ("system:nodes",),
            True,
        ),
        (
            "system:node:n2",
            "system:nodes",
            CLIENT_SIGNER,
            "system:node:n1",
            ("system:nodes",),
            False,
        ),
        ("system:node:n1", "system:nodes", CLIENT_SIGNER, "jane", (), False),
        (
            "admin",
            "system:masters",
            CLIENT_SIGNER,
            "system:bootstrap:x",
            ("system:bootstrappers",),
            False,
        ),
        (
            "system:node:n1",
            "system:masters",
            CLIENT_SIGNER,
            "system:bootstrap:x",
            ("system:bootstrappers",),
            False,
        ),
        (
            "system:node:n1",
            "system:nodes",
            SERVING_SIGNER,
            "system:node:n1",
            ("system:nodes",),
            True,
        ),
        (
            "system:node:n1",
            "system:nodes",
            SERVING_SIGNER,
            "system:bootstrap:x",
            ("system:bootstrappers",),
            False,
        ),
    ],
)
def test_who_gets_a_certificate(
    common_name: str,
    organization: str,
    signer: str,
    username: str,
    groups: tuple[str, ...],
    outcome: bool,
) -> None:
    serving = ["10.0.0.1"] if signer == SERVING_SIGNER else []
    made = pki.make_csr(common_name=common_name, organizations=[organization], ip_addresses=serving)
    asked = request(made.csr_pem, signer, username, *groups)
    assert judge(asked, pki.read_csr(made.csr_pem)).approve is outcome


async def test_a_joining_node_gets_its_certificate(plane: Plane) -> None:
    made = pki.make_csr(common_name="system:node:n1", organizations=["system:nodes"])
    asked = request(made.csr_pem, CLIENT_SIGNER, "ignored")
    created = await plane.client.create(asked)
    assert created.spec.username != "ignored", "who asks is not for the asker to say"

    async def decided() -> bool:
        found = await plane.client.get(CertificateSigningRequest, "csr")
        return bool(found.status.certificate) or bool(found.status.conditions)

    if "system:bootstrappers" in created.spec.groups or created.spec.username == "system:node:n1":
        assert await eventually(decided)
    else:
        approved = {"type": "Approved", "status": "True", "reason": "Test"}
        await plane.client.patch(
            CertificateSigningRequest,
            "csr",
            "",
            {"status": {"conditions": [approved]}},
            subresource="approval",
        )
        await eventually(decided)

    async def signed() -> bytes:
        return (await plane.client.get(CertificateSigningRequest, "csr")).status.certificate

    certificate = await eventually(signed)
    facts = pki.read_certificate(certificate)
    assert facts.subject.common_name == "system:node:n1"
    assert facts.client
    assert not facts.server
    assert pki.is_issued_by(certificate, plane.ca)
    assert facts.not_after > SystemClock().now()


async def test_what_slips_into_a_namespace_as_it_goes_is_deleted_with_it(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A create that was admitted before the Terminating mark may be written after the first look."""
    monkeypatch.setattr(NamespaceLifecycle, "admit", Plugin.admit)
    await plane.client.create(Namespace(metadata=ObjectMeta(name="brief")))
    look, found = NamespaceController._empty, list[bool]()

    async def and_somebody_writes(self: NamespaceController, namespace: str) -> Remains:
        remains = await look(self, namespace)
        if not found:
            late = ConfigMap(metadata=ObjectMeta(name="late", namespace=namespace))
            await plane.client.create(late)
        found.append(remains.empty)
        return remains

    monkeypatch.setattr(NamespaceController, "_empty", and_somebody_writes)
    await plane.client.delete(Namespace, "brief")
    await eventually(lambda: _is_gone(plane, "brief"))
    assert len(found) > 1
    assert not (await plane.client.list(ConfigMap, "brief")).items
