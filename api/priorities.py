"""The priorities that every cluster has, whatever classes it was given (step 3 of the pod's walk)."""

from __future__ import annotations

from collections.abc import Mapping

CLUSTER_CRITICAL = "system-cluster-critical"
NODE_CRITICAL = "system-node-critical"

CRITICAL_PRIORITY = 2_000_000_000
"""Of pods that the cluster cannot do without, and above."""
SYSTEM_PRIORITIES: Mapping[str, int] = {
    CLUSTER_CRITICAL: CRITICAL_PRIORITY,
    NODE_CRITICAL: CRITICAL_PRIORITY + 1000,
}
"""By class: these cannot be other ones ("Pod Priority and Preemption")."""
