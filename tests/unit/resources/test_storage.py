"""Classes of storage and what drivers say: what may be written, and what never changes."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    said,
    strategy_of,
)

CLASS, DRIVER, NODE = "StorageClass", "CSIDriver", "CSINode"
CAPACITY, ATTRIBUTES = "CSIStorageCapacity", "VolumeAttributesClass"
EXPRESSIONS = "allowedTopologies[0].matchLabelExpressions"
DRIVER_0 = "spec.drivers[0]"
IMMUTABLE = "field is immutable"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (CLASS, {"provisioner": "kubernetes.io/no-provisioner", "parameters": REMOVE}),
        (CLASS, {"reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer"}),
        (DRIVER, {"spec": {}}),
        (DRIVER, {"spec.nodeAllocatableUpdatePeriodSeconds": 10}),
        (NODE, {"spec.drivers": []}),
        (NODE, {f"{DRIVER_0}.allocatable": {}, f"{DRIVER_0}.topologyKeys": []}),
        (CAPACITY, {"capacity": REMOVE, "nodeTopology": {}}),
        (ATTRIBUTES, {"parameters": {"a": ""}}),
    ],
)
def test_sound(kind: str, change: Change) -> None:
    errors = strategy_of(kind).validate(complete(kind, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("kind", "change", "field", "words"),
    [
        (CLASS, {"provisioner": ""}, "provisioner", "Required value"),
        (CLASS, {"provisioner": "a b"}, "provisioner", "name part must consist of"),
        (CLASS, {"parameters": {"": "x"}}, "parameters", "field can not be empty."),
        (CLASS, {"parameters": {"a": "x" * 262144}}, "parameters", "Too long"),
        (
            CLASS,
            {"parameters": {str(n): "" for n in range(513)}},
            "parameters",
            "must have at most 512 items",
        ),
        (CLASS, {"reclaimPolicy": "Recycle"}, "reclaimPolicy", 'supported values: "Delete"'),
        (CLASS, {"volumeBindingMode": "Later"}, "volumeBindingMode", "WaitForFirstConsumer"),
        (CLASS, {f"{EXPRESSIONS}[0].values": []}, f"{EXPRESSIONS}[0].values", "Required value"),
        (CLASS, {f"{EXPRESSIONS}[0].key": "a b"}, f"{EXPRESSIONS}[0].key", "must consist of"),
        (
            CLASS,
            {f"{EXPRESSIONS}[0].values": ["a", "a"]},
            f"{EXPRESSIONS}[0].values[1]",
            "Duplicate",
        ),
        (
            CLASS,
            {f"{EXPRESSIONS}[1]": {"key": "topology.kubernetes.io/zone", "values": ["c"]}},
            f"{EXPRESSIONS}[1].key",
            "Duplicate",
        ),
        (
            CLASS,
            {
                "allowedTopologies[1]": {
                    "matchLabelExpressions": [
                        {"key": "topology.kubernetes.io/zone", "values": ["b", "a"]}
                    ]
                }
            },
            "allowedTopologies[1].matchLabelExpressions",
            "Duplicate",
        ),
        (
            DRIVER,
            {"spec.volumeLifecycleModes": ["Eternal"]},
            "spec.volumeLifecycleModes",
            "Ephemeral",
        ),
        (DRIVER, {"spec.fsGroupPolicy": "Maybe"}, "spec.fsGroupPolicy", "ReadWriteOnceWithFSType"),
        (
            DRIVER,
            {"spec.tokenRequests[1].audience": "vault"},
            "spec.tokenRequests[1].audience",
            "Duplicate",
        ),
        (
            DRIVER,
            {"spec.tokenRequests[0].expirationSeconds": 599},
            "spec.tokenRequests[0].expirationSeconds",
            "may not specify a duration less than 10 minutes",
        ),
        (
            DRIVER,
            {"spec.tokenRequests[0].expirationSeconds": 4294967297},
            "spec.tokenRequests[0].expirationSeconds",
            "may not specify a duration larger than 2^32 seconds",
        ),
        (
            DRIVER,
            {"spec.nodeAllocatableUpdatePeriodSeconds": 9},
            "spec.nodeAllocatableUpdatePeriodSeconds",
            "must be greater than or equal to 10 seconds",
        ),
        (NODE, {f"{DRIVER_0}.name": ""}, f"{DRIVER_0}.name", "Required value"),
        (NODE, {f"{DRIVER_0}.name": "a" * 64}, f"{DRIVER_0}.name", "Too long"),
        (NODE, {f"{DRIVER_0}.name": "a_b"}, f"{DRIVER_0}.name", "RFC 1123"),
        (NODE, {f"{DRIVER_0}.nodeID": ""}, f"{DRIVER_0}.nodeID", "Required value"),
        (
            NODE,
            {f"{DRIVER_0}.nodeID": "x" * 193},
            f"{DRIVER_0}.nodeID",
            "must be 192 characters or less",
        ),
        (NODE, {f"{DRIVER_0}.topologyKeys": [""]}, f"{DRIVER_0}.topologyKeys[0]", "Required"),
        (
            NODE,
            {f"{DRIVER_0}.topologyKeys": ["a", "a"]},
            f"{DRIVER_0}.topologyKeys[1]",
            "Duplicate",
        ),
        (
            NODE,
            {f"{DRIVER_0}.allocatable.count": -1},
            f"{DRIVER_0}.allocatable.count",
            "greater than or equal to 0",
        ),
        (
            NODE,
            {
                "spec.drivers[1]": {
                    "name": "disk.example.com",
                    "nodeID": "x",
                    "topologyKeys": [],
                }
            },
            "spec.drivers[1].name",
            "Duplicate",
        ),
        (CAPACITY, {"storageClassName": ""}, "storageClassName", "Required value"),
        (CAPACITY, {"storageClassName": "a b"}, "storageClassName", "RFC 1123"),
        (CAPACITY, {"capacity": "-1"}, "capacity", "must be greater than or equal to 0"),
        (CAPACITY, {"maximumVolumeSize": "-1"}, "maximumVolumeSize", "greater than or equal to 0"),
        (
            CAPACITY,
            {"nodeTopology.matchLabels": {"a b": "c"}},
            "nodeTopology.matchLabels",
            "name part must consist of",
        ),
        (ATTRIBUTES, {"driverName": ""}, "driverName", "Required value"),
        (ATTRIBUTES, {"parameters": {}}, "parameters", "must contain at least one key/value pair"),
    ],
)
def test_broken(kind: str, change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(kind).validate(complete(kind, change)), field, words)


def test_what_a_class_leaves_out() -> None:
    made = complete(CLASS)
    assert (made.reclaim_policy, made.volume_binding_mode) == ("Delete", "Immediate")


def test_what_a_driver_leaves_out() -> None:
    spec = complete(DRIVER, {"spec": {}}).spec
    assert (spec.attach_required, spec.pod_info_on_mount, spec.storage_capacity) == (
        True,
        False,
        False,
    )
    assert (spec.requires_republish, spec.se_linux_mount) == (False, False)
    assert spec.volume_lifecycle_modes == ["Persistent"]
    assert spec.fs_group_policy == "ReadWriteOnceWithFSType"
    assert complete(DRIVER, {"spec": {"attachRequired": False}}).spec.attach_required is False


@pytest.mark.parametrize(
    ("kind", "change", "field", "words"),
    [
        (CLASS, {"provisioner": "x"}, "provisioner", "updates to provisioner are forbidden."),
        (CLASS, {"parameters": {}}, "parameters", "updates to parameters are forbidden."),
        (CLASS, {"reclaimPolicy": "Retain"}, "reclaimPolicy", "updates to reclaimPolicy are"),
        (CLASS, {"volumeBindingMode": "WaitForFirstConsumer"}, "volumeBindingMode", IMMUTABLE),
        (CLASS, {f"{EXPRESSIONS}[0].values": []}, f"{EXPRESSIONS}[0].values", "Required value"),
        (DRIVER, {"spec.attachRequired": False}, "spec.attachRequired", IMMUTABLE),
        (
            DRIVER,
            {"spec.volumeLifecycleModes": ["Ephemeral"]},
            "spec.volumeLifecycleModes",
            IMMUTABLE,
        ),
        (NODE, {f"{DRIVER_0}.nodeID": "i-2"}, DRIVER_0, IMMUTABLE),
        (CAPACITY, {"storageClassName": "slow"}, "storageClassName", IMMUTABLE),
        (CAPACITY, {"nodeTopology": {}}, "nodeTopology", IMMUTABLE),
        (ATTRIBUTES, {"driverName": "x"}, "driverName", "updates to driverName are forbidden."),
        (ATTRIBUTES, {"parameters": {"a": "b"}}, "parameters", "updates to parameters are"),
    ],
)
def test_what_never_changes(kind: str, change: Change, field: str, words: str) -> None:
    old = complete(kind)
    assert_says(strategy_of(kind).validate_update(changed(kind, old, change), old), field, words)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (CLASS, {"allowVolumeExpansion": True, "mountOptions": []}),
        (DRIVER, {"spec.podInfoOnMount": True, "spec.fsGroupPolicy": "File"}),
        (NODE, {f"{DRIVER_0}.allocatable.count": 8}),
        (NODE, {"spec.drivers": []}),
        (CAPACITY, {"capacity": "1Gi", "maximumVolumeSize": REMOVE}),
        (ATTRIBUTES, {"metadata.labels": {"a": "b"}}),
    ],
)
def test_what_may(kind: str, change: Change) -> None:
    old = complete(kind)
    errors = strategy_of(kind).validate_update(changed(kind, old, change), old)
    assert not errors, said(errors)


def test_every_error_at_once() -> None:
    errors = strategy_of(CLASS).validate(
        complete(CLASS, {"provisioner": "", "reclaimPolicy": "x", "volumeBindingMode": "y"})
    )
    assert {one.field for one in errors} == {"provisioner", "reclaimPolicy", "volumeBindingMode"}
