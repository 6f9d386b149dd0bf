"""Which labels a node may give itself (before step 3 of the pod's walk: the scheduler goes by them). Pure.

As Kubernetes documents it for NodeRestriction and for `--node-labels`: under its own domains only the
well-known ones, and whatever lies below `node.kubernetes.io` and `kubelet.kubernetes.io`. Else a node
that was broken into could draw pods to itself. The server refuses others, and the agent does not start
with them, because it could not register.
"""

from __future__ import annotations

RESTRICTED = "node-restriction.kubernetes.io"
WELL_KNOWN = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def allowed(key: str) -> bool:
    """Whether a node may set or change this label of its own."""
    domain, slash, _ = key.partition("/")
    if not slash:
        return True
    if _below(domain, RESTRICTED):
        return False
    if not (_below(domain, "kubernetes.io") or _below(domain, "k8s.io")):
        return True
    return key in WELL_KNOWN or any(_below(domain, one) for one in DOMAINS)


def _below(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith("." + parent)
