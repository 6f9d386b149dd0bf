"""Whether the node takes a pod that it is given (step 4 of the pod's walk). Pure.

The scheduler has looked before, but a pod that names its node itself, one from a file, or one of another
scheduler has been looked at by nobody. What does not fit fails at once, as Kubernetes has it ("Pod
Lifecycle", pods rejected by the kubelet), so that whoever owns the pod makes another one. The rules are
those that a kubelet shares with the scheduler: resources, nodeSelector and required node affinity, host
ports, and taints with the effect NoExecute; its reasons and words.

A critical pod and one from a file of the node is not refused for want of resources: the node cannot do
without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.node.eviction import CRITICAL_PRIORITY
from agent.pod.observed import Refusal
from api import resources
from api.core import Node, Pod
from api.nodes import matches_required
from api.pods import host_ports, pod_requests, untolerated
from api.resources import Amounts, add

_HUGE_PAGES = "hugepages-"


def refusal(
    pod: Pod,
    *,
    node: Node | None,
    allocatable: Mapping[str, str],
    others: Sequence[Pod],
    static: bool = False,
) -> Refusal | None:
    """The first reason to turn the pod away; None when it may run.

    `node`: as the API shows it, None when it has not been seen; `others`: the pods that were let in
    before and have not ended, with the amounts that count.
    """
    critical = static or (pod.spec.priority or 0) >= CRITICAL_PRIORITY
    if not critical and (short := _short_of(pod, _counted(node, allocatable), others)):
        return short
    if node is not None and not matches_required(pod.spec, node):
        return _failed("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    taken = [port for other in others for port in host_ports(other)]
    if any(port.conflicts(other) for port in host_ports(pod) for other in taken):
        return _failed("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    if node is not None and not static:
        if untolerated(node.spec.taints, pod.spec.tolerations, "NoExecute") is not None:
            return _failed("TaintToleration", "node(s) had untolerated taint(s)")
    return None


def together(pods: Sequence[Pod]) -> Amounts:
    """What they request, summed."""
    total: Amounts = {}
    for pod in pods:
        add(total, pod_requests(pod))
    return total


def _counted(node: Node | None, allocatable: Mapping[str, str]) -> Amounts:
    """What the agent has counted itself, and what others have declared on the Node."""
    declared = {} if node is None else node.status.allocatable
    return resources.amounts({**declared, **allocatable})


def _short_of(pod: Pod, there: Amounts, others: Sequence[Pod]) -> Refusal | None:
    if resources.PODS in there and len(others) + 1 > there[resources.PODS]:
        return _out_of(resources.PODS, 1, len(others), there[resources.PODS])
    wanted = {name: number for name, number in pod_requests(pod).items() if number > 0}
    used = together(others) if wanted else {}
    first = (resources.CPU, resources.MEMORY, resources.EPHEMERAL_STORAGE)
    for name in (*first, *sorted(wanted.keys() - set(first))):
        # What the node does not count at all may be for an extender of the scheduler to count.
        if name not in wanted or (name not in there and not name.startswith(_HUGE_PAGES)):
            continue
        taken, capacity = used.get(name, 0), there.get(name, 0)
        if wanted[name] + taken > capacity:
            return _out_of(name, wanted[name], taken, capacity)
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Refusal:
    message = f"Node didn't have enough resource: {name}, "
    message += f"requested: {requested}, used: {used}, capacity: {capacity}"
    return Refusal(reason=f"OutOf{name}", field="", message=message, rejected=True)


def _failed(rule: str, words: str) -> Refusal:
    message = f"Predicate {rule} failed: {words}"
    return Refusal(reason=rule, field="", message=message, rejected=True)
