"""Which pods a scale-down takes first: the documented ranking of ReplicaSets. Walk step 7.

Ages count by their order of magnitude only (the logarithm to base 2), and equals are told apart by
their UID, which is chance: were the youngest always taken, a cluster that breathes would keep pods
where it kept them on its first day (KEP-2185).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from api import pods, timestamps
from api.core import Pod

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(
    active: Sequence[Pod], now: datetime, *, related: Iterable[Pod] | None = None
) -> list[Pod]:
    """Pods in the order in which a scale-down takes them.

    Without a node first; then pending before unknown before running; not ready before ready; lower
    deletion cost; from nodes with more related pods (those of other revisions of the same
    Deployment, too); ready for less time; more restarts; newer.
    """
    others = active if related is None else [pod for pod in related if pods.is_active(pod)]
    per_node = Counter(pod.spec.node_name for pod in others)

    def rank(pod: Pod) -> tuple[object, ...]:
        ready = pods.condition(pod, "Ready")
        is_ready = ready is not None and ready.status == "True"
        return (
            bool(pod.spec.node_name),
            _PHASES.get(pod.status.phase, 0),
            is_ready,
            deletion_cost(pod),
            -per_node[pod.spec.node_name],
            magnitude(ready.last_transition_time if ready and is_ready else None, now),
            *(-restarts for restarts in _restarts(pod)),
            magnitude(pod.metadata.creation_timestamp, now),
            pod.metadata.uid,
        )

    return sorted(active, key=rank)


def deletion_cost(pod: Pod) -> int:
    """The annotation's number; what is not a number counts as 0."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def magnitude(since: str | None, now: datetime) -> int:
    """The order of magnitude of an age; of none, or of one that lies ahead, the smallest."""
    seconds = (now - timestamps.parse(since)).total_seconds() if since else 0.0
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1


def _restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts of any container, and of any sidecar."""
    sidecars = {one.name for one in pod.spec.init_containers if one.restart_policy == "Always"}
    return (
        max((one.restart_count for one in pod.status.container_statuses), default=0),
        max(
            (
                one.restart_count
                for one in pod.status.init_container_statuses
                if one.name in sidecars
            ),
            default=0,
        ),
    )
