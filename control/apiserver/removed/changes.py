"""What a manifest of a removed version needs besides its new `apiVersion`. Pure.

Each function gets the manifest as a tree, or an empty one when none was sent, and returns the parts to
write anew, with the manifest's own names in them, and remarks on what means something else now.
Source: the deprecated API migration guide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Tree = Mapping[str, Any]
Changes = tuple[dict[str, Any], tuple[str, ...]]


def of(group: str, version: str, kind: str, tree: Tree) -> Changes:
    """The lines to change and the remarks, both possibly empty."""
    change = _CHANGES.get(kind)
    return change(version, tree) if change else ({}, ())


def _at(tree: Any, *path: str) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def _items(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _workload(version: str, tree: Tree) -> Changes:
    parts: dict[str, Any] = {}
    if not _at(tree, "spec", "selector"):
        labels = _at(tree, "spec", "template", "metadata", "labels")
        shown = labels or {"KEY": "VALUE, as in spec.template.metadata.labels"}
        parts = {"spec": {"selector": {"matchLabels": shown}}}
    remarks = ["spec.selector is required and cannot be changed later"]
    if _at(tree, "spec", "rollbackTo") is not None:
        remarks.append("spec.rollbackTo is gone: use `kubectl rollout undo`")
    if _at(tree, "spec", "templateGeneration") is not None:
        remarks.append("spec.templateGeneration is gone: leave it out")
    return parts, tuple(remarks)


def _deployment(version: str, tree: Tree) -> Changes:
    parts, remarks = _workload(version, tree)
    return parts, (
        *remarks,
        "progressDeadlineSeconds defaults to 600, revisionHistoryLimit to 10, and maxSurge and "
        "maxUnavailable to 25%",
    )


def _updated(version: str, tree: Tree) -> Changes:
    parts, remarks = _workload(version, tree)
    return parts, (*remarks, "spec.updateStrategy.type defaults to RollingUpdate")


def _ingress(version: str, tree: Tree) -> Changes:
    spec: dict[str, Any] = {}
    if backend := _at(tree, "spec", "backend"):
        spec["defaultBackend"] = _backend(backend)
    rules = [_rule(one) for one in _items(_at(tree, "spec", "rules"))]
    if rules:
        spec["rules"] = rules
    if not spec:
        backend = _backend({"serviceName": "NAME", "servicePort": 80})
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        spec["rules"] = [{"http": {"paths": [path]}}]
    remarks = ["pathType is required: Prefix, Exact or ImplementationSpecific"]
    if "kubernetes.io/ingress.class" in (_at(tree, "metadata", "annotations") or ()):
        remarks.append("instead of the annotation kubernetes.io/ingress.class: ingressClassName")
    return {"spec": spec}, tuple(remarks)


def _rule(rule: Tree) -> dict[str, Any]:
    shown: dict[str, Any] = {"host": rule["host"]} if rule.get("host") else {}
    paths = []
    for path in _items(_at(rule, "http", "paths")):
        paths.append(
            {
                "path": path.get("path") or "/",
                "pathType": path.get("pathType") or "Prefix",
                "backend": _backend(path.get("backend") or {}),
            }
        )
    return {**shown, "http": {"paths": paths}}


def _backend(backend: Any) -> dict[str, Any]:
    if not isinstance(backend, Mapping) or "serviceName" not in backend:
        return dict(backend) if isinstance(backend, Mapping) else {}
    port = backend.get("servicePort")
    key = "name" if isinstance(port, str) and not port.isdecimal() else "number"
    value = int(port) if isinstance(port, str) and port.isdecimal() else port
    return {"service": {"name": backend["serviceName"], "port": {key: value}}}


def _autoscaler(version: str, tree: Tree) -> Changes:
    if version != "v2beta1":
        return {}, ()
    metrics = [_metric(one) for one in _items(_at(tree, "spec", "metrics"))]
    if not metrics:
        target = {"type": "Utilization", "averageUtilization": 80}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {"spec": {"metrics": metrics}}, (
        "targets of metrics stand in `target`, with a type: Utilization, AverageValue or Value",
    )


def _metric(metric: Tree) -> dict[str, Any]:
    """A metric of v2beta1 as v2 spells it."""
    type_ = str(metric.get("type", "Resource"))
    source = metric.get(type_[:1].lower() + type_[1:])
    if not isinstance(source, Mapping):
        return dict(metric)
    shown: dict[str, Any] = {}
    if "name" in source:
        shown["name"] = source["name"]
    if "metricName" in source:
        named: dict[str, Any] = {"name": source["metricName"]}
        selector = source.get("selector") or source.get("metricSelector")
        shown["metric"] = {**named, "selector": selector} if selector else named
    if "target" in source:
        shown["describedObject"] = source["target"]
    shown["target"] = _target(source)
    return {"type": type_, type_[:1].lower() + type_[1:]: shown}


def _target(source: Tree) -> dict[str, Any]:
    if "targetAverageUtilization" in source:
        return {
            "type": "Utilization",
            "averageUtilization": source["targetAverageUtilization"],
        }
    for old, type_, new in (
        ("targetAverageValue", "AverageValue", "averageValue"),
        ("averageValue", "AverageValue", "averageValue"),
        ("targetValue", "Value", "value"),
    ):
        if old in source:
            return {"type": type_, new: source[old]}
    return {"type": "AverageValue", "averageValue": "VALUE"}


def _budget(version: str, tree: Tree) -> Changes:
    return {}, ("an empty spec.selector {} selects every pod of the namespace, no longer none",)


def _policy(version: str, tree: Tree) -> Changes:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "NAME", "labels": labels},
    }, (
        "pod security policies are gone: what pods may do is said per namespace by labels "
        "(Pod Security Admission: privileged, baseline or restricted)",
    )


def _definition(version: str, tree: Tree) -> Changes:
    spec: Any = tree.get("spec") or {}
    schema = _at(spec, "validation", "openAPIV3Schema") or {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    names = [str(one.get("name")) for one in _items(_at(spec, "versions"))]
    names = names or [str(_at(spec, "version") or "v1")]
    shared = {key: spec[key] for key in ("subresources",) if key in spec}
    if columns := _items(_at(spec, "additionalPrinterColumns")):
        shared["additionalPrinterColumns"] = [_column(one) for one in columns]
    versions = [
        {
            "name": name,
            "served": True,
            "storage": position == 0,
            "schema": {"openAPIV3Schema": schema},
            **shared,
        }
        for position, name in enumerate(names)
    ]
    scope = _at(spec, "scope") or "Namespaced"
    return {"spec": {"scope": scope, "versions": versions}}, (
        "spec.version, spec.validation, spec.subresources and spec.additionalPrinterColumns are "
        "said per version in spec.versions; a structural schema is required",
    )


def _column(column: Tree) -> dict[str, Any]:
    shown = {key: value for key, value in column.items() if key != "JSONPath"}
    return {**shown, "jsonPath": column.get("JSONPath", column.get("jsonPath", ""))}


def _webhook(version: str, tree: Tree) -> Changes:
    names = [str(one.get("name", "NAME")) for one in _items(tree.get("webhooks"))] or ["NAME"]
    webhooks = [
        {"name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"]} for name in names
    ]
    return {"webhooks": webhooks}, (
        "sideEffects (None or NoneOnDryRun) and admissionReviewVersions are required",
        "failurePolicy defaults to Fail, matchPolicy to Equivalent, timeoutSeconds to 10",
    )


def _signing(version: str, tree: Tree) -> Changes:
    return {
        "spec": {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    }, ("spec.signerName and spec.usages are required",)


def _slice(version: str, tree: Tree) -> Changes:
    return {}, (
        'endpoints[*].topology["kubernetes.io/hostname"] is endpoints[*].nodeName now, '
        'topology["topology.kubernetes.io/zone"] is endpoints[*].zone',
    )


def _access(version: str, tree: Tree) -> Changes:
    return {}, ("spec.group is spec.groups now",)


def _event(version: str, tree: Tree) -> Changes:
    return {}, (
        "type is Normal or Warning; action, reason, reportingController, reportingInstance and "
        "eventTime are required",
    )


def _runtime(version: str, tree: Tree) -> Changes:
    return {}, ("the handler stands at the top level: handler, not spec.runtimeHandler",)


_CHANGES: dict[str, Callable[[str, Tree], Changes]] = {
    "Deployment": _deployment,
    "ReplicaSet": _workload,
    "DaemonSet": _updated,
    "StatefulSet": _updated,
    "Ingress": _ingress,
    "HorizontalPodAutoscaler": _autoscaler,
    "PodDisruptionBudget": _budget,
    "PodSecurityPolicy": _policy,
    "CustomResourceDefinition": _definition,
    "MutatingWebhookConfiguration": _webhook,
    "ValidatingWebhookConfiguration": _webhook,
    "CertificateSigningRequest": _signing,
    "EndpointSlice": _slice,
    "SubjectAccessReview": _access,
    "SelfSubjectAccessReview": _access,
    "Event": _event,
    "RuntimeClass": _runtime,
}
