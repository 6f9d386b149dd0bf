"""What volumes, claims and attachments may say, and what never changes about them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    make,
    said,
    strategy_of,
)

VOLUME, CLAIM, ATTACHMENT = "PersistentVolume", "PersistentVolumeClaim", "VolumeAttachment"
CSI = {"driver": "disk.example.com", "volumeHandle": "vol-1"}
NO_NFS: dict[str, Any] = {"spec.nfs": REMOVE}
SECRET = {"name": "s", "namespace": "storage"}
NODES = {"required": {"nodeSelectorTerms": [{"matchExpressions": []}]}}
SNAPSHOT = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
OTHER = {"kind": "PersistentVolumeClaim", "name": "other"}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (VOLUME, {**NO_NFS, "spec.csi": CSI, "spec.volumeAttributesClassName": "gold"}),
        (VOLUME, {**NO_NFS, "spec.hostPath": {"path": "/data"}}),
        (VOLUME, {**NO_NFS, "spec.local": {"path": "/mnt/a..b"}}),
        (VOLUME, {"spec.nodeAffinity": REMOVE, "spec.volumeMode": "Block"}),
        (VOLUME, {"spec.accessModes": ["ReadWriteOncePod"]}),
        (VOLUME, {"spec.persistentVolumeReclaimPolicy": "Recycle"}),
        (CLAIM, {"spec.storageClassName": ""}),
        (CLAIM, {"spec.storageClassName": REMOVE, "spec.dataSource": OTHER}),
        (CLAIM, {"spec.dataSourceRef": SNAPSHOT}),
        (ATTACHMENT, {}),
        (
            ATTACHMENT,
            {"spec.source": {"inlineVolumeSpec": {"csi": CSI, "accessModes": ["ReadWriteOnce"]}}},
        ),
    ],
)
def test_sound(kind: str, change: Change) -> None:
    errors = strategy_of(kind).validate(complete(kind, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.accessModes": []}, "spec.accessModes", "Required value"),
        ({"spec.accessModes": ["Often"]}, "spec.accessModes", 'Unsupported value: "Often"'),
        (
            {"spec.accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]},
            "spec.accessModes",
            "may not use ReadWriteOncePod with other access modes",
        ),
        ({"spec.capacity": REMOVE}, "spec.capacity", "Required value"),
        ({"spec.capacity": {"cpu": "1"}}, "spec.capacity", 'supported values: "storage"'),
        ({"spec.capacity.storage": "0"}, "spec.capacity[storage]", "must be greater than zero"),
        (
            {"spec.persistentVolumeReclaimPolicy": "Burn"},
            "spec.persistentVolumeReclaimPolicy",
            '"Retain"',
        ),
        (
            {
                **NO_NFS,
                "spec.hostPath": {"path": "/"},
                "spec.persistentVolumeReclaimPolicy": "Recycle",
            },
            "spec.persistentVolumeReclaimPolicy",
            "may not be 'recycle' for a hostPath mount of '/'",
        ),
        ({"spec.storageClassName": "a b"}, "spec.storageClassName", "RFC 1123"),
        ({"spec.volumeMode": "Tape"}, "spec.volumeMode", '"Filesystem"'),
        ({"spec.volumeAttributesClassName": ""}, "spec.volumeAttributesClassName", "Required"),
        (
            {"spec.volumeAttributesClassName": "gold"},
            "spec.csi",
            "has to be specified when using volumeAttributesClassName",
        ),
        (NO_NFS, "spec", "must specify a volume type"),
        ({"spec.csi": CSI}, "spec.csi", "may not specify more than 1 volume type"),
        (
            {**NO_NFS, "spec.local": {"path": "/a"}, "spec.nodeAffinity": REMOVE},
            "spec.nodeAffinity",
            "Local volume requires node affinity",
        ),
        ({**NO_NFS, "spec.local": {"path": ""}}, "spec.local.path", "Required value"),
        ({**NO_NFS, "spec.local": {"path": "/a/../b"}}, "spec.local.path", "must not contain '..'"),
        ({**NO_NFS, "spec.hostPath": {"path": "/a/.."}}, "spec.hostPath.path", "not contain '..'"),
        (
            {"spec.nodeAffinity": {}},
            "spec.nodeAffinity.required",
            "must specify required node constraints",
        ),
        (
            {"spec.nodeAffinity.required.nodeSelectorTerms": []},
            "spec.nodeAffinity.required.nodeSelectorTerms",
            "must have at least one node selector term",
        ),
        (
            {**NO_NFS, "spec.csi": {**CSI, "volumeHandle": ""}},
            "spec.csi.volumeHandle",
            "Required value",
        ),
        ({**NO_NFS, "spec.csi": {**CSI, "driver": ""}}, "spec.csi.driver", "Required value"),
        ({**NO_NFS, "spec.csi": {**CSI, "driver": "a/b"}}, "spec.csi.driver", "RFC 1123"),
        (
            {**NO_NFS, "spec.csi": {**CSI, "nodeStageSecretRef": {"name": "s"}}},
            "spec.csi.nodeStageSecretRef.namespace",
            "Required value",
        ),
        (
            {
                **NO_NFS,
                "spec.azureFile": {"secretName": "a", "shareName": "b", "secretNamespace": ""},
            },
            "spec.azureFile.secretNamespace",
            "Required value",
        ),
    ],
)
def test_broken_volumes(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(VOLUME).validate(complete(VOLUME, change)), field, words)


@pytest.mark.parametrize(
    ("source", "field", "words"),
    [
        ({"nfs": {"server": "", "path": "/"}}, "nfs.server", "Required value"),
        ({"nfs": {"server": "a", "path": "b"}}, "nfs.path", "must be an absolute path"),
        ({"glusterfs": {"endpoints": "a", "path": ""}}, "glusterfs.path", "Required value"),
        ({"rbd": {"monitors": [], "image": "a"}}, "rbd.monitors", "Required value"),
        ({"cephfs": {"monitors": []}}, "cephfs.monitors", "Required value"),
        (
            {"gcePersistentDisk": {"pdName": "a", "partition": 256}},
            "gcePersistentDisk.partition",
            "must be between 0 and 255, inclusive",
        ),
        (
            {"iscsi": {"targetPortal": "a", "iqn": "b", "lun": 0}},
            "iscsi.iqn",
            "invalid format",
        ),
        (
            {"iscsi": {"targetPortal": "a", "iqn": "iqn.b", "lun": -1}},
            "iscsi.lun",
            "must be between 0 and 255",
        ),
        (
            {"iscsi": {"targetPortal": "a", "iqn": "iqn.b", "lun": 0, "chapAuthSession": True}},
            "iscsi.secretRef",
            "Required value",
        ),
        ({"fc": {}}, "fc.targetWWNs", "must specify either targetWWNs or wwids"),
        ({"fc": {"targetWWNs": ["a"], "wwids": ["b"]}}, "fc.targetWWNs", "simultaneously"),
        ({"fc": {"targetWWNs": ["a"]}}, "fc.lun", "lun is required if targetWWNs is specified"),
        ({"fc": {"targetWWNs": ["a"], "lun": 256}}, "fc.lun", "must be between 0 and 255"),
        ({"flocker": {}}, "flocker", "one of datasetName and datasetUUID is required"),
        ({"flocker": {"datasetName": "a", "datasetUUID": "b"}}, "flocker", "simultaneously"),
        ({"flocker": {"datasetName": "a/b"}}, "flocker.datasetName", "must not contain '/'"),
        (
            {"azureDisk": {"diskName": "a", "diskURI": "b", "kind": "Own"}},
            "azureDisk.kind",
            '"Managed"',
        ),
    ],
)
def test_sources_are_checked_alike_in_volumes_and_pods(
    source: dict[str, Any], field: str, words: str
) -> None:
    change = {f"spec.{name}": value for name, value in source.items()}
    errors = strategy_of(VOLUME).validate(complete(VOLUME, {**NO_NFS, **change}))
    assert_says(errors, f"spec.{field}", words)
    pod = complete("Pod", {"spec.volumes": [{"name": "a", **source}]})
    assert_says(strategy_of("Pod").validate(pod), f"spec.volumes[0].{field}", words)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.accessModes": []}, "spec.accessModes", "at least 1 access mode is required"),
        ({"spec.resources": {}}, "spec.resources[storage]", "Required value"),
        (
            {"spec.resources.requests.storage": "-1"},
            "spec.resources[storage]",
            "must be greater than zero",
        ),
        ({"spec.storageClassName": "a b"}, "spec.storageClassName", "RFC 1123"),
        ({"spec.volumeMode": "Tape"}, "spec.volumeMode", '"Block"'),
        ({"spec.selector.matchLabels": {"a b": "c"}}, "spec.selector.matchLabels", "consist of"),
        ({"spec.dataSource": {**OTHER, "name": ""}}, "spec.dataSource.name", "Required value"),
        (
            {"spec.dataSourceRef": {"kind": "Pod", "name": "p"}},
            "spec.dataSourceRef",
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        ),
        (
            {"spec.dataSourceRef": {"apiGroup": "a b", "kind": "X", "name": "x"}},
            "spec.dataSourceRef.apiGroup",
            "RFC 1123",
        ),
        (
            {"spec.dataSource": OTHER, "spec.dataSourceRef": SNAPSHOT},
            "spec",
            "must match dataSourceRef",
        ),
        (
            {"spec.dataSource": OTHER, "spec.dataSourceRef": {**OTHER, "namespace": "a"}},
            "spec.dataSource",
            "may not be specified when dataSourceRef.namespace is specified",
        ),
    ],
)
def test_broken_claims(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(CLAIM).validate(complete(CLAIM, change)), field, words)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.attacher": ""}, "spec.attacher", "Required value"),
        ({"spec.nodeName": ""}, "spec.nodeName", "Required value"),
        ({"spec.source": {}}, "spec.source", "must specify exactly one of inlineVolumeSpec and"),
        ({"spec.source.inlineVolumeSpec": {}}, "spec.source", "must specify exactly one of"),
        (
            {"spec.source.persistentVolumeName": ""},
            "spec.source.persistentVolumeName",
            "must specify non empty persistentVolumeName",
        ),
        (
            {"spec.source": {"inlineVolumeSpec": {"nfs": {"server": "a", "path": "/"}}}},
            "spec.source.inlineVolumeSpec.csi",
            "has to be specified in the context of inline volumes",
        ),
        (
            {"spec.source": {"inlineVolumeSpec": {"csi": CSI, "capacity": {"storage": "1Gi"}}}},
            "spec.source.inlineVolumeSpec.capacity",
            "may not be specified in the context of inline volumes",
        ),
    ],
)
def test_broken_attachments(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(ATTACHMENT).validate(complete(ATTACHMENT, change)), field, words)


def test_what_is_left_out() -> None:
    volume = complete(VOLUME)
    assert volume.spec.persistent_volume_reclaim_policy == "Retain"
    assert (volume.spec.volume_mode, volume.status.phase) == ("Filesystem", "Pending")
    claim = complete(CLAIM, {"status": {"phase": "Bound"}})
    assert (claim.spec.volume_mode, claim.status.phase) == ("Filesystem", "Pending")
    assert complete(ATTACHMENT, {"status": {"attached": True}}).status.attached is False


def test_a_claim_s_source_can_be_read_in_either_field() -> None:
    named = complete(CLAIM, {"spec.dataSource": OTHER}).spec
    assert (named.data_source_ref.kind, named.data_source_ref.name) == (OTHER["kind"], "other")
    referred = complete(CLAIM, {"spec.dataSourceRef": SNAPSHOT}).spec
    assert (referred.data_source.kind, referred.data_source.name) == ("VolumeSnapshot", "s")


def test_what_only_a_reference_can_name() -> None:
    importing = {"apiGroup": "example.com", "kind": "Import", "name": "i"}
    assert complete(CLAIM, {"spec.dataSourceRef": importing}).spec.data_source is None
    dropped = complete(CLAIM, {"spec.dataSource": importing}).spec
    assert (dropped.data_source, dropped.data_source_ref) == (None, None)


SOURCE = "spec.persistentvolumesource"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.nfs.path": "/other"}, SOURCE, "is immutable after creation"),
        ({**NO_NFS, "spec.csi": CSI}, SOURCE, "is immutable after creation"),
        ({"spec.volumeMode": "Block"}, "spec.volumeMode", "field is immutable"),
        ({"spec.nodeAffinity": NODES}, "spec.nodeAffinity", "field is immutable"),
        ({"spec.capacity": {}}, "spec.capacity", "Required value"),
    ],
)
def test_what_never_changes_about_a_volume(change: Change, field: str, words: str) -> None:
    old = complete(VOLUME)
    errors = strategy_of(VOLUME).validate_update(changed(VOLUME, old, change), old)
    assert_says(errors, field, words)


def test_what_may_change_about_a_volume() -> None:
    old = complete(VOLUME, {**NO_NFS, "spec.csi": CSI, "spec.nodeAffinity": REMOVE})
    change = {
        "spec.claimRef": {"kind": CLAIM, "namespace": "default", "name": "data"},
        "spec.nodeAffinity": NODES,
        "spec.capacity.storage": "20Gi",
        "spec.persistentVolumeReclaimPolicy": "Delete",
        "spec.csi.controllerExpandSecretRef": SECRET,
        "spec.volumeAttributesClassName": "gold",
    }
    new = changed(VOLUME, old, change)
    errors = strategy_of(VOLUME).validate_update(new, old)
    assert not errors, said(errors)
    back = changed(VOLUME, new, {"spec.volumeAttributesClassName": REMOVE})
    assert_says(
        strategy_of(VOLUME).validate_update(back, new),
        "spec.volumeAttributesClassName",
        "update from non-nil value to nil is forbidden",
    )


def bound(size: str = "1Gi") -> Any:
    claim = complete(CLAIM, {"spec.volumeName": "share", "spec.volumeAttributesClassName": "a"})
    claim.status.phase, claim.status.capacity = "Bound", {"storage": size}
    return claim


IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClass"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.accessModes": ["ReadOnlyMany"]}, "spec", IMMUTABLE),
        ({"spec.storageClassName": "slow"}, "spec", IMMUTABLE),
        ({"spec.volumeName": "other"}, "spec", IMMUTABLE),
        ({"spec.resources.limits": {"storage": "9Gi"}}, "spec", IMMUTABLE),
        ({"spec.volumeMode": "Block"}, "spec.volumeMode", "field is immutable"),
        (
            {"spec.resources.requests.storage": "1Mi"},
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        ),
        (
            {"spec.volumeAttributesClassName": REMOVE},
            "spec.volumeAttributesClassName",
            "update from non-nil value to nil is forbidden",
        ),
    ],
)
def test_what_never_changes_about_a_bound_claim(change: Change, field: str, words: str) -> None:
    old = bound()
    errors = strategy_of(CLAIM).validate_update(changed(CLAIM, old, change), old)
    assert_says(errors, field, words)


def test_a_bound_claim_may_grow_and_take_back_what_failed() -> None:
    old = bound()
    new = changed(CLAIM, old, {"spec.resources.requests.storage": "8Gi"})
    assert not strategy_of(CLAIM).validate_update(new, old)
    less = changed(CLAIM, new, {"spec.resources.requests.storage": "2Gi"})
    assert not strategy_of(CLAIM).validate_update(less, new)
    other = changed(CLAIM, old, {"spec.volumeAttributesClassName": "b"})
    assert not strategy_of(CLAIM).validate_update(other, old)


def test_a_claim_that_waits_may_only_be_bound_and_given_a_class() -> None:
    old = complete(CLAIM, {"spec.storageClassName": REMOVE})
    rules = strategy_of(CLAIM)
    binding = changed(CLAIM, old, {"spec.volumeName": "share", "spec.storageClassName": "fast"})
    assert not rules.validate_update(binding, old)
    growing = changed(CLAIM, old, {"spec.resources.requests.storage": "2Gi"})
    assert_says(rules.validate_update(growing, old), "spec", IMMUTABLE)


def test_an_attachment_stays_as_it_was_asked_for() -> None:
    old = complete(ATTACHMENT)
    new = changed(ATTACHMENT, old, {"spec.nodeName": "other"})
    assert_says(strategy_of(ATTACHMENT).validate_update(new, old), "spec", "field is immutable")


def test_what_a_driver_may_say_of_an_attachment() -> None:
    rules, old = strategy_of(ATTACHMENT), complete(ATTACHMENT)
    said_by_it = {"attached": True, "attachmentMetadata": {"device": "/dev/b"}}
    assert not rules.validate_subresource("status", make(ATTACHMENT, {"status": said_by_it}), old)
    for words in ({"attachError": {"message": "x" * 1025}}, {"attachmentMetadata": {"": "x"}}):
        new = make(ATTACHMENT, {"status": {"attached": False, **words}})
        (error,) = rules.validate_subresource("status", new, old)
        assert error.field.startswith(f"status.{next(iter(words))}")


def test_sizes_in_a_claim_s_status() -> None:
    new = make(CLAIM, {"status": {"capacity": {"storage": "-1"}}})
    errors = strategy_of(CLAIM).validate_subresource("status", new, complete(CLAIM))
    assert_says(errors, "status.capacity[storage]", "must be greater than or equal to 0")
