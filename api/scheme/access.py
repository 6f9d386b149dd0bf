"""The rows of who may do what at the API server, and whose turn it is. Walk step 1."""

from api import apiregistration, flowcontrol, rbac
from api.scheme.resource import STATUS, Resource
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
    Resource(
        "apiregistration.k8s.io",
        "v1",
        "APIService",
        "apiservices",
        apiregistration.APIService,
        False,
        "apiservice",
        categories=("api-extensions",),
        subresources=(STATUS,),
    ),
    Resource(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "FlowSchema",
        "flowschemas",
        flowcontrol.FlowSchema,
        False,
        "flowschema",
        subresources=(STATUS,),
    ),
    Resource(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        flowcontrol.PriorityLevelConfiguration,
        False,
        "prioritylevelconfiguration",
        subresources=(STATUS,),
    ),
    _rbac(rbac.ClusterRole, namespaced=False),
    _rbac(rbac.ClusterRoleBinding, namespaced=False),
    _rbac(rbac.Role, namespaced=True),
    _rbac(rbac.RoleBinding, namespaced=True),
)
