"""Debian's kubectl (1.20) against a running server: it knows only OpenAPI v2, and only as protobuf.

Its own reader of the document is the proof that the document is what it says: it explains fields,
checks objects before it sends them, looks for `dryRun`, and merges by the published keys.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.debian import fetch_kubectl
from tests.integration.apiserver.conftest import Api, Server

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_kubectl(tmp_path_factory.mktemp("kubernetes-client"))


@pytest.fixture
def old(server: Server, program: str, namespace: str) -> Run:
    """The old kubectl in the test's namespace; `fails` is what it must complain of."""

    def run(
        *arguments: str, input: str = "", fails: str = "", code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        done = server.kubectl(
            "--namespace", namespace, *arguments, input=input, check=False, program=program
        )
        assert done.returncode == (1 if fails else code), done
        assert fails in done.stderr, done
        return done

    return run


def deployment(replicas: str, **more: str) -> str:
    ports = more.get("ports", "[{containerPort: 80, name: web}]")
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: c, image: "busybox:1", ports: {ports}, resources: {{limits: {{cpu: 1}}}}}}]
"""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("pod", ["KIND:     Pod", "spec\t<Object>", "The wanted state."]),
        ("pod.spec.containers", ["<[]Object>", "name\t<string> -required-"]),
        ("pod.spec.containers.resources.limits", ["<map[string]string>", "An amount"]),
        ("deployment.spec.strategy.rollingUpdate.maxSurge", ["FIELD:    maxSurge <string>"]),
        ("service.spec.ports", ["targetPort\t<string>", "port\t<integer> -required-"]),
        ("secret.data", ["<map[string]string>"]),
        ("endpointslice.endpoints", ["VERSION:  discovery.k8s.io/v1"]),
        ("csr.spec.extra", ["<map[string][]string>"]),
    ],
)
def test_explain(old: Run, path: str, said: list[str]) -> None:
    shown = old("explain", path).stdout
    assert all(one in shown for one in said), shown


def test_explain_everything(old: Run) -> None:
    names = old("api-resources", "--verbs=list", "-o", "name").stdout.split()
    assert len(names) > 10
    for name in names:
        assert "metadata\t<Object>" in old("explain", "--recursive", name.partition(".")[0]).stdout


def test_apply_diff_and_dry_run(old: Run) -> None:
    assert old("apply", "-f", "-", input=deployment("1")).stdout == "deployment.apps/web created\n"
    changed = deployment("2", ports="[{containerPort: 81, name: web}]")
    shown = old("diff", "-f", "-", input=changed, code=1).stdout
    assert "-  replicas: 1\n+  replicas: 2\n" in shown and "containerPort: 81" in shown
    done = old("apply", "-f", "-", input=changed)
    assert (done.stdout, done.stderr) == ("deployment.apps/web configured\n", "")
    ports = "jsonpath={.spec.template.spec.containers[0].ports[*].containerPort}"
    assert old("get", "deployment", "web", "-o", ports).stdout == "81"
    again = old("apply", "--dry-run=server", "-f", "-", input=deployment("7"))
    assert "configured (server dry run)" in again.stdout
    assert old("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}").stdout == "2"
    assert old("diff", "-f", "-", input=changed).stdout == ""


def test_what_is_wrong_is_found_before_it_is_sent(old: Run) -> None:
    odd = deployment("1").replace("replicas", "replikas")
    old("apply", "-f", "-", input=odd, fails='unknown field "replikas"')
    old("apply", "-f", "-", input=deployment('"x"'), fails='got "string", expected "integer"')
    nameless = deployment("1").replace("name: c, ", "")
    old("apply", "-f", "-", input=nameless, fails='missing required field "name"')


SOUND = (
    "{apiVersion: v1, kind: Node, metadata: {name: old-kubectl}}",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}, data: {a: b}}",
    "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {a: b},"
    " ports: [{port: 80, targetPort: web}]}}",
    "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i,"
    " livenessProbe: {grpc: {port: 1}}, resources: {requests: {memory: 1000000, cpu: 100m}}}],"
    " volumes: [{name: v, projected: {}}]}}",
)


@pytest.mark.parametrize("text", SOUND, ids=lambda text: text.partition("kind: ")[2][:8])
def test_what_is_sound_passes_its_checks(old: Run, text: str) -> None:
    assert (
        "created (server dry run)"
        in old("create", "--dry-run=server", "-f", "-", input="---\n" + text).stdout
    )


def test_create_and_what_may_i(old: Run) -> None:
    old("create", "deployment", "made", "--image=busybox:1", "--replicas=2")
    old("create", "configmap", "made", "--from-literal=a=b")
    old("label", "configmap", "made", "x=y")
    assert old("auth", "can-i", "create", "pods").stdout == "yes\n"
    assert "*.*" in old("auth", "can-i", "--list").stdout


async def test_the_document_is_kept_by_those_who_have_it(api: Api) -> None:
    for accept, type_ in (
        ("application/json", "application/json"),
        (
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        ),
    ):
        headers = {"Accept": accept}
        for encoding in ("gzip", "identity"):
            sent = {**headers, "Accept-Encoding": encoding}
            async with api.session.get(f"{api.url}/openapi/v2", headers=sent) as answer:
                body = await answer.read()  # decompressed by the client
                assert answer.status == 200 and len(body) > 100_000
                assert answer.headers["Content-Type"] == type_
                assert answer.headers.get("Content-Encoding", "identity") == encoding
                tag = answer.headers["Etag"]
        async with api.session.get(
            f"{api.url}/openapi/v2", headers={**headers, "If-None-Match": tag}
        ) as answer:
            assert answer.status == 304 and await answer.read() == b""
