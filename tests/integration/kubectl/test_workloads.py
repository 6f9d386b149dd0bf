"""StatefulSet, DaemonSet and ReplicationController as kubectl shows, scales and rolls them."""

from __future__ import annotations

import re

import pytest

from tests.integration.kubectl.conftest import Kubectl
from tests.patience import wait_until

STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: db
        image: db:1
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""

DAEMON_SET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: log}
spec:
  selector: {matchLabels: {app: log}}
  template:
    metadata: {labels: {app: log}}
    spec:
      nodeSelector: {nobody: has-it}
      containers: [{name: log, image: 'log:1'}]
"""

REPLICATION_CONTROLLER = """
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: old, image: 'old:1'}]}
"""

POD_TEMPLATE = """
apiVersion: v1
kind: PodTemplate
metadata: {name: pattern}
template:
  metadata: {labels: {app: pattern}}
  spec: {containers: [{name: c, image: 'i:1'}]}
"""


@pytest.mark.parametrize(("manifest", "target"), [(STATEFUL_SET, "sts/db"), (DAEMON_SET, "ds/log")])
def test_rollout_history_undo_and_restart(kubectl: Kubectl, manifest: str, target: str) -> None:
    kubectl.apply(manifest)
    kubectl.observed(target)
    name = target.partition("/")[2]
    kubectl("set", "image", target, f"{name}={name}:2")
    kubectl.observed(target)
    history = kubectl.lines("rollout", "history", target)
    assert [row[0] for row in history[2:] if row] == ["1", "2"]
    assert f"{name}:1" in kubectl("rollout", "history", target, "--revision=1")
    kubectl("rollout", "undo", target, "--to-revision=1")
    assert kubectl.path(target, "{.spec.template.spec.containers[0].image}") == f"{name}:1"
    kubectl.observed(target)
    history = kubectl.lines("rollout", "history", target)
    assert [row[0] for row in history[2:] if row] == ["2", "3"]
    kubectl("rollout", "restart", target)
    annotations = kubectl.json(target)["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
    revision = kubectl.lines("get", "controllerrevisions")
    assert revision[0] == ["NAME", "CONTROLLER", "REVISION", "AGE"]
    assert {row[1] for row in revision[1:]} == {f"{_kind(target)}.apps/{name}"}


def _kind(target: str) -> str:
    return {"sts": "statefulset", "ds": "daemonset"}[target.partition("/")[0]]


def test_a_stateful_set(kubectl: Kubectl) -> None:
    kubectl.apply(STATEFUL_SET)
    kubectl.observed("sts/db")
    assert kubectl.lines("get", "sts")[0] == ["NAME", "READY", "AGE"]
    assert kubectl.lines("get", "sts", "db", "--no-headers")[0][:2] == ["db", "0/2"]
    chosen = '{.status.conditions[?(@.type=="PodScheduled")].status}'
    wait_until(lambda: kubectl.run("get", "pod/db-0", "-o", f"jsonpath={chosen}").stdout == "False")
    assert kubectl.lines("get", "pods", "--no-headers")[0][0] == "db-0"
    assert kubectl.lines("get", "pvc", "--no-headers")[0][:2] == ["data-db-0", "Pending"]
    described = kubectl("describe", "sts", "db")
    assert re.search(r"Pods Status: +0 Running / 1 Waiting", described)
    assert "Volume Claims:" in described
    said = kubectl("rollout", "status", "sts/db", "--watch=false")
    assert "Waiting for 2 pods to be ready..." in said
    kubectl("scale", "sts/db", "--replicas=0")
    kubectl.run("wait", "pod/db-0", "--for=delete", "--timeout=60s")  # an old one fails at once
    said = kubectl.run("rollout", "status", "sts/db", "--timeout=60s")
    assert "partitioned roll out complete: 0 new pods have been updated" in said.stdout
    refused = kubectl("patch", "sts", "db", "-p", '{"spec": {"serviceName": "other"}}', fails=True)
    assert "updates to statefulset spec for fields other than 'replicas', 'ordinals'" in refused


def test_a_daemon_set(kubectl: Kubectl) -> None:
    kubectl.apply(DAEMON_SET)
    kubectl.observed("ds/log")
    assert kubectl.lines("get", "ds", "log", "--no-headers")[0][:7] == [
        "log", "0", "0", "0", "0", "0", "nobody=has-it",
    ]  # fmt: skip
    described = kubectl("describe", "ds", "log")
    assert "Desired Number of Nodes Scheduled: 0" in described
    said = kubectl("rollout", "status", "ds/log", "--timeout=60s")
    assert 'daemon set "log" successfully rolled out' in said


def test_a_replication_controller(kubectl: Kubectl) -> None:
    kubectl.apply(REPLICATION_CONTROLLER)
    _has_replicas(kubectl, "2")
    assert re.search(r"Selector: +app=old", kubectl("describe", "rc", "old"))
    kubectl("scale", "rc/old", "--replicas=1")
    _has_replicas(kubectl, "1")
    kubectl("expose", "rc", "old", "--port=80")
    assert kubectl.path("svc/old", "{.spec.selector.app}") == "old"
    kubectl(
        "delete",
        "rc",
        "old",
        "--cascade=false" if kubectl.version < (1, 20) else "--cascade=orphan",
    )
    assert len(kubectl.lines("get", "pods", "--no-headers")) == 1


def _has_replicas(kubectl: Kubectl, number: str) -> None:
    row = ["old", number, number, "0"]
    wait_until(lambda: kubectl.lines("get", "rc", "old", "--no-headers")[0][:4] == row)


def test_a_pod_template(kubectl: Kubectl) -> None:
    kubectl.apply(POD_TEMPLATE)
    assert kubectl.lines("get", "podtemplates") == [
        ["NAME", "CONTAINERS", "IMAGES", "POD", "LABELS"],
        ["pattern", "c", "i:1", "app=pattern"],
    ]
