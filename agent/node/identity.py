"""Who this node is: what it says of itself when it registers (before step 3 of the pod's walk). Pure, but
for what it reads of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.containers.records import EngineInfo
from agent.node import machine
from agent.node.eviction import Signal
from agent.node.nodestatus import NodeIdentity
from agent.resources.values import allocatable
from agent.settings import AgentSettings
from agent.spec.runtimes import handlers
from api import quantity

CUSTOMARY = {
    "node.alpha.kubernetes.io/ttl": "0",
    "volumes.kubernetes.io/controller-managed-attach-detach": "true",
}
"""Every Node has these ("Well-Known Labels, Annotations and Taints"): what pods refer to is not served from
a cache that may be older, and the agent attaches no volumes by itself."""


def identity(
    settings: AgentSettings, engine: EngineInfo, *, name: str, address: str
) -> NodeIdentity:
    """The node as it registers itself."""
    capacity = machine.capacity(
        engine, max_pods=settings.max_pods, overrides=settings.amounts(settings.capacity)
    )
    reserved = settings.reserved()
    architecture = machine.architecture()
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
    }
    return NodeIdentity(
        name=name,
        address=address,
        port=settings.port,
        capacity=capacity,
        allocatable=allocatable(capacity, reserved, _kept(settings, capacity)),
        info=machine.system_info(engine),
        labels=labels | dict(one.split("=", 1) for one in settings.node_label),
        annotations=CUSTOMARY | limitations(engine),
        recursive_read_only=engine.recursive_read_only,
        taints=settings.taints(),
        registers=settings.register_node,
        max_images=settings.node_status_max_images,
        runtime_handlers=handlers(settings.amounts(settings.runtime_handlers), engine),
    )


_KEPT = {"memory": Signal.MEMORY, "ephemeral-storage": Signal.NODE_DISK}


def _kept(settings: AgentSettings, capacity: Mapping[str, str]) -> dict[str, int]:
    """What the hard thresholds keep free, in bytes: pods are not promised it."""
    hard = [one for one in settings.thresholds() if one.grace is None]
    found = {}
    for resource, signal in _KEPT.items():
        if resource in capacity:
            whole = quantity.value(capacity[resource])
            least = (one.least.of(whole) for one in hard if one.signal is signal)
            found[resource] = max(least, default=0)
    return found


def limitations(engine: EngineInfo) -> dict[str, str]:
    """What this machine lacks, said once on its Node; what is affected is clamped or refused."""
    lacks = []
    if not engine.can_lower_oom_score:
        lacks.append("CAP_SYS_RESOURCE (OOM scores below 0 are set to 0)")
    if not engine.can_run_privileged:
        lacks.append("full capabilities (privileged containers are refused)")
    if not engine.apparmor:
        lacks.append("AppArmor (pods that ask for a profile are rejected)")
    return {"podwright.io/machine-lacks": "; ".join(lacks)} if lacks else {}
