"""What a pod asks of its node, computed once per pod: the scheduler's view of a PodSpec."""

from dataclasses import dataclass

from api import objects, pods
from api.core import Pod, PodSpec
from api.pods import HostPort

DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a pod without requests is taken to use when nodes are compared, so that such pods spread."""


@dataclass(frozen=True, slots=True)
class Request:
    """A pod as placement sees it.

    `resources` is in the units of `api.pods.pod_requests`: milli-CPU under `cpu`, bytes or counts
    under every other name; `pods` is not among them (every pod takes one).
    `owner` is the UID of the controlling owner, for spreading; a pod that is being deleted has none,
    or its successor would shun the node that is just becoming free.
    """

    uid: str
    spec: PodSpec
    resources: dict[str, int]
    host_ports: frozenset[HostPort]
    owner: str

    @property
    def likely_use(self) -> tuple[int, int]:
        """Milli-CPU and bytes of memory by which nodes are compared; never 0."""
        return (
            self.resources.get("cpu", 0) or DEFAULT_MILLI_CPU,
            self.resources.get("memory", 0) or DEFAULT_MEMORY,
        )


def request_of(pod: Pod) -> Request:
    """The placement request of a pod; `spec.node_name` is empty while it is not bound."""
    owner = objects.controller_of(pod)
    return Request(
        uid=pod.metadata.uid,
        spec=pod.spec,
        resources=pods.pod_requests(pod),
        host_ports=frozenset(pods.host_ports(pod)),
        owner="" if owner is None or pod.metadata.deletion_timestamp else owner.uid,
    )
