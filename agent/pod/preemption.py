"""Which pods make room for a critical one (step 4 of the pod's walk). Pure.

A critical pod (one from a file of the node, or of the priority `system-cluster-critical` and above) is
not turned away for want of resources: others are ended, as a kubelet does when it admits such a pod. The
choice is the kubelet's: as little as possible of what is Guaranteed, then of what is Burstable, then
the rest; in each class first whoever comes closest to what is still missing, so that few have to go,
and of two alike the one that asks for less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent.pod.admission import share
from api import resources
from api.core import Pod
from api.pods import qos_class
from api.priorities import CRITICAL_PRIORITY
from base.errors import PodwrightError

REASON = "Preempting"
MESSAGE = "Preempted in order to admit critical pod"
CONDITION = "Pod was preempted by Kubelet to accommodate a critical pod."
"""What the condition DisruptionTarget says of it."""

Missing = dict[str, int]
"""By resource, how much is still to be given back."""


class NotEnough(PodwrightError):
    """Not even all pods that may be ended would make room."""


def is_critical(pod: Pod, *, static: bool) -> bool:
    """Whether the node cannot do without the pod."""
    return static or (pod.spec.priority or 0) >= CRITICAL_PRIORITY


def outranks(pod: Pod, other: Pod, *, critical: bool, other_critical: bool) -> bool:
    """Whether `other` may be ended for `pod`."""
    if critical and not other_critical:
        return True
    mine, its = pod.spec.priority, other.spec.priority
    return mine is not None and its is not None and mine > its


def victims(candidates: Sequence[Pod], missing: Mapping[str, int]) -> list[Pod]:
    """The pods to end. Raises NotEnough."""
    everything = _without(missing, candidates)
    if everything:
        raise NotEnough(
            f"no set of running pods found to reclaim resources: {_spelled(everything)}"
        )
    by_class: dict[str, list[Pod]] = {"BestEffort": [], "Burstable": [], "Guaranteed": []}
    for pod in candidates:
        by_class[str(qos_class(pod))].append(pod)
    best_effort, burstable, guaranteed = by_class.values()
    # Of each class only what would be missing although all of the lesser ones were gone.
    dearest = _closest(guaranteed, _without(missing, [*best_effort, *burstable]))
    dear = _closest(burstable, _without(missing, [*best_effort, *dearest]))
    cheap = _closest(best_effort, _without(missing, [*dear, *dearest]))
    return [*cheap, *dear, *dearest]


def _closest(pods: Iterable[Pod], missing: Missing) -> list[Pod]:
    """Those that come closest, one after another, until nothing is missing."""
    left, chosen = list(pods), []
    while missing:
        best = min(left, key=lambda pod: (_distance(pod, missing), *_size(pod)))
        left.remove(best)
        chosen.append(best)
        missing = _without(missing, [best])
    return chosen


def _distance(pod: Pod, missing: Missing) -> float:
    """How much would still be missing: every resource counts alike, whatever its unit."""
    given = share(pod)
    shares = [max(0, wanted - given.get(name, 0)) / wanted for name, wanted in missing.items()]
    return sum(share**2 for share in shares)


def _size(pod: Pod) -> tuple[int, int]:
    given = share(pod)
    return given.get(resources.MEMORY, 0), given.get(resources.CPU, 0)


def _without(missing: Mapping[str, int], pods: Iterable[Pod]) -> Missing:
    """What is missing once these are gone."""
    left = dict(missing)
    for pod in pods:
        given = share(pod)
        left = {name: much - given.get(name, 0) for name, much in left.items()}
    return {name: much for name, much in left.items() if much > 0}


def _spelled(missing: Missing) -> str:
    listed = "".join(f"(res: {name}, q: {much}), " for name, much in missing.items())
    return f"[{listed}]"
