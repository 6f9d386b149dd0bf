"""The real kubectl, unmodified, for what an API server alone can answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.apiserver.conftest import Server

Kubectl = Callable[..., str]

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: {app: web}
data:
  colour: red
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


def _version() -> tuple[int, int]:
    if shutil.which("kubectl") is None:
        return (0, 0)
    done = subprocess.run(
        ["kubectl", "version", "--client", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout or "{}").get("clientVersion", {})
    return int(found.get("major", 0)), int(found.get("minor", "0").rstrip("+"))


pytestmark = pytest.mark.skipif(_version() < (1, 20), reason="there is no kubectl here")
since_1_28 = pytest.mark.skipif(_version() < (1, 28), reason="this kubectl is older than 1.28")


@pytest.fixture
def kubectl(server: Server) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own; returns what it printed."""
    name = f"k-{uuid.uuid4().hex[:8]}"
    server.kubectl("create", "namespace", name)

    def run(*arguments: str, input: str | None = None, fails: bool = False, **more: str) -> str:
        done = server.kubectl("-n", name, *arguments, input=input, check=not fails, **more)
        assert not fails or done.returncode != 0
        return done.stderr if fails else done.stdout

    yield run


def test_apply_says_what_it_did(kubectl: Kubectl) -> None:
    first = kubectl("apply", "-f", "-", input=MANIFEST).splitlines()
    assert first == [
        "configmap/settings created",
        "deployment.apps/web created",
        "service/web created",
    ]
    again = kubectl("apply", "-f", "-", input=MANIFEST).splitlines()
    assert all(line.endswith("unchanged") for line in again)
    changed = kubectl("apply", "-f", "-", input=MANIFEST.replace("web:1", "web:2")).splitlines()
    assert changed[1] == "deployment.apps/web configured"
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("get", "deploy", "web", "-o", image) == "web:2"


def test_apply_removes_what_is_no_longer_there(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", input=MANIFEST)
    without = MANIFEST.replace("  labels: {app: web}\n", "").replace("colour", "shade")
    kubectl("apply", "-f", "-", input=without)
    found = json.loads(kubectl("get", "cm", "settings", "-o", "json"))
    assert found["data"] == {"shade": "red"} and "labels" not in found["metadata"]


def test_get_in_every_form(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", input=MANIFEST)
    head, *rows = kubectl("get", "deploy").splitlines()
    assert head.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert rows[0].split()[:2] == ["web", "0/2"]
    assert "IMAGES" in kubectl("get", "deploy", "-o", "wide")
    assert "colour: red" in kubectl("get", "cm/settings", "-o", "yaml")
    assert kubectl("get", "cm", "-l", "app=web", "-o", "name") == "configmap/settings\n"
    assert kubectl("get", "cm", "-l", "app!=web", "-o", "name") == ""
    assert "kube-system" in kubectl("get", "svc", "-A")
    assert "web" in kubectl("get", "all") and "app=web" in kubectl("get", "cm", "--show-labels")
    assert kubectl("get", "po", "--field-selector", "status.phase=Running", "-o", "name") == ""


def test_create_sends_protobuf_and_gets_what_it_asked_for(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\xff")
    kubectl("create", "configmap", "c", "--from-literal=a=b", f"--from-file={tmp_path}/file")
    found = json.loads(kubectl("get", "cm", "c", "-o", "json"))
    assert found["data"] == {"a": "b"} and found["binaryData"] == {"file": "AP8="}
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.a}") == "Yg=="
    kubectl("create", "deployment", "d", "--image=i", "--replicas=0")
    assert kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}") == "0"
    kubectl("create", "serviceaccount", "sa")
    kubectl("create", "service", "nodeport", "n", "--tcp=80:8080")
    port = kubectl("get", "svc", "n", "-o", "jsonpath={.spec.ports[0].nodePort}")
    assert 30000 <= int(port) <= 32767


def test_replace_patch_label_annotate(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    kubectl("replace", "-f", "-", input=MANIFEST.replace("red", "green"))
    assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "green"
    kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"size":"big"}}')
    kubectl("patch", "cm", "settings", "--type=json", "-p", '[{"op":"remove","path":"/data/size"}]')
    container = '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:3"}]}}}}'
    kubectl("patch", "deploy", "web", "-p", container)
    kubectl("set", "image", "deploy/web", "web=web:4")
    kubectl("label", "cm", "settings", "tier=front")
    kubectl("label", "cm", "settings", "tier-")
    kubectl("annotate", "cm", "settings", "note=hello there")
    found = json.loads(kubectl("get", "deploy", "web", "-o", "json"))
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:4"
    assert found["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == 8080
    found = json.loads(kubectl("get", "cm", "settings", "-o", "json"))
    assert found["metadata"]["labels"] == {"app": "web"}
    assert found["metadata"]["annotations"]["note"] == "hello there"


def test_edit(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    printed = kubectl("edit", "cm", "settings", KUBE_EDITOR="sed -i s/red/blue/")
    assert printed == "configmap/settings edited\n"
    assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "blue"


def test_scale(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    kubectl("scale", "deploy/web", "--replicas=5")
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "5"
    assert "xpected replicas" in kubectl(
        "scale", "deploy/web", "--current-replicas=2", "--replicas=1", fails=True
    )


def test_describe(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    kubectl("run", "p", "--image=i")
    assert "Image:" in kubectl("describe", "pod", "p")
    assert "TargetPort:" in kubectl("describe", "service", "web")
    assert "StrategyType:" in kubectl("describe", "deploy", "web")
    assert "colour" in kubectl("describe", "cm", "settings")


def test_delete_waits_until_it_is_gone(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    assert 'configmap "settings" deleted' in kubectl("delete", "cm", "settings")
    kubectl("delete", "svc,deploy", "--all")
    kubectl("run", "p", "--image=i")
    kubectl("delete", "pod", "p", "--force", "--grace-period=0")
    assert 'pods "p" not found' in kubectl("get", "pod", "p", fails=True)


@since_1_28
def test_wait(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    kubectl("wait", "cm/settings", "--for=jsonpath={.data.colour}=red", "--timeout=10s")
    status = '{"status":{"conditions":[{"type":"Available","status":"True"}],"replicas":2}}'
    kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", status)
    kubectl("wait", "deploy/web", "--for=condition=Available", "--timeout=10s")
    assert "timed out" in kubectl(
        "wait", "deploy/web", "--for=condition=Gone", "--timeout=1s", fails=True
    )


@since_1_28
def test_explain(kubectl: Kubectl) -> None:
    text = kubectl("explain", "pod.spec.containers.resources.limits")
    assert "KIND:       Pod" in text and "FIELD: limits" in text
    assert "apps/v1" in kubectl("explain", "deployment") or "GROUP:      apps" in kubectl(
        "explain", "deployment"
    )
    assert "does not exist" in kubectl("explain", "pod.nonsense", fails=True)


def test_discovery(kubectl: Kubectl, server: Server) -> None:
    rows = kubectl("api-resources", "--no-headers").splitlines()
    assert any(row.split()[:3] == ["deployments", "deploy", "apps/v1"] for row in rows)
    assert "apps/v1" in kubectl("api-versions").splitlines()
    assert "Server Version" in kubectl("version")
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert "is running at" in kubectl("cluster-info")


def test_mistakes_are_told(kubectl: Kubectl) -> None:
    wrong = MANIFEST.replace("image: web:1", "imagee: web:1")
    assert 'unknown field "spec.template.spec.containers[0].imagee"' in kubectl(
        "create", "-f", "-", input=wrong, fails=True
    )
    kubectl("delete", "cm,svc", "--all")
    wrong = MANIFEST.replace("containerPort: 8080", "containerPort: 80800")
    said = kubectl("apply", "-f", "-", input=wrong, fails=True)
    assert "spec.template.spec.containers[0].ports[0].containerPort" in said


@since_1_28
def test_dry_run_on_the_server(kubectl: Kubectl) -> None:
    printed = kubectl("apply", "-f", "-", "--dry-run=server", input=MANIFEST)
    assert "configmap/settings created (server dry run)" in printed
    assert kubectl("get", "cm", "-o", "name") == ""
    kubectl("apply", "-f", "-", input=MANIFEST)
    assert "+  colour: green" in _diff(kubectl, MANIFEST.replace("red", "green"))


def _diff(kubectl: Kubectl, manifest: str) -> str:
    try:
        return kubectl("diff", "-f", "-", input=manifest)
    except AssertionError as error:  # kubectl diff ends with 1 when there is a difference
        return str(error)


def test_watch_prints_rows_as_they_change(server: Server, kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    namespace = kubectl("get", "cm", "settings", "-o", "jsonpath={.metadata.namespace}")
    watcher = subprocess.Popen(
        ["kubectl", "-n", namespace, "get", "cm", "-w"],
        env={"PATH": "/usr/bin:/bin", "KUBECONFIG": str(server.kubeconfig), "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().split() == ["NAME", "DATA", "AGE"]
        assert watcher.stdout.readline().split()[:2] == ["settings", "1"]
        kubectl("patch", "cm", "settings", "-p", '{"data":{"size":"big"}}')
        assert watcher.stdout.readline().split()[:2] == ["settings", "2"]
    finally:
        watcher.kill()
        watcher.wait()
