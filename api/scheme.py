"""Which resources exist: group, version, kind, plural, scope, verbs and subresources.

Serves step 1 of the pod's walk: a path such as `/apis/apps/v1/namespaces/ns/deployments/d/scale`
is resolved here, and discovery is printed from it. `RESOURCES` is the one list that names every kind
that is stored; adding one means a type, a row here, and a strategy in `control/resources`. `REVIEWS`
are questions: they can be posted, are answered, and leave nothing behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from api import apps, authentication, authorization, certificates, coordination, core, discovery
from api.struct import ApiStruct

ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


_POSTED = ("create",)


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object: `status`, `log`, `exec`, `scale`, …

    `kind`, `group` and `version` name the body's type where it is not the parent's own.
    """

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One row of the API: everything that routing, discovery and storage need to know."""

    group: str
    version: str
    kind: str
    plural: str
    type: type[ApiStruct]
    namespaced: bool
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept. What can only be created is answered and forgotten."""
        return self.verbs != _POSTED

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `group/version` otherwise."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified_name(self) -> str:
        """`pods`, `deployments.apps`: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def base_path(self) -> str:
        """`/api/v1` or `/apis/GROUP/VERSION`."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def prefix(self, namespace: str = "") -> str:
        """The store's key prefix, with a trailing slash; of one namespace when it is given."""
        group = f"{self.group}/" if self.group else ""
        return f"/registry/{group}{self.plural}/" + (f"{namespace}/" if namespace else "")

    def key(self, namespace: str, name: str) -> str:
        """The store's key of one object."""
        return self.prefix(namespace if self.namespaced else "") + name

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, an object or its subresource."""
        path = self.base_path
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        for part in (name, subresource):
            if part:
                path += f"/{part}"
        return path

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, if the kind has it."""
        return next((item for item in self.subresources if item.name == name), None)


_STATUS = Subresource("status", ("get", "patch", "update"))
_SCALE = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")

_POD_SUBRESOURCES = (
    Subresource("attach", ("create", "get"), "PodAttachOptions"),
    Subresource("binding", ("create",), "Binding"),
    Subresource("exec", ("create", "get"), "PodExecOptions"),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), "PodPortForwardOptions"),
    _STATUS,
)


def _core(kind: str, plural: str, type_: type[ApiStruct], **more: Any) -> Resource:
    return Resource(
        "", "v1", kind, plural, type_, more.pop("namespaced", True), kind.lower(), **more
    )


RESOURCES: tuple[Resource, ...] = (
    _core("ConfigMap", "configmaps", core.ConfigMap, short_names=("cm",)),
    _core("Endpoints", "endpoints", core.Endpoints, short_names=("ep",)),
    _core("Event", "events", core.Event, short_names=("ev",)),
    _core(
        "Namespace",
        "namespaces",
        core.Namespace,
        namespaced=False,
        short_names=("ns",),
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
        subresources=(Subresource("finalize", ("update",)), _STATUS),
    ),
    _core(
        "Node",
        "nodes",
        core.Node,
        namespaced=False,
        short_names=("no",),
        subresources=(_STATUS,),
    ),
    _core(
        "Pod",
        "pods",
        core.Pod,
        short_names=("po",),
        categories=("all",),
        subresources=_POD_SUBRESOURCES,
    ),
    _core("Secret", "secrets", core.Secret),
    _core(
        "Service",
        "services",
        core.Service,
        short_names=("svc",),
        categories=("all",),
        subresources=(_STATUS,),
    ),
    _core("ServiceAccount", "serviceaccounts", core.ServiceAccount, short_names=("sa",)),
    Resource(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        apps.Deployment,
        True,
        "deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=(_SCALE, _STATUS),
    ),
    Resource(
        "apps",
        "v1",
        "ReplicaSet",
        "replicasets",
        apps.ReplicaSet,
        True,
        "replicaset",
        short_names=("rs",),
        categories=("all",),
        subresources=(_SCALE, _STATUS),
    ),
    Resource(
        "certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        certificates.CertificateSigningRequest,
        False,
        "certificatesigningrequest",
        short_names=("csr",),
        subresources=(Subresource("approval", ("get", "patch", "update")), _STATUS),
    ),
    Resource("coordination.k8s.io", "v1", "Lease", "leases", coordination.Lease, True, "lease"),
    Resource(
        "discovery.k8s.io",
        "v1",
        "EndpointSlice",
        "endpointslices",
        discovery.EndpointSlice,
        True,
        "endpointslice",
    ),
)


def _review(group: str, type_: type[ApiStruct], *, namespaced: bool = False) -> Resource:
    singular = type_.__name__.lower()
    return Resource(
        group, "v1", type_.__name__, singular + "s", type_, namespaced, singular, verbs=_POSTED
    )


REVIEWS: tuple[Resource, ...] = (
    _review("authentication.k8s.io", authentication.SelfSubjectReview),
    _review("authentication.k8s.io", authentication.TokenReview),
    _review("authorization.k8s.io", authorization.LocalSubjectAccessReview, namespaced=True),
    _review("authorization.k8s.io", authorization.SelfSubjectAccessReview),
    _review("authorization.k8s.io", authorization.SelfSubjectRulesReview),
    _review("authorization.k8s.io", authorization.SubjectAccessReview),
)

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
