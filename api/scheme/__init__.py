"""Which resources exist: group, version, kind, plural, scope, verbs and subresources.

Serves step 1 of the pod's walk: a path such as `/apis/apps/v1/namespaces/ns/deployments/d/scale`
is resolved here, and discovery is printed from it. `RESOURCES` names every kind that is stored;
adding one means a type, a row in the table of its groups beside this module, and a strategy in
`control/resources`. `REVIEWS` are questions: they can be posted, are answered, and leave nothing
behind. `REPORTS` are made when they are asked for. `ALTERNATES` are further versions of kinds that
are stored as another one. What comes at run time is in a `Catalogue` of the server.
"""

from functools import cache

from api.scheme import (
    access,
    alternates,
    cluster,
    core,
    network,
    reports,
    reviews,
    storage,
    workloads,
)
from api.scheme.catalogue import Catalogue as Catalogue
from api.scheme.resource import Resource as Resource
from api.scheme.resource import Subresource as Subresource
from api.struct import ApiStruct

RESOURCES: tuple[Resource, ...] = (
    *core.ROWS,
    *workloads.ROWS,
    *network.ROWS,
    *cluster.ROWS,
    *storage.ROWS,
    *access.ROWS,
)

REVIEWS: tuple[Resource, ...] = reviews.ROWS

REPORTS: tuple[Resource, ...] = reports.ROWS

ALTERNATES: tuple[Resource, ...] = alternates.ROWS

SERVED = (*RESOURCES, *ALTERNATES, *REVIEWS, reviews.BINDINGS, *REPORTS)
"""Everything that has a path."""


@cache
def resource_of(type_: type[ApiStruct]) -> Resource:
    """The resource whose objects have this type.

    Raises:
        KeyError: the type is not a kind (a sub-object, or a body such as `Scale`).
    """
    for resource in SERVED:
        if resource.type is type_:
            return resource
    raise KeyError(f"{type_.__name__} is not a kind that is served")


_STATIC = Catalogue(SERVED)


def find(group: str, version: str, plural: str) -> Resource | None:
    """The resource served at `/apis/GROUP/VERSION/PLURAL` (core group: empty string)."""
    return _STATIC.find(group, version, plural)


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The stored resource of `apiVersion` and `kind`, as an object names itself."""
    return _STATIC.stored_by_kind(api_version, kind)


def group_versions() -> tuple[tuple[str, str], ...]:
    """Each (group, version) once, the core group first."""
    return _STATIC.group_versions()
