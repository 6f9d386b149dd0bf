"""The rows of what is made when it is asked for, and kept nowhere. Any step of the walk."""

from api import why
from api.scheme.resource import Resource, Subresource

ROWS: tuple[Resource, ...] = (
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
