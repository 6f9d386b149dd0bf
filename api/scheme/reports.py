"""The rows of what is made when it is asked for, and kept nowhere. Any step of the walk."""

from api import core, why
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
