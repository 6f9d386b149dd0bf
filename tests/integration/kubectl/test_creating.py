"""`kubectl create` and its sisters for each kind they can make: protobuf bodies from 1.32 on."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kubectl.conftest import Kubectl
from tests.patience import wait_until

# command, what to get, JSONPath, what is there
CREATED: list[tuple[str, str, str, str]] = [
    ("configmap x --from-literal=a=b", "cm/x", "{.data.a}", "b"),
    ("secret generic x --from-literal=a=b", "secret/x", "{.data.a}", "Yg=="),
    (
        "secret docker-registry x --docker-username=u --docker-password=p --docker-server=s",
        "secret/x", "{.type}", "kubernetes.io/dockerconfigjson",
    ),
    ("deployment x --image=i --replicas=0", "deploy/x", "{.spec.replicas}", "0"),
    ("job x --image=i", "job/x", "{.spec.template.spec.restartPolicy}", "Never"),
    ("service clusterip x --tcp=80:8080", "svc/x", "{.spec.ports[0].targetPort}", "8080"),
    ("service clusterip x --clusterip=None", "svc/x", "{.spec.clusterIP}", "None"),
    ("service nodeport x --tcp=80", "svc/x", "{.spec.type}", "NodePort"),
    ("service loadbalancer x --tcp=80", "svc/x", "{.spec.type}", "LoadBalancer"),
    ("service externalname x --external-name=a.b", "svc/x", "{.spec.externalName}", "a.b"),
    ("ingress x --class=c --rule=a.b/p*=web:80", "ing/x", "{.spec.rules[0].http.paths[0].path}", "/p"),
    ("pdb x --selector=app=web --max-unavailable=50%", "pdb/x", "{.spec.maxUnavailable}", "50%"),
    ("quota x --hard=replicationcontrollers=9", "quota/x", "{.spec.hard.replicationcontrollers}", "9"),
    ("role x --verb=get --resource=pods,pods/log", "role/x", "{.rules[0].resources[1]}", "pods/log"),
    ("rolebinding x --role=r --user=u", "rolebinding/x", "{.subjects[0].name}", "u"),
    ("serviceaccount x", "sa/x", "{.metadata.name}", "x"),
]  # fmt: skip
CLUSTER_WIDE: list[tuple[str, str, str, str]] = [
    ("namespace NAME", "ns/NAME", "{.status.phase}", "Active"),
    (
        "clusterrole NAME --verb=get --non-resource-url=/x",
        "clusterrole/NAME", "{.rules[0].verbs[0]}", "get",
    ),
    (
        "clusterrolebinding NAME --clusterrole=r --serviceaccount=n:a",
        "clusterrolebinding/NAME", "{.subjects[0].namespace}", "n",
    ),
    (
        "priorityclass NAME --value=7 --preemption-policy=Never",
        "pc/NAME", "{.value} {.preemptionPolicy}", "7 Never",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("command", "target", "path", "value"), CREATED)
def test_create(kubectl: Kubectl, command: str, target: str, path: str, value: str) -> None:
    words = command.split()
    if words[0] == "pdb":
        kubectl.since(1, 21, "it asks for budgets in a version that has ended")
    kubectl("create", *words)
    assert kubectl.path(target, path) == value
    assert "already exists" in kubectl("create", *words, fails=True)


@pytest.mark.parametrize(("command", "target", "path", "value"), CLUSTER_WIDE)
def test_create_for_all_namespaces(
    kubectl: Kubectl, command: str, target: str, path: str, value: str
) -> None:
    name = kubectl.namespace + "-x"
    kubectl("create", *command.replace("NAME", name).split())
    assert kubectl.path(target.replace("NAME", name), path) == value
    kubectl("delete", target.replace("NAME", name))


def test_create_from_files(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "binary").write_bytes(b"\x00\xff")
    (tmp_path / "env").write_text("A=1\nB=2\n")
    kubectl(
        "create",
        "configmap",
        "c",
        f"--from-file={tmp_path}/text",
        f"--from-file=b={tmp_path}/binary",
    )
    found = kubectl.json("cm/c")
    assert found["data"] == {"text": "hello\n"} and found["binaryData"] == {"b": "AP8="}
    kubectl("create", "configmap", "e", f"--from-env-file={tmp_path}/env")
    assert kubectl.json("cm/e")["data"] == {"A": "1", "B": "2"}


def test_create_from_a_folder_and_all_else_at_once(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "foo.json").write_text("{}")
    (tmp_path / "options").mkdir()
    for name in ("one", "two.conf"):
        (tmp_path / "options" / name).write_text(name)
    parts = ("foo.json", f"bar={tmp_path}/foo.json", "options/")
    given = [f"--from-file={'' if '=' in part else f'{tmp_path}/'}{part}" for part in parts]
    kubectl("create", "configmap", "c", *given, "--from-literal=some=thing")
    wanted = {"foo.json": "{}", "bar": "{}", "one": "one", "two.conf": "two.conf", "some": "thing"}
    assert kubectl.json("cm/c")["data"] == wanted
    kubectl("create", "secret", "generic", "s", *given)
    data: dict[str, str] = kubectl.json("secret/s")["data"]
    del wanted["some"]
    assert {key: base64.b64decode(value).decode() for key, value in data.items()} == wanted


def test_run(kubectl: Kubectl) -> None:
    made = ("--image=i", "--labels=app=x", "--env=A=1", "--port=80", "--restart=Never")
    kubectl("run", "x", *made, "--", "sleep", "1")
    pod: Any = kubectl.json("pod/x")
    (container,) = pod["spec"]["containers"]
    assert (container["args"], container["env"]) == (["sleep", "1"], [{"name": "A", "value": "1"}])
    assert (pod["spec"]["restartPolicy"], pod["metadata"]["labels"]) == ("Never", {"app": "x"})


def test_expose(web: Kubectl) -> None:
    web("expose", "deploy/web", "--name=again", "--port=81", "--target-port=8080")
    spec = web.json("svc/again")["spec"]
    assert spec["selector"] == {"app": "web"} and spec["ports"][0]["port"] == 81


def test_tokens(kubectl: Kubectl) -> None:
    kubectl.since(1, 24, "it cannot make tokens")
    wait_until(lambda: kubectl("get", "serviceaccounts", "-o", "name"))
    token = kubectl("create", "token", "default", "--duration=10m").strip()
    bare = ("--kubeconfig=/dev/null", f"--server={kubectl.server.url}", f"--token={token}")
    trusted = f"--certificate-authority={kubectl.server.directory}/pki/ca.crt"
    said = kubectl(*bare, trusted, "get", "nodes", fails=True)
    assert f'User "system:serviceaccount:{kubectl.namespace}:default" cannot list' in said


def test_create_cronjob_and_a_job_from_it(kubectl: Kubectl) -> None:
    kubectl.since(1, 21, "it asks for CronJobs in a version that has ended")
    kubectl("create", "cronjob", "c", "--image=i", "--schedule=0 3 * * *", "--", "date")
    assert kubectl.path("cronjob/c", "{.spec.schedule}") == "0 3 * * *"
    row = kubectl.lines("get", "cronjobs")[1]
    assert row[:6] == ["c", "0", "3", "*", "*", "*"]
    kubectl("create", "job", "now", "--from=cronjob/c")
    assert kubectl.path("job/now", "{.spec.template.spec.containers[0].command}") == '["date"]'
    assert kubectl.path("job/now", "{.metadata.ownerReferences[0].name}") in ("", "c")
    wrong = kubectl("create", "cronjob", "d", "--image=i", "--schedule=61 * * * *", fails=True)
    assert "end of range (61) above maximum (59): 61" in wrong
