"""The rows of what is made when it is asked for, and kept nowhere. Any step of the walk."""

from api import core, metrics, why
from api.scheme.resource import SHOWN, Resource, Subresource

ROWS: tuple[Resource, ...] = (
    Resource(
        "",
        "v1",
        "ComponentStatus",
        "componentstatuses",
        core.ComponentStatus,
        False,
        "componentstatus",
        short_names=("cs",),
        verbs=SHOWN,
        warning="v1 ComponentStatus is deprecated in v1.19+",
    ),
    Resource(
        "metrics.k8s.io",
        "v1beta1",
        "NodeMetrics",
        "nodes",
        metrics.NodeMetrics,
        False,
        "",
        verbs=SHOWN,
    ),
    Resource(
        "metrics.k8s.io",
        "v1beta1",
        "PodMetrics",
        "pods",
        metrics.PodMetrics,
        True,
        "",
        verbs=SHOWN,
    ),
    Resource(
        "podwright.io",
        "v1alpha1",
        "Explanation",
        "pods",
        why.Explanation,
        True,
        "pod",
        verbs=(),
        subresources=(Subresource("why", ("get",)),),
    ),
)
