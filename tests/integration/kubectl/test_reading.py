"""get, describe, explain, wait, events, diff and discovery, in every version of kubectl."""

from __future__ import annotations

import json
import re
import select

import pytest

from tests.integration.kubectl.conftest import MANIFEST, Kubectl
from tests.patience import wait_until


def test_get_prints_the_books_columns(web_with_pods: Kubectl) -> None:
    web = web_with_pods
    assert web.lines("get", "deploy")[0] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert web.lines("get", "deploy")[1][:3] == ["web", "0/2", "2"]
    wide = web.lines("get", "deployments.apps", "-o", "wide")
    assert wide[0][-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert wide[1][-3:] == ["web", "web:1", "app=web"]
    assert web.lines("get", "rs")[0] == ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]
    assert web.lines("get", "svc", "web")[0] == [
        "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE",
    ]  # fmt: skip
    pods = web.lines("get", "po", "-l", "app=web")
    assert pods[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row[1:4] for row in pods[1:]] == [["0/1", "Pending", "0"]] * 2
    assert web("get", "cm", "nothing", "--ignore-not-found") == ""


def test_webhooks_of_admission(kubectl: Kubectl) -> None:
    name, kind = kubectl.namespace, "validatingwebhookconfiguration"
    config = f"""
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingWebhookConfiguration
        metadata: {{name: {name}}}
        webhooks:
        - name: {name}.hooks.example.com
          clientConfig: {{url: 'https://127.0.0.1:9/'}}
          rules:
          - operations: [DELETE]
            apiGroups: ['']
            apiVersions: [v1]
            resources: [configmaps]
            scope: '*'
          objectSelector: {{matchLabels: {{only: {name}}}}}
          sideEffects: None
          admissionReviewVersions: [v1]
    """
    try:
        assert "created" in kubectl("apply", "-f", "-", input=config)
        assert "unchanged" in kubectl("apply", "-f", "-", input=config)
        heads, cells = kubectl.lines("get", kind, name)
        assert (heads, cells[:2]) == (["NAME", "WEBHOOKS", "AGE"], [name, "1"])
        assert f"{name}.hooks.example.com" in kubectl("describe", kind, name)
        assert kubectl.path(f"{kind}/{name}", "{.webhooks[0].failurePolicy}") == "Fail"
    finally:
        kubectl("delete", kind, name)


def test_get_all_is_what_the_category_says(web_with_pods: Kubectl) -> None:
    names = web_with_pods("get", "all", "-o", "name").split()
    kinds = {name.partition("/")[0] for name in names}
    assert kinds == {"pod", "service", "deployment.apps", "replicaset.apps"}


def test_get_in_every_format(web: Kubectl) -> None:
    assert web.path("cm/settings", "{.data.colour}") == "red"
    assert web("get", "cm/settings", "-o", "go-template={{.data.colour}}") == "red"
    assert "colour: red" in web("get", "cm/settings", "-o", "yaml")
    assert web("get", "cm,svc", "-l", "app=web", "-o", "name") == "configmap/settings\n"
    columns = "custom-columns=N:.metadata.name,C:.data.colour"
    assert web.lines("get", "cm", "settings", "-o", columns) == [["N", "C"], ["settings", "red"]]
    assert web.lines("get", "cm", "settings", "--no-headers")[0][:2] == ["settings", "1"]
    assert web.lines("get", "cm", "settings", "--show-labels")[1][-1] == "app=web"
    assert web.lines("get", "cm", "settings", "-L", "app")[1][-1] == "web"
    from_file = web("get", "-f", "-", "-o", "name", *[], input=MANIFEST)
    assert from_file.split() == ["configmap/settings", "deployment.apps/web", "service/web"]
    raw = web("get", "--raw", f"/api/v1/namespaces/{web.namespace}/configmaps/settings")
    assert json.loads(raw)["data"] == {"colour": "red"}


DETAILED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "detailed"},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "livenessProbe": {"httpGet": {"port": 8080, "path": "/healthz"}},
                "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                "startupProbe": {"exec": {"command": ["cat", "/x"]}, "failureThreshold": 30},
                "envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}}],
                "env": [
                    {
                        "name": "KEY",
                        "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}},
                    },
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                ],
                "volumeMounts": [
                    {"name": "v", "mountPath": "/v", "readOnly": True, "subPath": "a"},
                ],
            }
        ],
        "volumes": [
            {"name": "v", "configMap": {"name": "settings", "optional": True}},
            {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "h", "hostPath": {"path": "/var/log", "type": "Directory"}},
            {"name": "n", "nfs": {"server": "files.example", "path": "/a"}},
        ],
    },
}


def test_describe_tells_how_a_pod_is_set_up(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=json.dumps(DETAILED))
    told = " ".join(kubectl("describe", "pod", "detailed").split())
    for words in (
        "Liveness: http-get http://:8080/healthz delay=0s timeout=1s period=10s #success=1 #failure=3",
        "Readiness: tcp-socket :8080 delay=0s timeout=1s period=1s #success=1 #failure=3",
        "Startup: exec [cat /x] delay=0s timeout=1s period=10s #success=1 #failure=30",
        "settings ConfigMap with prefix 'P_' Optional: false",
        "KEY: <set to the key 'k' in secret 's'> Optional: true",
        "IP: (v1:status.podIP)",
        "CPU: node allocatable (limits.cpu)",
        '/v from v (ro,path="a")',
        "Type: ConfigMap (a volume populated by a ConfigMap) Name: settings Optional: true",
        "Medium: Memory SizeLimit: 1Mi",
        "Path: /var/log HostPathType: Directory",
        "Server: files.example Path: /a ReadOnly: false",
    ):
        assert words in told, words


def test_selectors_and_order(kubectl: Kubectl) -> None:
    for name, tier, size in (("a", "front", 3), ("b", "back", 2), ("c", "back", 1)):
        kubectl("create", "configmap", name, f"--from-literal=size={size}")
        kubectl("label", "cm", name, f"tier={tier}")
    select = ("get", "cm", "-o", "name", "-l")
    assert kubectl(*select, "tier=back").split() == ["configmap/b", "configmap/c"]
    assert kubectl(*select, "tier in (front, other)").split() == ["configmap/a"]
    assert kubectl(*select, "tier notin (back), tier").split() == ["configmap/a"]
    by_size = kubectl("get", "cm", "-l", "tier", "--sort-by={.data.size}", "-o", "name").split()
    assert by_size == ["configmap/c", "configmap/b", "configmap/a"]
    name = kubectl("get", "cm", "--field-selector", "metadata.name=b", "-o", "name")
    assert name == "configmap/b\n"
    pages = kubectl("get", "cm", "-l", "tier", "--chunk-size=1", "-o", "name").split()
    assert pages == ["configmap/a", "configmap/b", "configmap/c"]
    everywhere = kubectl.lines("get", "cm", "-A", "-l", "tier=front")
    assert [kubectl.namespace, "a"] in [row[:2] for row in everywhere]
    assert "not supported" in kubectl(
        "get", "cm", "--field-selector", "data.size=1", fails=True
    ) or "field label not supported" in kubectl(
        "get", "cm", "--field-selector", "data.size=1", fails=True
    )


def test_watch_prints_each_change_as_a_row(web: Kubectl) -> None:
    with web.start("get", "cm", "settings", "--watch") as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().split() == ["NAME", "DATA", "AGE"]
        assert watcher.stdout.readline().split()[:2] == ["settings", "1"]
        web("patch", "cm", "settings", "-p", '{"data":{"size":"big"}}')
        assert watcher.stdout.readline().split()[:2] == ["settings", "2"]
        watcher.kill()


def test_watch_only_tells_what_happens_from_now_on(web: Kubectl) -> None:
    with web.start("get", "cm", "--watch-only", "--no-headers") as watcher:
        assert watcher.stdout is not None
        number, ready = 0, False
        while not ready:  # until the watch stands
            number += 1
            web("create", "configmap", f"new-{number}")
            ready = bool(select.select([watcher.stdout], [], [], 0.2)[0])
        assert watcher.stdout.readline().startswith("new-")
        watcher.kill()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("deploy/web", r"StrategyType: +RollingUpdate"),
        ("deploy/web", r"ScalingReplicaSet"),
        ("rs", r"Controlled By: +Deployment/web"),
        ("po", r"Controlled By: +ReplicaSet/web-"),
        ("svc/web", r"TargetPort: +8080/TCP"),
        ("cm/settings", r"colour:"),
        ("sa/default", r"Name: +default"),
        ("ns/default", r"Status: +Active"),
    ],
)
def test_describe(web: Kubectl, target: str, says: str) -> None:
    wait_until(lambda: re.search(says, web("describe", target)))


def test_wait(web: Kubectl) -> None:
    web("wait", "deploy/web", "--for=condition=Progressing", "--timeout=60s")
    said = web("wait", "deploy/web", "--for=condition=Nonsense", "--timeout=200ms", fails=True)
    assert "timed out waiting for the condition" in said
    web("patch", "cm", "settings", "--type=merge", "-p", '{"metadata":{"finalizers":["a.b/c"]}}')
    web("delete", "cm", "settings", "--wait=false")
    said = web("wait", "cm/settings", "--for=delete", "--timeout=200ms", fails=True)
    assert "timed out waiting for the condition" in said
    web("patch", "cm", "settings", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def test_wait_for_a_value(web: Kubectl) -> None:
    web.since(1, 23, "it cannot wait for a value")
    web("wait", "cm/settings", "--for=jsonpath={.data.colour}=red", "--timeout=60s")


def test_events(web: Kubectl) -> None:
    event = ["get", "events", "--field-selector"]
    of_web, scaled = (
        "involvedObject.kind=Deployment,involvedObject.name=web",
        "Scaled up replica set web-",
    )
    wait_until(lambda: scaled in web(*event, of_web))
    assert web.lines("get", "ev")[0] == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    newer = web("get", "events.events.k8s.io", "--field-selector", "regarding.kind=Deployment")
    assert scaled in newer
    web.since(1, 26, "it has no events command")
    assert "ScalingReplicaSet" in web("events", "--for=deployment/web")


def test_explain(kubectl: Kubectl) -> None:
    assert re.search(r"KIND: +Pod", kubectl("explain", "pod"))
    assert re.search(
        r"FIELDS?: +limits", kubectl("explain", "pod.spec.containers.resources.limits")
    )
    assert "matchLabels" in kubectl("explain", "deploy.spec", "--recursive")
    assert kubectl("explain", "pod.nonsense", fails=True)


def test_discovery(kubectl: Kubectl) -> None:
    rows = kubectl.lines("api-resources", "--no-headers")
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in [row[:5] for row in rows]
    wide = kubectl("api-resources", "-o", "wide", "--api-group=apps", "--namespaced=true")
    line = next(row for row in wide.splitlines() if row.startswith("deployments"))
    for verb in ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"):
        assert verb in line
    versions = kubectl("api-versions").split()
    for known in ("v1", "apps/v1", "discovery.k8s.io/v1", "coordination.k8s.io/v1"):
        assert known in versions
    assert "GitVersion" in kubectl("version", "-o", "json") or "gitVersion" in kubectl(
        "version", "-o", "json"
    )
    assert "is running at" in kubectl("cluster-info")
    assert "the server doesn't have a resource type" in kubectl("get", "nonsense", fails=True)


def test_a_diff_shows_the_change_and_makes_none(web: Kubectl) -> None:
    done = web.run("diff", "-f", "-", input=MANIFEST.replace("red", "green"))
    assert done.returncode == 1 and "+  colour: green" in done.stdout, done
    assert web.run("diff", "-f", "-", input=MANIFEST).returncode == 0
    assert web.path("cm/settings", "{.data.colour}") == "red"


def test_who_may_what(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    kubectl.since(1, 28, "it cannot ask who it is")
    assert "system:masters" in kubectl("auth", "whoami")


def test_top_says_that_there_are_no_metrics(kubectl: Kubectl) -> None:
    assert "etrics" in kubectl("top", "nodes", fails=True)
