"""A cluster at a glance: tables of nodes and pods, and where services answer. Pure but for `observe`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from api import timestamps
from api.client import HttpClient
from api.core import Node, Pod, Service
from base.clock import SystemClock
from cli.reporting import age, table


@dataclass(frozen=True, kw_only=True)
class Overview:
    now: datetime
    nodes: list[Node] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)


async def observe(client: HttpClient) -> Overview:
    return Overview(
        now=SystemClock().now(),
        nodes=(await client.list(Node)).items,
        pods=(await client.list(Pod)).items,
    )


def tables(seen: Overview, namespaces: Collection[str] = ()) -> str:
    """Nodes, and the pods of some namespaces or of all."""
    pods = [pod for pod in seen.pods if not namespaces or pod.metadata.namespace in namespaces]
    text = table(NODE_HEADINGS, [node_row(node, seen.now) for node in seen.nodes])
    if pods:
        text += "\n\n" + table(POD_HEADINGS, [pod_row(pod, seen.now) for pod in pods])
    return text


NODE_HEADINGS = ("NODE", "STATUS", "ADDRESS", "PODS CIDR", "AGE")
POD_HEADINGS = ("NAMESPACE", "POD", "READY", "STATUS", "RESTARTS", "IP", "NODE", "AGE")


def node_row(node: Node, now: datetime) -> tuple[str, ...]:
    address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
    return (
        node.metadata.name,
        node_status(node),
        address or "-",
        node.spec.pod_cidr or "-",
        _age(node.metadata.creation_timestamp, now),
    )


def node_status(node: Node) -> str:
    ready = next((c.status for c in node.status.conditions if c.type == "Ready"), "Unknown")
    words = ["Ready" if ready == "True" else "NotReady"]
    if node.spec.unschedulable:
        words.append("SchedulingDisabled")
    return ",".join(words)


def pod_row(pod: Pod, now: datetime) -> tuple[str, ...]:
    statuses = pod.status.container_statuses
    return (
        pod.metadata.namespace,
        pod.metadata.name,
        f"{sum(s.ready for s in statuses)}/{len(pod.spec.containers)}",
        pod_status(pod),
        str(sum(status.restart_count for status in statuses)),
        pod.status.pod_ip or "-",
        pod.spec.node_name or "-",
        _age(pod.metadata.creation_timestamp, now),
    )


def pod_status(pod: Pod) -> str:
    """The word that says most: what a container waits for, before the phase."""
    if pod.metadata.deletion_timestamp:
        return "Terminating"
    for status in pod.status.container_statuses:
        if status.state.waiting is not None and status.state.waiting.reason:
            return status.state.waiting.reason
    return pod.status.reason or pod.status.phase or "Pending"


def speaks_http(service: Service) -> bool:
    """Whether it makes sense to ask: it has a VIP, and a TCP port that is HTTP by name or number."""
    spec = service.spec
    return spec.cluster_ip not in ("", "None") and _http_port(service) is not None


def vip_url(service: Service) -> str:
    port = _http_port(service)
    return f"http://{service.spec.cluster_ip}" + ("" if port == 80 else f":{port}") + "/"


def _http_port(service: Service) -> int | None:
    for port in service.spec.ports:
        if port.protocol in ("", "TCP") and (port.port in (80, 8080) or "http" in port.name):
            return port.port
    return None


def _age(created: str | None, now: datetime) -> str:
    return age((now - timestamps.parse(created)).total_seconds()) if created else "-"
