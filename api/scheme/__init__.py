"""Which resources exist: group, version, kind, plural, scope, verbs and subresources.

Serves step 1 of the pod's walk: a path such as `/apis/apps/v1/namespaces/ns/deployments/d/scale`
is resolved here, and discovery is printed from it. `RESOURCES` names every kind that is stored;
adding one means a type, a row in the table of its groups beside this module, and a strategy in
`control/resources`. `REVIEWS` are questions: they can be posted, are answered, and leave nothing
behind.
"""

from collections.abc import Iterable
from functools import cache

from api.scheme import cluster, core, network, reviews, workloads
from api.scheme.resource import Resource as Resource
from api.scheme.resource import Subresource as Subresource
from api.struct import ApiStruct

RESOURCES: tuple[Resource, ...] = (
    *core.ROWS,
    *workloads.ROWS,
    *network.ROWS,
    *cluster.ROWS,
)

REVIEWS: tuple[Resource, ...] = reviews.ROWS

SERVED = (*RESOURCES, *REVIEWS)
"""Everything that has a path."""


@cache
def resource_of(type_: type[ApiStruct]) -> Resource:
    """The resource whose objects have this type.

    Raises:
        KeyError: the type is not a kind (a sub-object, or a body such as `Binding`).
    """
    for resource in SERVED:
        if resource.type is type_:
            return resource
    raise KeyError(f"{type_.__name__} is not a kind that is served")


@cache
def find(group: str, version: str, plural: str) -> Resource | None:
    """The resource served at `/apis/GROUP/VERSION/PLURAL` (core group: empty string)."""
    for resource in SERVED:
        if (resource.group, resource.version, resource.plural) == (group, version, plural):
            return resource
    return None


@cache
def by_kind(api_version: str, kind: str) -> Resource | None:
    """The stored resource of `apiVersion` and `kind`, as an object names itself."""
    for resource in RESOURCES:
        if resource.api_version == api_version and resource.kind == kind:
            return resource
    return None


def group_versions(resources: Iterable[Resource] = SERVED) -> tuple[tuple[str, str], ...]:
    """Each (group, version) once, the core group first."""
    return tuple(sorted({(item.group, item.version) for item in resources}))
