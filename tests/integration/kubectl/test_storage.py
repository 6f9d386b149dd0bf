"""Classes, volumes and claims, as every version of kubectl prints and changes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.integration.kubectl.conftest import Kubectl
from tests.patience import wait_until

MANIFEST = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: NAME
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: example.com/nfs
parameters: {server: a}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: NAME}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteMany, ReadWriteOnce]
  storageClassName: NAME
  nfs: {server: a, path: /b}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""


@pytest.fixture
def name(kubectl: Kubectl) -> Iterator[str]:
    """What class and volume are called; the claim `data` is bound to the volume."""
    made = f"{kubectl.namespace}-fast"
    kubectl.apply(MANIFEST.replace("NAME", made))
    asked = ("get", "pvc/data", f"pv/{made}", "-o", "jsonpath={.items[*].status.phase}")
    wait_until(lambda: kubectl(*asked) == "Bound Bound")
    yield made
    kubectl("delete", "--ignore-not-found", f"sc/{made}", f"pv/{made}", "pvc/data")


def test_get(kubectl: Kubectl, name: str) -> None:
    head, row = kubectl.lines("get", "sc", name)
    columns = "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE"
    assert head == columns.split()
    assert row[:6] == [name, "(default)", "example.com/nfs", "Delete", "Immediate", "false"]
    head, row = kubectl.lines("get", "pv", name)
    columns = "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS"
    assert head[:9] == columns.split()
    claim = f"{kubectl.namespace}/data"
    assert row[:7] == [name, "10Gi", "RWO,RWX", "Retain", "Bound", claim, name]
    row = kubectl.lines("get", "pvc")[1]
    assert row[:6] == ["data", "Bound", name, "10Gi", "RWO,RWX", name]  # of the default class
    assert kubectl.lines("get", "pvc", "-o", "wide")[1][-1] == "Filesystem"


def test_describe(kubectl: Kubectl, name: str) -> None:
    described = kubectl("describe", "storageclass", name)
    assert re.search(r"IsDefaultClass: +Yes\n", described)
    assert re.search(r"Provisioner: +example.com/nfs\nParameters: +server=a\n", described)
    described = kubectl("describe", "pv", name)
    assert re.search(r"Type: +NFS .*\n +Server: +a\n +Path: +/b\n", described)
    assert re.search(rf"Claim: +{kubectl.namespace}/data\n", described)
    described = kubectl("describe", "pvc", "data")
    assert re.search(rf"StorageClass: +{name}\nStatus: +Bound\nVolume: +{name}\n", described)


def test_a_manifest_can_be_applied_again_and_a_claim_cannot_be_changed(
    kubectl: Kubectl, name: str
) -> None:
    manifest = MANIFEST.replace("NAME", name)
    assert kubectl.apply(manifest).count("unchanged") == 3
    kubectl.apply(manifest.replace("10Gi", "20Gi"))
    assert kubectl.path(f"pv/{name}", "{.spec.capacity.storage}") == "20Gi"
    other = {"spec": {"accessModes": ["ReadWriteMany"]}}
    said = kubectl("patch", "pvc", "data", "-p", str(other).replace("'", '"'), fails=True)
    assert "spec is immutable after creation except resources.requests" in said
