"""The clients people use, unmodified, against a whole cluster: kubectl, curl, the official library."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl, KubectlError
from tests.e2e.manifests import BUSYBOX, container, deployment, pod, service

Eventually = Callable[..., Any]


@pytest.fixture
def web(kubectl: Kubectl) -> str:
    kubectl.apply(deployment("web", 2))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    return "web"


def test_get_in_every_form(kubectl: Kubectl, web: str) -> None:
    table = kubectl("get", "pods").splitlines()
    assert table[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row.split()[1:4] for row in table[1:]] == [["1/1", "Running", "0"]] * 2
    wide = kubectl("get", "pods", "-o", "wide").splitlines()[0]
    assert "IP" in wide and "NODE" in wide
    named = kubectl("get", "deploy,rs,pods", "-o", "name").splitlines()
    assert named[0] == "deployment.apps/web"
    assert len(named) == 4
    (name, *_) = kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()
    parsed = yaml.safe_load(kubectl("get", "pod", name, "-o", "yaml"))
    assert parsed["spec"]["containers"][0]["image"] == BUSYBOX
    assert kubectl("get", "pods", "-l", "app in (web),app!=other", "-o", "name").count("pod/") == 2
    assert kubectl("get", "pods", "--field-selector=status.phase=Pending", "-o", "name") == ""
    assert web in kubectl("get", "deployments", "-A")
    columns = "custom-columns=N:metadata.name,I:spec.containers[0].image"
    assert BUSYBOX in kubectl("get", "pods", "-o", columns, "--sort-by=metadata.name")
    assert "app=web" in kubectl("get", "pods", "--show-labels")
    everything = kubectl("get", "all")
    assert "replicaset.apps/web-" in everything


def test_watching_rows(kubectl: Kubectl, tmp_path: Path, eventually: Eventually) -> None:
    seen = tmp_path / "watch"
    kubectl.apply(pod("first", schedulingGates=[{"name": "example.com/wait"}]))
    with seen.open("w") as out:
        watcher = subprocess.Popen(kubectl.command("get", "pods", "-w"), stdout=out)
        try:
            eventually(lambda: "first" in seen.read_text())  # from here on it sees everything
            kubectl.apply(pod("seen", container("exit 0"), restartPolicy="Never"))
            eventually(lambda: "Completed" in seen.read_text(), 120)
        finally:
            watcher.terminate()
            watcher.wait()
    rows = [line.split() for line in seen.read_text().splitlines()]
    states = [row[2] for row in rows if row[0] == "seen"]
    assert states[0] == "Pending"
    assert states[-1] == "Completed"


def test_changing_things(kubectl: Kubectl, eventually: Eventually, web: str) -> None:
    assert kubectl("label", "deployment/web", "tier=front") == "deployment.apps/web labeled\n"
    with pytest.raises(KubectlError, match="--overwrite"):
        kubectl("label", "deployment/web", "tier=back")
    kubectl("annotate", "deployment/web", "note=hello world")
    kubectl("patch", "deployment/web", "-p", '{"spec":{"minReadySeconds":1}}')
    remove = '[{"op":"remove","path":"/metadata/labels/tier"}]'
    kubectl("patch", "deployment/web", "--type=json", "-p", remove)
    kubectl("patch", "deployment/web", "--type=merge", "-p", '{"spec":{"revisionHistoryLimit":3}}')
    found = kubectl.json("get", "deployment/web")
    assert "tier" not in (found["metadata"].get("labels") or {})
    assert found["metadata"]["annotations"]["note"] == "hello world"
    assert (found["spec"]["minReadySeconds"], found["spec"]["revisionHistoryLimit"]) == (1, 3)

    def replaced() -> dict[str, Any]:
        # The controller writes to it as well: whoever replaces must have read the latest.
        latest: dict[str, Any] = kubectl.json("get", "deployment/web")
        latest["spec"]["replicas"] = 1
        kubectl("replace", "-f", "-", input=json.dumps(latest))
        return latest

    found = eventually(replaced)
    with pytest.raises(KubectlError, match="the object has been modified"):
        kubectl("replace", "-f", "-", input=json.dumps(found))
    assert kubectl.json("get", "deployment/web")["spec"]["replicas"] == 1


def test_editing(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "configmap", "note", "--from-literal=word=old")
    command = kubectl.command("edit", "configmap/note")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/old/new/ "$1"\n')
    editor.chmod(0o755)
    done = subprocess.run(
        command,
        env={"KUBE_EDITOR": str(editor), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert kubectl.json("get", "configmap/note")["data"] == {"word": "new"}


def test_apply_twice_and_again_with_less(kubectl: Kubectl) -> None:
    first = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config"},
        "data": {"a": "1", "b": "2"},
    }
    assert kubectl.apply(first) == "configmap/config created\n"
    assert kubectl.apply(first) == "configmap/config unchanged\n"
    assert kubectl.apply({**first, "data": {"a": "1"}}) == "configmap/config configured\n"
    assert kubectl.json("get", "configmap/config")["data"] == {"a": "1"}
    assert kubectl("delete", "configmap/config") == 'configmap "config" deleted\n'


def test_rollouts(kubectl: Kubectl, web: str) -> None:
    kubectl("set", "env", "deployment/web", "A=1")
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    history = kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    (only,) = kubectl.json("get", "deployment/web")["spec"]["template"]["spec"]["containers"]
    assert not only.get("env")
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    kubectl("scale", "deployment/web", "--replicas=1")
    kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=1", "--timeout=60s")
    described = kubectl("describe", "deployment/web")
    assert "RollingUpdateStrategy:  25% max unavailable, 25% max surge" in described
    assert "Scaled up replica set" in described


def test_what_the_server_says_of_itself(kubectl: Kubectl) -> None:
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["minor"].startswith("34")
    kinds = kubectl("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io"} <= set(kinds)
    assert "apps/v1" in kubectl("api-versions").split()
    explained = kubectl("explain", "pod.spec.containers.livenessProbe")
    assert "periodSeconds" in explained
    assert "FIELD: livenessProbe" in explained
    assert "DESCRIPTION" in explained
    assert "FIELDS" in kubectl("explain", "deployment", "--recursive")
    nodes = kubectl("get", "nodes").splitlines()
    assert len(nodes) == 4
    assert "podwright" in nodes[1] or "v1.34" in nodes[1]
    described = kubectl("describe", "node", "node-1")
    for word in ("Allocatable:", "Lease:", "Ready", "PodCIDR:", "Allocated resources:"):
        assert word in described


def test_wrong_input_is_told_clearly(kubectl: Kubectl) -> None:
    wrong = pod("wrong", {**container(), "imagePulPolicy": "Always"})
    with pytest.raises(KubectlError, match=r'unknown field "spec.containers\[0\].imagePulPolicy"'):
        kubectl.apply(wrong)
    broken = deployment("broken", 1)
    broken["spec"]["selector"]["matchLabels"] = {"app": "other"}
    with pytest.raises(KubectlError, match="`selector` does not match template `labels`"):
        kubectl.apply(broken)
    dry = kubectl(
        "create", "configmap", "dry", "--from-literal=a=b", "--dry-run=server", "-o", "name"
    )
    assert dry == "configmap/dry\n"
    with pytest.raises(KubectlError, match='configmaps "dry" not found'):
        kubectl("get", "configmap", "dry")


def test_curl_with_yaml(cluster: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    user, where = config["users"][0]["user"], config["clusters"][0]["cluster"]
    files = {
        "--cert": user["client-certificate-data"],
        "--key": user["client-key-data"],
        "--cacert": where["certificate-authority-data"],
    }
    argv = ["curl", "-sS", "--fail-with-body"]
    for flag, data in files.items():
        path = tmp_path / flag.strip("-")
        path.write_bytes(base64.b64decode(data))
        argv += [flag, str(path)]
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(yaml.safe_dump(pod("by-curl", container())))
    url = f"{where['server']}/api/v1/namespaces/{namespace}/pods"
    header = ["-H", "Content-Type: application/yaml"]
    made = subprocess.run(
        [*argv, *header, "--data-binary", f"@{manifest}", url],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(made.stdout)["metadata"]["name"] == "by-curl"
    kubectl("wait", "--for=condition=Ready", "pod/by-curl", "--timeout=60s", timeout=70)


def test_the_official_library(core: Any, apps: Any, namespace: str, eventually: Eventually) -> None:
    import kubernetes

    since = core.list_namespaced_pod(namespace).metadata.resource_version
    core.create_namespaced_pod(namespace, pod("lib", container("echo hello; sleep 1000 & wait")))
    watch = kubernetes.watch.Watch()
    phases = []
    for event in watch.stream(
        core.list_namespaced_pod, namespace, resource_version=since, timeout_seconds=120
    ):
        phases.append(event["object"].status.phase)
        ready = [c for c in event["object"].status.conditions or [] if c.type == "Ready"]
        if ready and ready[0].status == "True":
            watch.stop()
    assert phases[0] == "Pending"
    assert phases[-1] == "Running"
    eventually(lambda: core.read_namespaced_pod_log("lib", namespace) == "hello\n")
    told = kubernetes.stream.stream(
        core.connect_get_namespaced_pod_exec,
        "lib",
        namespace,
        command=["sh", "-c", "echo out; echo err >&2"],
        stdin=False,
        stdout=True,
        stderr=True,
        tty=False,
    )
    assert sorted(told.split()) == ["err", "out"]
    apps.create_namespaced_deployment(namespace, deployment("dep", 1))
    eventually(
        lambda: apps.read_namespaced_deployment_status("dep", namespace).status.ready_replicas == 1
    )
    scale = {"spec": {"replicas": 2}}
    apps.patch_namespaced_deployment_scale("dep", namespace, scale)
    assert apps.read_namespaced_deployment("dep", namespace).spec.replicas == 2
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.create_namespaced_service(namespace, service("Bad_Name"))
    assert refused.value.status == 422
    listed = core.list_namespaced_pod(namespace, limit=1)
    assert len(listed.items) == 1
    assert listed.metadata._continue
    core.delete_namespaced_pod("lib", namespace)
    eventually(
        lambda: "lib" not in {p.metadata.name for p in core.list_namespaced_pod(namespace).items}
    )
