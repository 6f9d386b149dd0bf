"""Which container of which pod is meant, and where its agent listens. Pure.

For whoever looks into a running pod. The refusals are worded as Kubernetes words them, and name what
there is to choose from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api import errors
from api.core import Node, Pod

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_AGENT_PORT = 10250
_ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname")


@dataclass(frozen=True, slots=True)
class Agent:
    """Where an agent listens. `name` is what its certificate must be for."""

    name: str
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def agent_of(node: Node) -> Agent:
    """The agent's address, as it told the cluster."""
    port = node.status.daemon_endpoints.kubelet_endpoint.port or _AGENT_PORT
    for wanted in _ADDRESS_TYPES:
        for address in node.status.addresses:
            if address.type == wanted and address.address:
                return Agent(node.metadata.name, address.address, port)
    raise errors.internal(f'node "{node.metadata.name}" has told no address of its agent')


def choose_container(pod: Pod, asked: str) -> str:
    """The container that is meant: the one asked for, the default, or the only one."""
    spec = pod.spec
    names = [one.name for one in spec.containers]
    init = [one.name for one in spec.init_containers]
    debug = [one.name for one in spec.ephemeral_containers]
    if asked:
        if asked in (*names, *init, *debug):
            return asked
        raise errors.bad_request(f"container {asked} is not valid for pod {pod.metadata.name}")
    default = pod.metadata.annotations.get(_DEFAULT_CONTAINER, "")
    if default in names:
        return default
    if len(names) == 1:
        return names[0]
    text = (
        f"a container name must be specified for pod {pod.metadata.name}, "
        f"choose one of: {_listed(names)}"
    )
    if init:
        text += f" or one of the init containers: {_listed(init)}"
    if debug:
        text += f" or one of the ephemeral containers: {_listed(debug)}"
    raise errors.bad_request(text)


def _listed(names: Iterable[str]) -> str:
    return f"[{' '.join(names)}]"
