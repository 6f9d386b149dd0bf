"""Whether a pod fits on the node that it is given (step 4 of the pod's walk). Pure.

The scheduler has looked before, but a pod that names its node itself, one from a file, or one of another
scheduler has been looked at by nobody. What does not fit fails at once, as Kubernetes has it ("Pod
Lifecycle", pods rejected by the kubelet), so that whoever owns the pod makes another one. The rules are
those that a kubelet shares with the scheduler: resources, nodeSelector and required node affinity, host
ports, and taints with the effect NoExecute; its reasons and words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.pod.observed import Refusal
from agent.resources import hugepages
from api import resources
from api.core import Node, Pod
from api.nodes import matches_required
from api.pods import HostPort, host_ports, pod_requests, untolerated
from api.resources import Amounts, add


@dataclass(frozen=True, kw_only=True)
class Short:
    """A resource of which the node has too little left."""

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def missing(self) -> int:
        """How much others would have to give back."""
        return self.requested + self.used - self.capacity

    @property
    def refusal(self) -> Refusal:
        message = f"Node didn't have enough resource: {self.resource}, "
        message += f"requested: {self.requested}, used: {self.used}, capacity: {self.capacity}"
        return Refusal(reason=f"OutOf{self.resource}", field="", message=message, rejected=True)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What keeps a pod from a node."""

    short: tuple[Short, ...] = ()
    misfit: Refusal | None = None
    """What more room would not change."""

    @property
    def refusal(self) -> Refusal | None:
        """The first reason; None when the pod may run."""
        return self.short[0].refusal if self.short else self.misfit


@dataclass
class Taken:
    """What other pods have of the node, with the amounts that count."""

    amounts: Amounts = field(default_factory=dict)
    ports: list[HostPort] = field(default_factory=list)

    @classmethod
    def by(cls, pods: Iterable[Pod]) -> Taken:
        taken = cls()
        for pod in pods:
            taken.add(pod)
        return taken

    def add(self, pod: Pod) -> None:
        add(self.amounts, share(pod))
        self.ports += host_ports(pod)


def look(pod: Pod, *, node: Node | None, there: Amounts, taken: Taken, static: bool = False) -> Fit:
    """Judge the pod, with the amounts that count.

    `node`: as the API shows it, None when it has not been seen; `there`: see `counted`.
    """
    short = tuple(_short_of(pod, there, taken.amounts))
    return Fit(short=short, misfit=_misfit(pod, node, taken.ports, static=static))


def counted(node: Node | None, allocatable: Mapping[str, str]) -> Amounts:
    """What the agent has counted itself, and what others have declared on the Node."""
    declared = {} if node is None else node.status.allocatable
    return resources.amounts({**declared, **allocatable})


def share(pod: Pod) -> Amounts:
    """What a pod takes of a node, its place among the pods included, and what its end gives back."""
    return pod_requests(pod) | {resources.PODS: 1}


def minds_labels(pod: Pod) -> bool:
    """Whether it matters to the pod what labels its node has."""
    affinity = pod.spec.affinity
    return bool(pod.spec.node_selector or (affinity is not None and affinity.node_affinity))


def _short_of(pod: Pod, there: Amounts, taken: Amounts) -> Iterator[Short]:
    wanted = share(pod)
    first = (resources.PODS, resources.CPU, resources.MEMORY, resources.EPHEMERAL_STORAGE)
    for name in (*first, *sorted(wanted.keys() - set(first))):
        # What the node does not count at all may be for an extender of the scheduler to count.
        requested, used = wanted.get(name, 0), taken.get(name, 0)
        if requested <= 0 or (name not in there and not name.startswith(hugepages.PREFIX)):
            continue
        capacity = there.get(name, 0)
        if requested + used > capacity:
            yield Short(resource=name, requested=requested, used=used, capacity=capacity)


def _misfit(
    pod: Pod, node: Node | None, taken: Sequence[HostPort], *, static: bool
) -> Refusal | None:
    if node is not None and not matches_required(pod.spec, node):
        return _failed("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if any(port.conflicts(other) for port in host_ports(pod) for other in taken):
        return _failed("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    if node is not None and not static:
        if untolerated(node.spec.taints, pod.spec.tolerations, "NoExecute") is not None:
            return _failed("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _failed(rule: str, words: str) -> Refusal:
    message = f"Predicate {rule} failed: {words}"
    return Refusal(reason=rule, field="", message=message, rejected=True)
