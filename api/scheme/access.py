"""The rows of who may do what at the API server. Walk step 1."""

from api import rbac
from api.scheme.resource import Resource
from api.struct import ApiStruct


def _rbac(type_: type[ApiStruct], *, namespaced: bool) -> Resource:
    singular = type_.__name__.lower()
    return Resource(
        "rbac.authorization.k8s.io",
        "v1",
        type_.__name__,
        f"{singular}s",
        type_,
        namespaced,
        singular,
    )


ROWS: tuple[Resource, ...] = (
    _rbac(rbac.ClusterRole, namespaced=False),
    _rbac(rbac.ClusterRoleBinding, namespaced=False),
    _rbac(rbac.Role, namespaced=True),
    _rbac(rbac.RoleBinding, namespaced=True),
)
