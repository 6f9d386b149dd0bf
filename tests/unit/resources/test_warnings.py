"""Fields without effect are named to whoever sets them, and nobody else is bothered."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import SOUND, Change, complete, strategy_of

C0 = "spec.containers[0]"

QUIET: list[tuple[str, Change]] = [
    ("Pod", {}),
    ("Pod", {"spec.automountServiceAccountToken": False}),
    ("Pod", {"spec.priorityClassName": "high", "spec.preemptionPolicy": "Never"}),
    (
        "Pod",
        {"spec.volumes": [{"name": "a", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]},
    ),
    (
        "Pod",
        {
            f"{C0}.volumeMounts": [
                {"name": "data", "mountPath": "/a", "recursiveReadOnly": "Disabled"}
            ]
        },
    ),
    ("Service", {"spec.externalIPs": ["10.1.1.1"], "spec.sessionAffinity": "ClientIP"}),
    (
        "Pod",
        {
            "spec.topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "a",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {},
                }
            ],
            "spec.affinity": {"podAffinity": {}, "podAntiAffinity": {}},
        },
    ),
    ("Pod", {f"{C0}.resources.limits[ephemeral-storage]": "1Gi"}),
    ("Pod", {"spec.volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Mi"}}]}),
    ("Pod", {"spec.automountServiceAccountToken": True}),
    ("Pod", {"spec.securityContext": {"seLinuxChangePolicy": "MountOption"}}),
    (
        "ServiceAccount",
        {"automountServiceAccountToken": True, "imagePullSecrets": [{"name": "a"}]},
    ),
    ("Namespace", {"metadata.labels": {"pod-security.kubernetes.io/enforce": "privileged"}}),
]

LOUD: list[tuple[str, Change, str]] = [
    (
        "Pod",
        {"spec.volumes": [{"name": "a", "flocker": {"datasetName": "s"}}]},
        "spec.volumes[0].flocker",
    ),
    (
        "Pod",
        {
            "spec.volumes": [
                {
                    "name": "a",
                    "projected": {"sources": [{"clusterTrustBundle": {"name": "b", "path": "p"}}]},
                }
            ]
        },
        "spec.volumes[0].projected.sources[0].clusterTrustBundle",
    ),
    (
        "Deployment",
        {
            "spec.template.spec.volumes": [
                {"name": "a", "quobyte": {"registry": "r", "volume": "v"}}
            ]
        },
        "spec.template.spec.volumes[0].quobyte",
    ),
    (
        "ReplicaSet",
        {"spec.template.spec.volumes": [{"name": "a", "csi": {"driver": "d.example"}}]},
        "spec.template.spec.volumes[0].csi",
    ),
    ("Service", {"spec.type": "LoadBalancer"}, "spec.type"),
    (
        "Namespace",
        {"metadata.labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        "metadata.labels[pod-security.kubernetes.io/enforce]",
    ),
    ("Lease", {"spec.strategy": "OldestEmulationVersion"}, "spec.strategy"),
]


def warned(kind: str, change: Change) -> set[str]:
    """The paths that are warned of."""
    return {text.partition(":")[0] for text in strategy_of(kind).warnings(complete(kind, change))}


# The example of a Pod sets a few of these fields, because they must be accepted.
COMMON = warned("Pod", {})


@pytest.mark.parametrize(("kind", "change"), QUIET)
def test_quiet(kind: str, change: Change) -> None:
    assert warned(kind, change) <= (COMMON if kind == "Pod" else set())


@pytest.mark.parametrize(("kind", "change", "path"), LOUD, ids=[row[2] for row in LOUD])
def test_loud(kind: str, change: Change, path: str) -> None:
    assert path in warned(kind, change)


STORED_ONLY = {
    "CSIDriver",
    "CSINode",
    "CSIStorageCapacity",
    "ClusterRole",
    "ClusterRoleBinding",
    "IPAddress",
    "Ingress",
    "NetworkPolicy",
    "Role",
    "RoleBinding",
    "ServiceCIDR",
    "VolumeAttachment",
    "VolumeAttributesClass",
}
"""Kinds that nothing acts on yet: whoever writes one is told."""


@pytest.mark.parametrize("kind", sorted(STORED_ONLY))
def test_what_is_only_stored_says_so(kind: str) -> None:
    assert warned(kind, {})


def test_the_text_says_what_is_missing() -> None:
    change = {"spec.volumes": [{"name": "a", "csi": {"driver": "d.example"}}]}
    texts = strategy_of("Pod").warnings(complete("Pod", change))
    text = "spec.volumes[0].csi: accepted, but without effect: the agent cannot mount it yet"
    assert any(text in one for one in texts)


def test_plain_objects_are_never_warned_of() -> None:
    for kind in SOUND.keys() - {"Pod"} - STORED_ONLY:
        assert not strategy_of(kind).warnings(complete(kind)), kind
