"""The rows of the core group, whose objects the walk of a pod is made of. Walk step 1."""

from typing import Any

from api import core
from api.scheme.resource import ALL_VERBS, PROXIED, SCALE, STATUS, Resource, Subresource
from api.struct import ApiStruct

_POD_SUBRESOURCES = (
    Subresource("attach", ("create", "get"), "PodAttachOptions"),
    Subresource("binding", ("create",), "Binding"),
    Subresource("ephemeralcontainers", ("get", "patch", "update")),
    Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
    Subresource("exec", ("create", "get"), "PodExecOptions"),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), "PodPortForwardOptions"),
    Subresource("proxy", PROXIED, "PodProxyOptions"),
    Subresource("resize", ("get", "patch", "update")),
    STATUS,
)


def _core(kind: str, plural: str, type_: type[ApiStruct], **more: Any) -> Resource:
    return Resource(
        "", "v1", kind, plural, type_, more.pop("namespaced", True), kind.lower(), **more
    )


ROWS: tuple[Resource, ...] = (
    _core("ConfigMap", "configmaps", core.ConfigMap, short_names=("cm",)),
    _core(
        "Endpoints",
        "endpoints",
        core.Endpoints,
        short_names=("ep",),
        warning="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
    _core("Event", "events", core.Event, short_names=("ev",)),
    _core("LimitRange", "limitranges", core.LimitRange, short_names=("limits",)),
    _core(
        "Namespace",
        "namespaces",
        core.Namespace,
        namespaced=False,
        short_names=("ns",),
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
        subresources=(Subresource("finalize", ("update",)), STATUS),
    ),
    _core(
        "Node",
        "nodes",
        core.Node,
        namespaced=False,
        short_names=("no",),
        subresources=(Subresource("proxy", PROXIED, "NodeProxyOptions"), STATUS),
    ),
    _core(
        "PersistentVolume",
        "persistentvolumes",
        core.PersistentVolume,
        namespaced=False,
        short_names=("pv",),
        subresources=(STATUS,),
    ),
    _core(
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        core.PersistentVolumeClaim,
        short_names=("pvc",),
        subresources=(STATUS,),
    ),
    _core(
        "Pod",
        "pods",
        core.Pod,
        short_names=("po",),
        categories=("all",),
        subresources=_POD_SUBRESOURCES,
    ),
    _core("PodTemplate", "podtemplates", core.PodTemplate),
    _core(
        "ReplicationController",
        "replicationcontrollers",
        core.ReplicationController,
        short_names=("rc",),
        categories=("all",),
        subresources=(SCALE, STATUS),
    ),
    _core(
        "ResourceQuota",
        "resourcequotas",
        core.ResourceQuota,
        short_names=("quota",),
        subresources=(STATUS,),
    ),
    _core("Secret", "secrets", core.Secret),
    _core(
        "Service",
        "services",
        core.Service,
        short_names=("svc",),
        categories=("all",),
        subresources=(Subresource("proxy", PROXIED, "ServiceProxyOptions"), STATUS),
    ),
    _core(
        "ServiceAccount",
        "serviceaccounts",
        core.ServiceAccount,
        short_names=("sa",),
        subresources=(
            Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),
        ),
    ),
)
