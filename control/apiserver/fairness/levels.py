"""Priority levels, and which request belongs to which: Kubernetes' default flow schemas. Pure.

Before step 1 of the pod's walk. Each level has a share of the seats; within a level, flows (a user, or a
user and a namespace) have equal rights. Health checks are exempt: they must answer when nothing else
does. Kubernetes exempts `system:masters`, too; here they have a level of their own, because on a small
cluster everybody's kubeconfig says so, and an exemption for everybody would protect nobody. Streams
into pods are not counted: they cost a connection, not a turn of the loop.

Source: "API Priority and Fairness" in Kubernetes' documentation (defaults: mandatory and suggested).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from control.auth.user import MASTERS, NODES, User

_SERVICE_ACCOUNTS = "system:serviceaccounts"
_KUBE_SYSTEM_ACCOUNTS = "system:serviceaccounts:kube-system"
_CONTROLLERS = frozenset({"system:kube-controller-manager", "system:kube-scheduler"})
_PROBES = ("/healthz", "/livez", "/readyz")
_LEASES = ("coordination.k8s.io", "leases")


@dataclass(frozen=True, slots=True)
class LevelSpec:
    """A priority level. `shares` of the seats are its own; the rest of it says how it queues."""

    name: str
    shares: int
    queues: int = 64
    hand: int = 6
    length: int = 50


EXEMPT = "exempt"

LEVELS: tuple[LevelSpec, ...] = (
    LevelSpec("administrators", 60, queues=128),
    LevelSpec("leader-election", 10, queues=16, hand=4),
    LevelSpec("node-high", 40),
    LevelSpec("system", 30),
    LevelSpec("workload-high", 40, queues=128),
    LevelSpec("workload-low", 60, queues=128),
    LevelSpec("global-default", 20, queues=128),
    LevelSpec("catch-all", 5, queues=16, hand=4),
)

SEATS = 64
"""Requests that run at once, over all levels. Most wait for the disk meanwhile: the store commits
whatever waits together, so a few dozen writers are needed to keep it busy."""

WIDE = frozenset({"list", "watch", "deletecollection"})
"""Verbs that go through many objects."""
OBJECTS_PER_SEAT = 100
MOST_SEATS = 10


class Flow(msgspec.Struct, frozen=True, gc=False):
    """Where a request belongs: its schema, its level, and who its peers are within it."""

    schema: str
    level: str
    distinguisher: str = ""


_EXEMPT_FLOW = Flow("probes", EXEMPT)


def classify(
    user: User,
    *,
    group: str = "",
    resource: str = "",
    namespace: str = "",
    path: str = "",
    peer: str = "",
) -> Flow:
    """The flow of one request; `path` is set for those that are for no resource."""
    if path and path.startswith(_PROBES):
        return _EXEMPT_FLOW
    groups = user.groups
    if MASTERS in groups:
        # Administrators often share one certificate: where they call from tells them apart.
        return Flow("system-masters", "administrators", f"{user.name} {peer} {namespace}")
    if NODES in groups:
        if resource in ("nodes", "leases"):
            return Flow("system-node-high", "node-high", user.name)
        return Flow("system-nodes", "system", user.name)
    if user.name in _CONTROLLERS or _KUBE_SYSTEM_ACCOUNTS in groups:
        if (group, resource) == _LEASES:
            return Flow("system-leader-election", "leader-election", user.name)
        return Flow("kube-system-service-accounts", "workload-high", f"{user.name} {namespace}")
    if _SERVICE_ACCOUNTS in groups:
        if (group, resource) == _LEASES:
            return Flow("workload-leader-election", "leader-election", user.name)
        return Flow("service-accounts", "workload-low", user.name)
    if groups:
        return Flow("global-default", "global-default", user.name)
    return Flow("catch-all", "catch-all", user.name)


def seats(verb: str, objects: int) -> int:
    """How many seats a request takes: reading many objects keeps the loop busy for long."""
    if verb not in WIDE:
        return 1
    return min(MOST_SEATS, max(1, -(-objects // OBJECTS_PER_SEAT)))
