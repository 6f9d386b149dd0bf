"""A cluster of namespace nodes with their networks running in this process, and objects for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from api.core import Service
from api.core.service import ServicePort, ServiceSpec
from api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from api.meta import ObjectMeta
from base.clock import SystemClock
from netplugin import HostPort, Mode, NodeNetwork, Peer
from netplugin.overlay import Plan
from netplugin.proxy.model import SERVICE_NAME_LABEL
from tests.integration.netplugin.lab import Lab, config


class Pod:
    """A namespace attached to a node; a small server runs in it on port 8080."""

    def __init__(self, name: str, namespace: str, address: str, node: NodeNetwork) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self.node = node


class Cluster:
    """Nodes on a switch."""

    def __init__(self, lab: Lab, state: Path, *, serve_dns: bool = False) -> None:
        self.lab = lab
        self.state = state
        self.serve_dns = serve_dns
        self.switch = lab.switch()
        self.nodes: list[NodeNetwork] = []
        self.namespaces: list[str] = []

    async def add_node(
        self, *, mode: Mode = Mode.AUTO, switch: str = "", address: str = ""
    ) -> NodeNetwork:
        index = len(self.nodes) + 1
        namespace = self.lab.namespace(f"node-{index}")
        settings = config(
            index,
            state=self.state / f"node-{index}",
            namespace=namespace,
            mode=mode,
            serve_dns=self.serve_dns,
            address=address,
        )
        self.lab.plug(namespace, switch or self.switch, f"n{index}", f"{settings.node_ip}/24")
        network = NodeNetwork(settings, SystemClock())
        self.nodes.append(network)
        self.namespaces.append(namespace)
        await network.setup()
        return network

    async def meet(self) -> list[Plan]:
        """Tell every node of the others; which way each chose to whom."""
        peers = [
            Peer(
                node=network.config.node_name,
                pod_cidr=network.config.pod_cidr,
                address=network.config.node_ip,
            )
            for network in self.nodes
        ]
        return [await network.set_peers(peers) for network in self.nodes]

    async def add_pod(
        self, node: NodeNetwork, name: str, *, host_ports: Sequence[HostPort] = ()
    ) -> Pod:
        namespace = self.lab.namespace(name)
        place = await node.attach(
            f"sandbox-{name}",
            f"/run/netns/{namespace}",
            pod=f"default/{name}",
            host_ports=host_ports,
        )
        self.lab.serve(namespace, name, port=8080)
        return Pod(name, namespace, str(place.ip), node)

    async def publish(self, services: Sequence[Service], slices: Sequence[EndpointSlice]) -> None:
        for network in self.nodes:
            await network.set_services(services, slices)

    async def close(self) -> None:
        for network in self.nodes:
            await network.close()


def service(
    name: str = "web",
    vip: str = "10.96.1.1",
    *,
    port: int = 80,
    node_port: int = 0,
    **spec: object,
) -> Service:
    """A service with the same port over TCP and UDP."""
    ports = [
        ServicePort(
            name=protocol.lower(),
            protocol=protocol,
            port=port,
            target_port=8080,
            node_port=node_port,
        )
        for protocol in ("TCP", "UDP")
    ]
    return Service(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=ServiceSpec(
            type="NodePort" if node_port else "ClusterIP",
            cluster_ip=vip,
            cluster_ips=[vip],
            ports=ports,
            **spec,  # type: ignore[arg-type]
        ),
    )


def endpoints(pods: Sequence[Pod], *, of: str = "web", ready: bool = True) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(name=f"{of}-1", namespace="default", labels={SERVICE_NAME_LABEL: of}),
        address_type="IPv4",
        ports=[
            EndpointPort(name=protocol.lower(), protocol=protocol, port=8080)
            for protocol in ("TCP", "UDP")
        ],
        endpoints=[
            Endpoint(
                addresses=[pod.address],
                conditions=EndpointConditions(ready=ready, serving=ready, terminating=False),
                node_name=pod.node.config.node_name,
                hostname=pod.name,
            )
            for pod in pods
        ],
    )
