"""Which kinds were served under which versions, until which release, and what took their place. Pure.

Source: the deprecated API migration guide of Kubernetes, release by release.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Removed:
    """A kind at a version that is served no more. `modern` is "" when nothing took its place."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    until: str
    modern: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"


_APPS = {
    "Deployment": "deployments",
    "DaemonSet": "daemonsets",
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
    "ControllerRevision": "controllerrevisions",
}
_RBAC = {
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
}
_STORAGE = {
    "CSIDriver": "csidrivers",
    "CSINode": "csinodes",
    "StorageClass": "storageclasses",
    "VolumeAttachment": "volumeattachments",
}
_WEBHOOKS = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}
_REVIEWS = {
    "SelfSubjectAccessReview": "selfsubjectaccessreviews",
    "SelfSubjectRulesReview": "selfsubjectrulesreviews",
    "SubjectAccessReview": "subjectaccessreviews",
}
_FLOWS = {
    "FlowSchema": "flowschemas",
    "PriorityLevelConfiguration": "prioritylevelconfigurations",
}
_INGRESSES = {"Ingress": "ingresses", "IngressClass": "ingressclasses"}
_AUTOSCALER = {"HorizontalPodAutoscaler": "horizontalpodautoscalers"}
_BUDGET = {"PodDisruptionBudget": "poddisruptionbudgets"}
_PSP = {"PodSecurityPolicy": "podsecuritypolicies"}

_CLUSTER_WIDE = frozenset(
    {"PodSecurityPolicy", "ClusterRole", "ClusterRoleBinding", "IngressClass", "PriorityClass"}
    | {"CustomResourceDefinition", "APIService", "CertificateSigningRequest", "RuntimeClass"}
    | {"TokenReview", "Namespace", *_STORAGE, *_WEBHOOKS, *_REVIEWS, *_FLOWS}
)


def _only(*kinds: str) -> dict[str, str]:
    return {kind: _APPS[kind] for kind in kinds}


# group, versions, kinds with their plurals, the release that ended it, the modern apiVersion
_ROWS: tuple[tuple[str, tuple[str, ...], dict[str, str], str, str], ...] = (
    ("extensions", ("v1beta1",), _only("Deployment", "DaemonSet", "ReplicaSet"), "1.16", "apps/v1"),
    (
        "extensions",
        ("v1beta1",),
        {"NetworkPolicy": "networkpolicies"},
        "1.16",
        "networking.k8s.io/v1",
    ),
    ("extensions", ("v1beta1",), {"Ingress": "ingresses"}, "1.22", "networking.k8s.io/v1"),
    ("extensions", ("v1beta1",), _PSP, "1.16", ""),
    (
        "apps",
        ("v1beta1",),
        _only("Deployment", "StatefulSet", "ControllerRevision"),
        "1.16",
        "apps/v1",
    ),
    ("apps", ("v1beta2",), _APPS, "1.16", "apps/v1"),
    ("autoscaling", ("v2beta1",), _AUTOSCALER, "1.25", "autoscaling/v2"),
    ("autoscaling", ("v2beta2",), _AUTOSCALER, "1.26", "autoscaling/v2"),
    ("batch", ("v1beta1",), {"CronJob": "cronjobs"}, "1.25", "batch/v1"),
    ("batch", ("v2alpha1",), {"CronJob": "cronjobs"}, "1.21", "batch/v1"),
    ("policy", ("v1beta1",), _BUDGET, "1.25", "policy/v1"),
    ("policy", ("v1beta1",), _PSP, "1.25", ""),
    ("networking.k8s.io", ("v1beta1",), _INGRESSES, "1.22", "networking.k8s.io/v1"),
    ("rbac.authorization.k8s.io", ("v1beta1",), _RBAC, "1.22", "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io", ("v1alpha1",), _RBAC, "1.23", "rbac.authorization.k8s.io/v1"),
    (
        "apiextensions.k8s.io",
        ("v1beta1",),
        {"CustomResourceDefinition": "customresourcedefinitions"},
        "1.22",
        "apiextensions.k8s.io/v1",
    ),
    (
        "apiregistration.k8s.io",
        ("v1beta1",),
        {"APIService": "apiservices"},
        "1.22",
        "apiregistration.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io",
        ("v1beta1",),
        _WEBHOOKS,
        "1.22",
        "admissionregistration.k8s.io/v1",
    ),
    (
        "authentication.k8s.io",
        ("v1beta1",),
        {"TokenReview": "tokenreviews"},
        "1.22",
        "authentication.k8s.io/v1",
    ),
    ("authorization.k8s.io", ("v1beta1",), _REVIEWS, "1.22", "authorization.k8s.io/v1"),
    (
        "certificates.k8s.io",
        ("v1beta1",),
        {"CertificateSigningRequest": "certificatesigningrequests"},
        "1.22",
        "certificates.k8s.io/v1",
    ),
    ("coordination.k8s.io", ("v1beta1",), {"Lease": "leases"}, "1.22", "coordination.k8s.io/v1"),
    (
        "scheduling.k8s.io",
        ("v1beta1",),
        {"PriorityClass": "priorityclasses"},
        "1.22",
        "scheduling.k8s.io/v1",
    ),
    (
        "scheduling.k8s.io",
        ("v1alpha1",),
        {"PriorityClass": "priorityclasses"},
        "1.23",
        "scheduling.k8s.io/v1",
    ),
    ("storage.k8s.io", ("v1beta1",), _STORAGE, "1.22", "storage.k8s.io/v1"),
    (
        "storage.k8s.io",
        ("v1beta1",),
        {"CSIStorageCapacity": "csistoragecapacities"},
        "1.27",
        "storage.k8s.io/v1",
    ),
    (
        "discovery.k8s.io",
        ("v1beta1",),
        {"EndpointSlice": "endpointslices"},
        "1.25",
        "discovery.k8s.io/v1",
    ),
    ("events.k8s.io", ("v1beta1",), {"Event": "events"}, "1.25", "events.k8s.io/v1"),
    ("node.k8s.io", ("v1beta1",), {"RuntimeClass": "runtimeclasses"}, "1.25", "node.k8s.io/v1"),
    (
        "flowcontrol.apiserver.k8s.io",
        ("v1beta1",),
        _FLOWS,
        "1.26",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        ("v1beta2",),
        _FLOWS,
        "1.29",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        ("v1beta3",),
        _FLOWS,
        "1.32",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
)


def _rows() -> Iterator[Removed]:
    for group, versions, kinds, until, modern in _ROWS:
        for version in versions:
            for kind, plural in kinds.items():
                yield Removed(
                    group, version, kind, plural, kind not in _CLUSTER_WIDE, until, modern
                )


REMOVED: tuple[Removed, ...] = tuple(_rows())

_BY_PATH = {(one.group, one.version, one.plural): one for one in REMOVED}


def find(parts: list[str]) -> Removed | None:
    """The removed kind that a path such as `/apis/extensions/v1beta1/…/deployments/web` names."""
    if len(parts) < 4 or parts[0] != "apis":
        return None
    group, version, rest = parts[1], parts[2], parts[3:]
    if rest[0] == "watch" and len(rest) > 1:
        rest = rest[1:]
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    return _BY_PATH.get((group, version, rest[0]))
