"""How workloads whose pods run go back to what they were, and what kubectl says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.kubectl import test_transcripts as transcripts
from tests.integration.kubectl.conftest import Kubectl
from tests.integration.kubectl.test_transcripts import Nodes, apply, eventually, running, workload

server, nodes, kubectl = transcripts.server, transcripts.nodes, transcripts.kubectl


def images(kubectl: Kubectl) -> dict[str, str]:
    found = kubectl.json("pods")["items"]
    return {one["metadata"]["name"]: one["spec"]["containers"][0]["image"] for one in found}


def revisions(kubectl: Kubectl, target: str) -> list[str]:
    rows = kubectl.lines("rollout", "history", target)
    return [row[0] for row in rows if row and row[0].isdigit()]


def set_image(kubectl: Kubectl, target: str, image: str) -> None:
    kubectl("set", "image", target, f"app={image}")


def complete(kubectl: Kubectl, target: str) -> str:
    return kubectl("rollout", "status", target, "--timeout=60s")


WORKLOADS: list[tuple[str, dict[str, Any]]] = [
    ("daemonset", {}),
    ("daemonset", {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}),
    ("statefulset", {"replicas": 2, "serviceName": "app"}),
    ("statefulset", {"replicas": 2, "serviceName": "app", "podManagementPolicy": "Parallel"}),
]
KINDS = {"daemonset": "DaemonSet", "statefulset": "StatefulSet"}


@pytest.mark.parametrize(("kind", "spec"), WORKLOADS)
def test_pods_go_back(kubectl: Kubectl, kind: str, spec: dict[str, Any]) -> None:
    target = f"{kind}/app"
    apply(kubectl, workload(KINDS[kind], "app", image="web:1", **spec))
    complete(kubectl, target)
    set_image(kubectl, target, "web:2")
    complete(kubectl, target)
    eventually(lambda: sorted(images(kubectl).values()) == ["web:2"] * 2)
    assert revisions(kubectl, target) == ["1", "2"]
    assert "web:1" in kubectl("rollout", "history", target, "--revision=1")

    assert kubectl("rollout", "undo", target) == f"{kind}.apps/app rolled back\n"
    complete(kubectl, target)
    eventually(lambda: sorted(images(kubectl).values()) == ["web:1"] * 2)
    assert revisions(kubectl, target) == ["2", "3"]
    before = {one["metadata"]["uid"] for one in kubectl.json("pods")["items"]}
    said = kubectl("rollout", "undo", target, "--to-revision=3")
    assert said == (
        f"{kind}.apps/app skipped rollback (current template already matches revision 3)\n"
    )
    complete(kubectl, target)
    assert {one["metadata"]["uid"] for one in kubectl.json("pods")["items"]} == before
    assert revisions(kubectl, target) == ["2", "3"]
    said = kubectl("rollout", "undo", target, "--to-revision=9", fails=True)
    assert "unable to find specified revision 9 in history" in said


ODD = {
    "containers": [
        {
            "name": "app",
            "image": "web:1",
            "command": ["sh", "-c", "a && b > <c>"],
            "env": [
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"grpc": {"port": 80}},
        }
    ],
    "volumes": [
        {"name": "tmp", "emptyDir": {}},
        {
            "name": "disk",
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "dataSource": {"kind": "PersistentVolumeClaim", "name": "other"},
                        "resources": {"requests": {"storage": "1Gi"}},
                    }
                }
            },
        },
    ],
}


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_a_template_of_every_sort_is_known_again(kubectl: Kubectl, kind: str) -> None:
    """kubectl compares bytes: what it would send with what the revision has."""
    more: dict[str, Any] = {"serviceName": "app"} if kind == "StatefulSet" else {}
    made = workload(kind, "app", **more)
    made["spec"]["template"]["spec"] = ODD
    apply(kubectl, made)
    target = f"{kind.lower()}/app"
    eventually(lambda: revisions(kubectl, target) == ["1"])
    said = kubectl("rollout", "undo", target, "--to-revision=1")
    assert "skipped rollback (current template already matches revision 1)" in said


def test_a_partition_is_rolled_out_and_taken_back(kubectl: Kubectl) -> None:
    partition = {"rollingUpdate": {"partition": 2}}
    made = workload("StatefulSet", "app", image="web:1", serviceName="app", replicas=3)
    made["spec"]["updateStrategy"] = partition
    apply(kubectl, made)
    target = "statefulset/app"
    eventually(lambda: kubectl.path(target, "{.status.readyReplicas}") == "3")
    set_image(kubectl, target, "web:2")
    said = complete(kubectl, target)
    assert "partitioned roll out complete: 1 new pods have been updated..." in said
    assert images(kubectl) == {"app-0": "web:1", "app-1": "web:1", "app-2": "web:2"}
    kubectl("rollout", "undo", target)
    eventually(lambda: set(images(kubectl).values()) == {"web:1"} and len(images(kubectl)) == 3)


def test_a_broken_update_in_order_is_taken_back_by_hand(kubectl: Kubectl, nodes: Nodes) -> None:
    """The documented forced rollback: pods that wait in order wait for the broken one as well."""
    apply(kubectl, workload("StatefulSet", "app", image="web:1", serviceName="app", replicas=2))
    complete(kubectl, "statefulset/app")
    nodes.agents.broken.add("web:broken")
    set_image(kubectl, "statefulset/app", "web:broken")
    eventually(lambda: images(kubectl) == {"app-0": "web:1", "app-1": "web:broken"})
    eventually(lambda: kubectl.path("sts/app", "{.status.readyReplicas}") == "1")
    said = kubectl("rollout", "status", "statefulset/app", "--watch=false")
    assert "Waiting for 1 pods to be ready..." in said
    kubectl("rollout", "undo", "statefulset/app")
    eventually(lambda: revisions(kubectl, "statefulset/app") == ["2", "3"])
    assert images(kubectl)["app-1"] == "web:broken"
    kubectl("delete", "pod", "app-1")
    complete(kubectl, "statefulset/app")
    assert images(kubectl) == {"app-0": "web:1", "app-1": "web:1"}


def test_who_updates_on_delete_has_no_rollout_to_wait_for(kubectl: Kubectl) -> None:
    for kind, spec in WORKLOADS[0], WORKLOADS[2]:
        made = workload(KINDS[kind], "app", image="web:1", **spec)
        made["spec"]["updateStrategy"] = {"type": "OnDelete"}
        apply(kubectl, made)
        said = kubectl("rollout", "status", f"{kind}/app", fails=True)
        assert "rollout status is only available for RollingUpdate strategy type" in said
        kubectl("delete", kind, "app")
        eventually(lambda: not images(kubectl))


def test_a_job_has_no_scale(kubectl: Kubectl) -> None:
    """The books scale Jobs; today one sets `parallelism`, which may change while it runs."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    spec = {"completions": 5, "parallelism": 1, "template": {"spec": pod}}
    apply(
        kubectl,
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "many"}, "spec": spec},
    )
    running(kubectl, 1)
    said = kubectl("scale", "job", "many", "--replicas=3", fails=True)
    assert said.startswith(
        "Error from server (NotFound): the server could not find the requested resource"
    )
    assert len(running(kubectl, 1)) == 1
    kubectl("patch", "job", "many", "-p", json.dumps({"spec": {"parallelism": 3}}))
    running(kubectl, 3)
    kubectl("patch", "job", "many", "-p", json.dumps({"spec": {"suspend": True}}))
    eventually(lambda: not images(kubectl))
    row = ["many", "Suspended", "0/5"]
    eventually(lambda: kubectl.lines("get", "jobs", "--no-headers")[0][:3] == row)
