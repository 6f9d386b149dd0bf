"""rollout, cordon, drain, taint, certificates, debug: what operators do."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator

import pytest

from base import pki
from tests.integration.kubectl.conftest import Kubectl


def test_rollout_history_and_undo(web: Kubectl) -> None:
    web.observed("deploy/web")
    web("set", "image", "deploy/web", "web=web:2")
    web("annotate", "deploy/web", "kubernetes.io/change-cause=newer")
    web.observed("deploy/web")
    history = web.lines("rollout", "history", "deploy/web")
    assert [row[0] for row in history[2:] if row] == ["1", "2"]
    assert "web:1" in web("rollout", "history", "deploy/web", "--revision=1")
    web("rollout", "undo", "deploy/web", "--to-revision=1")
    web.observed("deploy/web")
    assert web.path("deploy/web", "{.spec.template.spec.containers[0].image}") == "web:1"


def test_rollout_pause_resume_restart_status(web: Kubectl) -> None:
    web("rollout", "pause", "deploy/web")
    assert "already paused" in web("rollout", "pause", "deploy/web", fails=True)
    web("rollout", "resume", "deploy/web")
    web("rollout", "restart", "deploy/web")
    annotations = web.json("deploy/web")["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
    said = web("rollout", "status", "deploy/web", "--watch=false")
    assert "Waiting for deployment" in said


def test_autoscale(web: Kubectl) -> None:
    web("autoscale", "deploy/web", "--min=2", "--max=4", "--cpu-percent=30")
    assert web.lines("get", "hpa")[0] == [
        "NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE",
    ]  # fmt: skip
    row = web.lines("get", "hpa", "web", "--no-headers")[0]
    assert row[:6] == ["web", "Deployment/web", "cpu:", "<unknown>/30%", "2", "4"]
    assert re.search(r"Max replicas: +4", web("describe", "hpa", "web"))
    older = web.json("horizontalpodautoscalers.v1.autoscaling/web")
    assert older["spec"]["targetCPUUtilizationPercentage"] == 30


@pytest.fixture
def node(kubectl: Kubectl) -> Iterator[str]:
    """A Node that only stands in the API."""
    name = f"n-{uuid.uuid4().hex[:6]}"
    kubectl("create", "-f", "-", input=f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}")
    yield name
    kubectl("delete", "node", name)


def test_cordon_taint_drain(kubectl: Kubectl, node: str) -> None:
    kubectl("cordon", node)
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    kubectl("uncordon", node)
    kubectl("taint", "node", node, "team=blue:NoSchedule")
    taints = kubectl.json(f"node/{node}")["spec"]["taints"]
    assert {"key": "team", "value": "blue", "effect": "NoSchedule"} in taints
    kubectl("taint", "node", node, "team-")
    kubectl("drain", node, "--ignore-daemonsets", "--timeout=60s")
    assert kubectl.path(f"node/{node}", "{.spec.unschedulable}") == "true"
    assert "Unschedulable" in kubectl("describe", "node", node)


def test_certificates(kubectl: Kubectl) -> None:
    name = kubectl.namespace
    request = pki.make_csr(common_name="someone")
    body = base64.b64encode(request.csr_pem).decode()
    kubectl(
        "create", "-f", "-",
        input=f"""
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {{name: {name}}}
spec:
  request: {body}
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
""",
    )  # fmt: skip
    assert kubectl.lines("get", "csr", name)[1][-1] == "Pending"
    kubectl("certificate", "approve", name)
    assert "Approved" in kubectl("get", "csr", name)
    kubectl("delete", "csr", name)


def test_an_ephemeral_container_is_accepted(web: Kubectl) -> None:
    web.since(1, 23, "it calls the subresource by another form")
    web("run", "p", "--image=i")
    web("debug", "p", "--image=tools", "--container=d", "--", "sh")
    assert web.path("pod/p", "{.spec.ephemeralContainers[0].image}") == "tools"


ROLES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NAMESPACE}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: ROLE}
subjects: [{kind: User, name: jane}]
"""


def test_roles_are_reconciled(kubectl: Kubectl) -> None:
    reconcile = ("auth", "reconcile", "-f", "-")
    roles = ROLES.replace("NAMESPACE", kubectl.namespace)  # the command adds none
    kubectl(*reconcile, input=roles.replace("ROLE", "reader"))
    assert kubectl.path("role/reader", "{.rules[*].verbs}") == '["get"]'
    kubectl(*reconcile, input=roles.replace("ROLE", "reader").replace("[get]", "[get, list]"))
    assert kubectl.path("role/reader", "{.rules[*].verbs[*]}") == "get list"
    # What a binding gives never changes: it is made anew, which only this command does by itself.
    said = kubectl("apply", "-f", "-", input=roles.replace("ROLE", "writer"), fails=True)
    assert "cannot change roleRef" in said
    kubectl(*reconcile, input=roles.replace("ROLE", "writer"))
    assert kubectl.path("rolebinding/readers", "{.roleRef.name}") == "writer"
    wide = kubectl.lines("get", "rolebindings", "-o", "wide")
    assert wide[0] == ["NAME", "ROLE", "AGE", "USERS", "GROUPS", "SERVICEACCOUNTS"]
    assert wide[1][:2] == ["readers", "Role/writer"] and wide[1][-1] == "jane"
