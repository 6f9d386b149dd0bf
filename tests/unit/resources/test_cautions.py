"""What Kubernetes warns of: where, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from api.codec import decode
from api.scheme import by_kind
from control.resources import STRATEGIES
from control.resources.cautions import cautions
from tests.unit.resources import examples

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": "",
    "container.apparmor.security.beta.kubernetes.io/web": "unconfined",
    "example.com/mine": "",
}
_CONTAINER = {"name": "web", "image": "nginx"}


def told(api_version: str, kind: str, tree: dict[str, Any]) -> list[str]:
    resource = by_kind(api_version, kind)
    assert resource is not None
    whole = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **tree}
    return cautions(decode.convert(whole, resource.type, decode.STRICT).obj)


def of_pod(**spec: Any) -> list[str]:
    return told("v1", "Pod", {"spec": {"containers": [_CONTAINER], **spec}})


def affinity(**terms: Any) -> dict[str, Any]:
    return {"affinity": terms}


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NULL = "a null labelSelector results in matching no pod"
_OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
_ZONE = f'{_OLD_ZONE} is deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
_ROWS = [{"key": _OLD_ZONE, "operator": "Exists"}]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
            [
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; "
                'use "kubernetes.io/os" instead'
            ],
        ),
        (
            affinity(
                nodeAffinity={
                    _REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": _ROWS}]},
                    _PREFERRED: [{"weight": 1, "preference": {"matchExpressions": _ROWS}}],
                }
            ),
            [
                f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]"
                f".key: {_ZONE}",
                f"spec.affinity.nodeAffinity.{_PREFERRED}[0].preference.matchExpressions[0]"
                f".key: {_ZONE}",
            ],
        ),
        (
            affinity(podAffinity={_REQUIRED: [{"topologyKey": "a"}]}),
            [f"spec.affinity.podAffinity.{_REQUIRED}[0].labelSelector: {_NULL}"],
        ),
        (
            affinity(
                podAntiAffinity={
                    _REQUIRED: [{"topologyKey": "a", "labelSelector": {}}],
                    _PREFERRED: [{"weight": 1, "podAffinityTerm": {"topologyKey": "a"}}],
                }
            ),
            [
                f"spec.affinity.podAntiAffinity.{_PREFERRED}[0].podAffinityTerm"
                f".labelSelector: {_NULL}"
            ],
        ),
        (
            {
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": _OLD_ZONE,
                        "whenUnsatisfiable": "DoNotSchedule",
                    }
                ]
            },
            [
                f"spec.topologySpreadConstraints[0].topologyKey: {_ZONE}",
                f"spec.topologySpreadConstraints[0].labelSelector: {_NULL}",
            ],
        ),
        (
            {"volumes": [{"name": "a"}, {"name": "b", "gitRepo": {"repository": "x"}}]},
            ["spec.volumes[1].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
        ),
        (
            {"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}]},
            ['spec.hostAliases[2].ip: duplicate ip "10.0.0.1"'],
        ),
        (
            {"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {"name": ""}]},
            [
                'spec.imagePullSecrets[1].name: duplicate name "a"',
                'spec.imagePullSecrets[2].name: invalid empty name ""',
            ],
        ),
        (
            {"overhead": {"memory": "100m", "cpu": "100m"}},
            ['spec.overhead[memory]: fractional byte value "100m" is invalid, must be an integer'],
        ),
        (
            {"terminationGracePeriodSeconds": -1},
            [
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and "
                "will be treated as 1"
            ],
        ),
    ],
)
def test_pods(spec: dict[str, Any], expected: list[str]) -> None:
    assert of_pod(**spec) == expected


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_containers(field: str) -> None:
    container = {
        **_CONTAINER,
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "2"},
            {"name": "A", "value": "$(A) and more"},
            {"name": "A", "value": "3"},
        ],
        "ports": [
            {"containerPort": 80},
            {"containerPort": 80, "protocol": "UDP"},
            {"containerPort": 81},
            {"containerPort": 80, "name": "web"},
        ],
        "resources": {"limits": {"memory": "1500m", "cpu": "1500m"}},
    }
    assert of_pod(**{field: [container]}) == [
        f'spec.{field}[0].resources.limits[memory]: fractional byte value "1500m" is invalid, '
        "must be an integer",
        f'spec.{field}[0].env[3]: hides previous definition of "A", which may be dropped when '
        "using apply",
        f"spec.{field}[0].ports[3]: duplicate port definition with spec.{field}[0].ports[0]",
    ]


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("apps/v1 DaemonSet", "spec.template."),
        ("apps/v1 Deployment", "spec.template."),
        ("apps/v1 ReplicaSet", "spec.template."),
        ("apps/v1 StatefulSet", "spec.template."),
        ("batch/v1 Job", "spec.template."),
        ("batch/v1 CronJob", "spec.jobTemplate.spec.template."),
        ("v1 PodTemplate", "template."),
        ("v1 ReplicationController", "spec.template."),
    ],
)
def test_templates_are_looked_into(kind: str, prefix: str) -> None:
    tree: dict[str, Any] = examples.tree(kind.partition(" ")[2])
    place = tree
    for name in prefix.strip(".").split("."):
        place = place[name]
    place.setdefault("metadata", {})["annotations"] = _ANNOTATIONS
    place["spec"] = {"containers": [_CONTAINER], "hostAliases": [{"ip": "::1"}] * 2}
    api_version, _, name = kind.partition(" ")
    assert told(api_version, name, tree) == [
        f"{prefix}metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional "
        'in v1.16+; use the "priorityClassName" field instead',
        f"{prefix}metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]: "
        'deprecated since v1.30; use the "appArmorProfile" field instead',
        f'{prefix}spec.hostAliases[1].ip: duplicate ip "::1"',
    ]


_CLASS = "volume.beta.kubernetes.io/storage-class"
_CLASS_TOLD = (
    f"metadata.annotations[{_CLASS}]: deprecated since v1.8; "
    'use "storageClassName" attribute instead'
)


def annotated(key: str) -> dict[str, Any]:
    return {"metadata": {"name": "a", "annotations": {key: "x"}}}


@pytest.mark.parametrize(
    ("kind", "tree", "expected"),
    [
        (
            "v1 PersistentVolume",
            {
                **annotated(_CLASS),
                "spec": {
                    "persistentVolumeReclaimPolicy": "Recycle",
                    "cephfs": {"monitors": ["a"]},
                    "nodeAffinity": {
                        "required": {"nodeSelectorTerms": [{"matchExpressions": _ROWS}]}
                    },
                },
            },
            [
                _CLASS_TOLD,
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
                "Instead, the recommended approach is to use dynamic provisioning.",
                "spec.cephfs: deprecated in v1.28, non-functional in v1.31+",
                "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: " + _ZONE,
            ],
        ),
        (
            "v1 PersistentVolumeClaim",
            {**annotated(_CLASS), "spec": {"resources": {"requests": {"storage": "1500m"}}}},
            [
                _CLASS_TOLD,
                'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must '
                "be an integer",
            ],
        ),
        (
            "v1 Service",
            {"spec": {"type": "ExternalName", "externalName": "x", "externalIPs": ["1.2.3.4"]}},
            ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
        ),
        (
            "v1 Service",
            {"spec": {"clusterIP": "None", "sessionAffinity": "ClientIP", "externalName": "x"}},
            [
                'spec.externalName is ignored when spec.type is not "ExternalName"',
                "spec.SessionAffinity is ignored for headless services",
            ],
        ),
        (
            "v1 ServiceAccount",
            annotated("kubernetes.io/enforce-mountable-secrets"),
            [
                "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in "
                "v1.32+; prefer separate namespaces to isolate access to mounted secrets"
            ],
        ),
        (
            "networking.k8s.io/v1 Ingress",
            annotated("kubernetes.io/ingress.class"),
            [
                'annotation "kubernetes.io/ingress.class" is deprecated, please use '
                "'spec.ingressClassName' instead"
            ],
        ),
        (
            "node.k8s.io/v1 RuntimeClass",
            {
                "handler": "x",
                "scheduling": {"nodeSelector": {"beta.kubernetes.io/instance-type": "x"}},
            },
            [
                "scheduling.nodeSelector[beta.kubernetes.io/instance-type]: deprecated since "
                'v1.17; use "node.kubernetes.io/instance-type" instead'
            ],
        ),
        (
            "storage.k8s.io/v1 StorageClass",
            {
                "provisioner": "x",
                "allowedTopologies": [
                    {"matchLabelExpressions": [{"key": _OLD_ZONE, "values": ["a"]}]}
                ],
            },
            [f"allowedTopologies[0].matchLabelExpressions[0].key: {_ZONE}"],
        ),
        ("v1 ConfigMap", annotated(_CLASS), []),
    ],
)
def test_other_kinds(kind: str, tree: dict[str, Any], expected: list[str]) -> None:
    api_version, _, name = kind.partition(" ")
    assert told(api_version, name, tree) == expected


@pytest.mark.parametrize("kind", sorted(examples.SOUND))
def test_nothing_is_said_of_what_is_as_it_should_be(kind: str) -> None:
    strategy = next(one for one in STRATEGIES if one.resource.kind == kind)
    sound = decode.convert(examples.tree(kind), strategy.resource.type, decode.STRICT).obj
    assert cautions(sound) == []
