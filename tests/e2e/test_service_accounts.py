"""A pod is somebody: it finds its token, reaches the API with it, and is told who it is."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container, pod

Eventually = Callable[..., Any]
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
WAITING = "trap exit TERM; while :; do sleep 1000 & wait; done"


def ready(kubectl: Kubectl, name: str) -> None:
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", timeout=70)


def read(kubectl: Kubectl, name: str, file: str) -> str:
    return kubectl("exec", name, "--", "cat", f"{MOUNT}/{file}")


class FromInside:
    """HTTPS from a pod: its nc carries the bytes, and the TLS is spoken here."""

    def __init__(self, kubectl: Kubectl, name: str, ca: str) -> None:
        self._process = subprocess.Popen(
            kubectl.command("exec", "-i", name, "--", "nc", "kubernetes.default.svc", "443"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = ssl.create_default_context(cadata=ca).wrap_bio(
            self._incoming, self._outgoing, server_hostname="kubernetes.default.svc"
        )

    def post(self, path: str, body: Any, token: str) -> tuple[int, Any]:
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: kubernetes.default.svc\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        try:
            self._until(self._tls.do_handshake)
            self._until(lambda: self._tls.write(head.encode() + data))
            answer = b""
            while piece := self._until(lambda: self._tls.read(65536)):
                answer += piece
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass
        finally:
            self._process.kill()
            self._process.wait()
        top, _, content = answer.partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(content)

    def _until(self, step: Callable[[], Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                self._process.stdin.write(self._outgoing.read())
                self._process.stdin.flush()
            if piece := os.read(self._process.stdout.fileno(), 65536):
                self._incoming.write(piece)
            else:
                self._incoming.write_eof()


def test_a_pod_reaches_the_api_as_its_account(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    kubectl.apply(pod("client", container(WAITING), serviceAccountName="robot"))
    ready(kubectl, "client")
    found = kubectl.json("get", "pod", "client")
    assert read(kubectl, "client", "namespace") == kubectl.namespace
    token, ca = read(kubectl, "client", "token"), read(kubectl, "client", "ca.crt")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, answer = FromInside(kubectl, "client", ca).post(path, review, token)
    assert code == 201, answer
    who = answer["status"]["userInfo"]
    assert who["username"] == f"system:serviceaccount:{kubectl.namespace}:robot"
    extra = who["extra"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [found["metadata"]["uid"]]
    assert extra["authentication.kubernetes.io/node-name"] == [found["spec"]["nodeName"]]
    # Its own pods are not for it to see: nobody has given it that yet.
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods"
    code, answer = FromInside(kubectl, "client", ca).post(path, {}, token)
    assert code == 403 and "cannot create resource" in answer["message"]
    kubectl("delete", "pod", "client", "--now")
    kubectl.apply(pod("other", container(WAITING)))
    ready(kubectl, "other")
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, answer = FromInside(kubectl, "other", ca).post(path, review, token)
    assert code == 401, "it ended with its pod"


def test_where_the_token_lies_and_who_may_read_it(kubectl: Kubectl) -> None:
    user = {"runAsUser": 1000, "fsGroup": 2000}
    kubectl.apply(pod("jane", container(WAITING), securityContext=user))
    kubectl.apply(pod("root", container(WAITING)))
    kubectl.apply(pod("without", container(WAITING), automountServiceAccountToken=False))
    for name in ("jane", "root", "without"):
        ready(kubectl, name)
    mounts = kubectl("exec", "root", "--", "grep", MOUNT, "/proc/mounts")
    assert mounts.split()[2] == "tmpfs" and mounts.split()[3].startswith("ro")
    shown = kubectl("exec", "jane", "--", "stat", "-L", "-c", "%a %u %g", f"{MOUNT}/token")
    assert shown.split() == ["640", "1000", "2000"]
    assert read(kubectl, "jane", "token")
    assert MOUNT not in kubectl("exec", "without", "--", "cat", "/proc/mounts")


def test_a_pod_starts_in_a_namespace_that_is_new(kubectl: Kubectl) -> None:
    name = f"{kubectl.namespace}-new"
    kubectl("create", "namespace", name)
    try:
        new = kubectl.inside(name)
        new.apply(pod("first", container(WAITING)))
        new("wait", "--for=condition=Ready", "pod/first", "--timeout=60s", timeout=70)
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def test_no_account_no_token_and_a_reason(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl("create", "serviceaccount", "brief")
    kubectl.apply(
        pod(
            "late",
            container(WAITING),
            serviceAccountName="brief",
            nodeSelector={"test/late": kubectl.namespace},
        )
    )
    kubectl("delete", "serviceaccount", "brief")
    node = kubectl.json("get", "nodes")["items"][0]["metadata"]["name"]
    kubectl("label", "node", node, f"test/late={kubectl.namespace}")
    try:
        words = 'failed to fetch token: serviceaccounts "brief" not found'
        eventually(lambda: words in kubectl("describe", "pod", "late"))
        kubectl("create", "serviceaccount", "brief")
        ready(kubectl, "late")
    finally:
        kubectl("label", "node", node, "test/late-")
