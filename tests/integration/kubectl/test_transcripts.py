"""What the books print of workloads, by kubectl against a control plane with nodes that only pretend.

The pods of these nodes start, become ready and end when a test says so, therefore each transcript
comes out the same every time. The sections of the books are those of Deployments, ReplicaSets,
StatefulSets, DaemonSets and of placing pods.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from api.client import HttpClient
from api.core import Pod
from api.informer import Informer
from base.clock import SystemClock
from base.tasks import TaskGuard
from tests.integration.apiserver.conftest import Server
from tests.integration.controllers.conftest import FakeAgents
from tests.integration.kubectl.conftest import Kubectl, version_of
from tests.patience import wait_until as eventually

DEADLINE = 60.0


@dataclass
class Agents(FakeAgents):
    """Fake agents whose pods become ready one by one, in namespaces that ask for it."""

    slow: set[str] = field(default_factory=set)
    """Namespaces whose pods become ready only when they are named."""
    named: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    """Images whose pods never become ready."""
    played: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Namespaces where nothing happens to a pod but that it gets the status given here, by name."""

    async def _tend(self, pod: Pod, address: str) -> None:
        statuses = self.played.get(pod.metadata.namespace)
        if statuses is None or pod.metadata.deletion_timestamp:
            await super()._tend(pod, address)
        elif (status := statuses.pop(pod.metadata.name, None)) is not None:
            await self._report(pod, status)

    def is_ready(self, pod: Pod) -> bool:
        if pod.spec.containers[0].image in self.broken:
            return False
        return pod.metadata.namespace not in self.slow or pod.metadata.name in self.named


class Nodes:
    """Agents that work in a thread of their own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self.agents: Agents

    async def _run(self) -> None:
        clock = SystemClock()
        async with (
            HttpClient.from_kubeconfig(self._server.kubeconfig) as client,
            TaskGuard("nodes") as guard,
        ):
            pods = Informer(client, Pod, clock=clock)
            guard.start(pods.run(), name="pods")
            self.agents = Agents(client, clock, guard, pods)
            guard.start(self.agents.run(), name="agents")
            self._started.set()
            await self._ended.wait()

    def __enter__(self) -> Nodes:
        self._thread.start()
        assert self._started.wait(DEADLINE)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(DEADLINE)

    def add(self, name: str, **more: Any) -> None:
        asyncio.run_coroutine_threadsafe(self.agents.add_node(name, **more), self._loop).result(
            DEADLINE
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("transcripts"))
    made.start(whole=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def nodes(server: Server) -> Iterator[Nodes]:
    with Nodes(server) as made:
        for name in ("node1.k8s", "node2.k8s"):
            made.add(name, labels={"kubernetes.io/hostname": name})
        yield made


@pytest.fixture
def kubectl(server: Server, nodes: Nodes) -> Kubectl:
    program = shutil.which("kubectl")
    assert program is not None
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    made = Kubectl(server, program, version_of(program), namespace)
    server.create_namespace(namespace)
    eventually(lambda: "default" in made("get", "serviceaccounts", "-o", "name"))
    return made


def statuses(kubectl: Kubectl, *arguments: str) -> dict[str, str]:
    """The STATUS column of the pods."""
    rows = kubectl.lines("get", "pods", "--no-headers", *arguments)
    return {row[0]: row[2] for row in rows}


def workload(kind: str, name: str, image: str = "nginx:1.16", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": name, "image": image}], **spec.pop("pod", {})}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **spec,
        },
    }


def bare(name: str, app: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "httpd"}]},
    }


def apply(kubectl: Kubectl, obj: dict[str, Any]) -> str:
    return kubectl.apply(json.dumps(obj))


def running(kubectl: Kubectl, count: int) -> dict[str, str]:
    """The pods, once so many are there and all run."""

    def all_run() -> dict[str, str] | None:
        found = statuses(kubectl)
        return found if list(found.values()) == ["Running"] * count else None

    return eventually(all_run)


def events(kubectl: Kubectl, target: str) -> list[str]:
    """The messages below `Events:` of `kubectl describe`, in order."""
    shown = kubectl("describe", *target.split("/")).partition("\nEvents:")[2]
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=4) for line in shown.splitlines()]
    return [row[4] for row in rows if len(row) == 5 and row[0] in ("Normal", "Warning")]


def of_deployment(kubectl: Kubectl, name: str) -> list[tuple[str, int]]:
    """Its ReplicaSets and how many pods they want, the oldest first."""
    found = kubectl.json("replicasets", "-l", f"app={name}")["items"]
    by_age = sorted(
        found,
        key=lambda one: int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]),
    )
    return [(one["metadata"]["name"], one["spec"]["replicas"]) for one in by_age]


def test_nine_events_of_a_rollout(kubectl: Kubectl, nodes: Nodes) -> None:
    apply(kubectl, workload("Deployment", "web", replicas=4))
    first = running(kubectl, 4)
    hash_of = {one.rsplit("-", 1)[0] for one in first}
    assert hash_of == {of_deployment(kubectl, "web")[0][0]}
    nodes.agents.named.update(first)
    nodes.agents.slow.add(kubectl.namespace)
    said = kubectl("set", "image", "deployment/web", "web=nginx:1.17")
    assert said == "deployment.apps/web image updated\n"
    # No more than 5 pods, no fewer than 3 available: both from the 25% that nobody wrote.
    for wanted in ((3, 2), (2, 3), (1, 4), (0, 4)):
        counts = eventually(partial(_counts, kubectl, wanted))
        status = kubectl("rollout", "status", "deployment/web", "--watch=false")
        assert status.startswith('Waiting for deployment "web" rollout to finish'), status
        nodes.agents.named.add(eventually(partial(_unnamed, kubectl, nodes, of=counts[1][0])))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web")
    old, new = (name for name, _ in of_deployment(kubectl, "web"))
    assert eventually(lambda: len(told := events(kubectl, "deployment/web")) >= 9 and told) == [
        f"Scaled up replica set {old} from 0 to 4",
        f"Scaled up replica set {new} from 0 to 1",
        f"Scaled down replica set {old} from 4 to 3",
        f"Scaled up replica set {new} from 1 to 2",
        f"Scaled down replica set {old} from 3 to 2",
        f"Scaled up replica set {new} from 2 to 3",
        f"Scaled down replica set {old} from 2 to 1",
        f"Scaled up replica set {new} from 3 to 4",
        f"Scaled down replica set {old} from 1 to 0",
    ]


def _unnamed(kubectl: Kubectl, nodes: Nodes, *, of: str) -> str | None:
    """A pod of a ReplicaSet that is still to become ready."""
    there = [one for one in statuses(kubectl) if one.startswith(of)]
    return next((one for one in there if one not in nodes.agents.named), None)


def _counts(kubectl: Kubectl, wanted: tuple[int, int]) -> list[tuple[str, int]] | None:
    found = of_deployment(kubectl, "web")
    return found if tuple(count for _, count in found) == wanted else None


def test_a_rollout_that_gets_nowhere_is_told_and_taken_back(kubectl: Kubectl, nodes: Nodes) -> None:
    apply(kubectl, workload("Deployment", "web", replicas=3, progressDeadlineSeconds=2))
    nodes.agents.named.update(running(kubectl, 3))
    nodes.agents.slow.add(kubectl.namespace)
    kubectl("set", "image", "deployment/web", "web=nginx:broken")
    said = kubectl("rollout", "status", "deployment/web", fails=True)
    assert 'deployment "web" exceeded its progress deadline' in said
    shown = kubectl("describe", "deployment", "web")
    assert re.search(r"Progressing +False +ProgressDeadlineExceeded", shown), shown
    assert re.search(r"Available +True +MinimumReplicasAvailable", shown), shown

    history = kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    assert "nginx:broken" in kubectl("rollout", "history", "deployment/web", "--revision=2")
    longer = {"spec": {"progressDeadlineSeconds": 600}}  # for the way back, however slow it is
    kubectl("patch", "deployment", "web", "-p", json.dumps(longer))
    assert kubectl("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back\n"
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web")
    history = kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["2", "3"]
    assert (
        kubectl.path("deployment/web", "{.spec.template.spec.containers[0].image}") == "nginx:1.16"
    )


def test_recreate_never_has_two_versions(kubectl: Kubectl) -> None:
    apply(kubectl, workload("Deployment", "web", replicas=3, strategy={"type": "Recreate"}))
    running(kubectl, 3)
    kubectl("set", "image", "deployment/web", "web=nginx:1.17")
    kubectl("rollout", "status", "deployment/web")
    old, new = (name for name, _ in of_deployment(kubectl, "web"))
    assert eventually(lambda: len(told := events(kubectl, "deployment/web")) >= 3 and told) == [
        f"Scaled up replica set {old} from 0 to 3",
        f"Scaled down replica set {old} from 3 to 0",
        f"Scaled up replica set {new} from 0 to 3",
    ]


def test_orphans_are_one_too_many_or_counted(kubectl: Kubectl) -> None:
    apply(kubectl, workload("ReplicaSet", "web", replicas=3))
    own = running(kubectl, 3)
    apply(kubectl, bare("late", "web"))
    eventually(lambda: "Deleted pod: late" in events(kubectl, "replicaset/web"))
    eventually(lambda: set(statuses(kubectl)) == set(own))

    apply(kubectl, bare("early", "shop"))
    apply(kubectl, workload("ReplicaSet", "shop", replicas=4))
    eventually(lambda: len(statuses(kubectl, "-l", "app=shop")) == 4)
    owner = "{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}"
    assert kubectl.path("pod/early", owner) == "ReplicaSet/shop"
    kubectl("delete", "pod", "early")
    images = "{.items[*].spec.containers[*].image}"
    wanted = ["nginx:1.16"] * 4
    read = ("get", "pods", "-l", "app=shop", "-o", f"jsonpath={images}")
    eventually(lambda: kubectl(*read).split() == wanted)


def test_a_pod_taken_out_runs_on_and_is_replaced(kubectl: Kubectl) -> None:
    apply(kubectl, workload("ReplicaSet", "web", replicas=4))
    chosen = sorted(running(kubectl, 4))[0]
    assert kubectl("label", "pod", chosen, "app=apart", "--overwrite") == f"pod/{chosen} labeled\n"
    assert chosen in running(kubectl, 5)
    assert kubectl.path(f"pod/{chosen}", "{.metadata.ownerReferences}") == ""


def test_pods_outlive_their_replica_set_and_are_taken_over(kubectl: Kubectl) -> None:
    apply(kubectl, workload("ReplicaSet", "web", replicas=3))
    before = running(kubectl, 3)
    kubectl("delete", "rs", "web", "--cascade=orphan")
    assert kubectl("get", "rs") == ""
    apply(kubectl, workload("ReplicaSet", "web", image="httpd", replicas=3))
    eventually(lambda: kubectl.path("rs/web", "{.status.readyReplicas}") == "3")
    assert running(kubectl, 3) == before


def test_a_replication_controller_that_looks_for_others(kubectl: Kubectl) -> None:
    template = {"metadata": {"labels": {"app": "kubia", "tier": "old"}}}
    template["spec"] = bare("x", "y")["spec"]
    spec = {"replicas": 3, "selector": {"tier": "old"}, "template": template}
    made = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "kubia"}}
    apply(kubectl, {**made, "spec": spec})
    first = running(kubectl, 3)
    template["metadata"]["labels"]["tier"] = "new"
    apply(kubectl, {**made, "spec": {**spec, "selector": {"tier": "new"}}})
    assert set(first) < set(running(kubectl, 6))
    assert (
        kubectl("scale", "rc", "kubia", "--replicas=10") == "replicationcontroller/kubia scaled\n"
    )
    running(kubectl, 13)
    row = ["kubia", "10", "10", "10"]
    eventually(lambda: kubectl.lines("get", "rc", "--no-headers")[0][:4] == row)


def test_one_after_the_other_up_and_down(kubectl: Kubectl, nodes: Nodes) -> None:
    nodes.agents.slow.add(kubectl.namespace)
    apply(kubectl, workload("StatefulSet", "webapp", replicas=2, serviceName="web-svc"))
    eventually(lambda: statuses(kubectl) == {"webapp-0": "Running"})
    assert kubectl.lines("get", "sts", "--no-headers")[0][:2] == ["webapp", "0/2"]
    nodes.agents.named.add("webapp-0")
    eventually(lambda: list(statuses(kubectl)) == ["webapp-0", "webapp-1"])
    nodes.agents.named.add("webapp-1")
    kubectl("rollout", "status", "statefulset/webapp")
    assert (
        kubectl("scale", "statefulset", "webapp", "--replicas=0")
        == "statefulset.apps/webapp scaled\n"
    )
    eventually(lambda: not statuses(kubectl))

    def told() -> list[tuple[str, ...]]:
        lines = events(kubectl, "statefulset/webapp")
        matched = [re.match(r"(\w+) Pod (webapp-\d)", line) for line in lines]
        return [found.groups() for found in matched if found]

    assert eventually(lambda: len(told()) >= 4 and told()) == [
        ("create", "webapp-0"), ("create", "webapp-1"), ("delete", "webapp-1"), ("delete", "webapp-0"),
    ]  # fmt: skip


def test_two_run_and_three_wait(kubectl: Kubectl) -> None:
    apart = {
        "labelSelector": {"matchLabels": {"app": "frontend"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    apply(kubectl, workload("Deployment", "frontend", replicas=5, pod={"affinity": affinity}))
    wanted = ["Pending"] * 3 + ["Running"] * 2
    eventually(lambda: sorted(statuses(kubectl).values()) == wanted)
    waiting = next(name for name, status in statuses(kubectl).items() if status == "Pending")
    why = "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    eventually(lambda: any(line.startswith(why) for line in events(kubectl, f"pod/{waiting}")))
    used = kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").split()
    assert sorted(used) == ["node1.k8s", "node2.k8s"]


def test_daemons_follow_the_label_of_a_node(kubectl: Kubectl) -> None:
    apply(kubectl, workload("DaemonSet", "ssd-monitor", pod={"nodeSelector": {"disk": "ssd"}}))
    eventually(
        lambda: kubectl.lines("get", "ds", "--no-headers")[0][:3] == ["ssd-monitor", "0", "0"]
    )
    assert statuses(kubectl) == {}
    kubectl("cordon", "node1.k8s")
    try:
        kubectl("label", "node", "node1.k8s", "disk=ssd")
        (name,) = running(kubectl, 1)
        assert kubectl.path(f"pod/{name}", "{.spec.nodeName}") == "node1.k8s"
    finally:
        kubectl("uncordon", "node1.k8s")
        kubectl("label", "node", "node1.k8s", "disk=hdd", "--overwrite")
    eventually(lambda: not statuses(kubectl))


def test_a_job_that_takes_too_long(kubectl: Kubectl) -> None:
    pod = {"restartPolicy": "OnFailure", "containers": [{"name": "main", "image": "batch-job"}]}
    spec = {"activeDeadlineSeconds": 1, "template": {"spec": pod}}
    made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "late"}, "spec": spec}
    apply(kubectl, made)
    kubectl("wait", "--for=condition=Failed", "job/late", "--timeout=60s")
    assert kubectl.lines("get", "jobs", "--no-headers")[0][:3] == ["late", "Failed", "0/1"]
    eventually(
        lambda: "Job was active longer than specified deadline" in events(kubectl, "job/late")
    )
    eventually(lambda: not statuses(kubectl))


def placed_pod(name: str, **spec: Any) -> dict[str, Any]:
    made = bare(name, name)
    made["spec"] |= spec
    return made


def node_of(kubectl: Kubectl, name: str) -> str:
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return kubectl.path(f"pod/{name}", "{.spec.nodeName}")


def waits(kubectl: Kubectl, name: str, why: str) -> None:
    """Wait until the pod's events say why it has no node."""
    eventually(lambda: any(line.startswith(why) for line in events(kubectl, f"pod/{name}")))
    assert statuses(kubectl)[name] == "Pending"


def test_a_pod_waits_for_a_node_with_its_labels(kubectl: Kubectl) -> None:
    apply(kubectl, placed_pod("gpu", nodeSelector={"gpu": "true"}))
    waits(
        kubectl,
        "gpu",
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
    )
    kubectl("label", "node", "node2.k8s", "gpu=true")
    try:
        assert node_of(kubectl, "gpu") == "node2.k8s"
    finally:
        kubectl("label", "node", "node2.k8s", "gpu-")
    assert statuses(kubectl) == {"gpu": "Running"}, "what runs is never moved"


def test_taints_keep_pods_away_and_push_them_out(kubectl: Kubectl) -> None:
    kubectl("taint", "node", "node1.k8s", "node-type=production:NoSchedule")
    try:
        found = apply_many(kubectl, *(placed_pod(f"test-{number}") for number in range(3)))
        assert set(found.values()) == {"node2.k8s"}
        toleration = {"key": "node-type", "operator": "Equal", "value": "production"}
        kubectl("taint", "node", "node2.k8s", "busy:NoExecute")
        eventually(lambda: not statuses(kubectl))
        apply(kubectl, placed_pod("prod", tolerations=[{**toleration, "effect": "NoSchedule"}]))
        assert node_of(kubectl, "prod") == "node1.k8s"
        apply(kubectl, placed_pod("nowhere"))
        waits(
            kubectl, "nowhere",
            "0/2 nodes are available: 1 node(s) had untolerated taint {busy: }, 1 node(s) had "
            "untolerated taint {node-type: production}.",
        )  # fmt: skip
    finally:
        kubectl("taint", "node", "node1.k8s", "node-type-")
        kubectl.run("taint", "node", "node2.k8s", "busy-")
    assert node_of(kubectl, "nowhere")


def apply_many(kubectl: Kubectl, *objects: dict[str, Any]) -> dict[str, str]:
    for obj in objects:
        apply(kubectl, obj)
    return {obj["metadata"]["name"]: node_of(kubectl, obj["metadata"]["name"]) for obj in objects}


def test_a_cordoned_node_takes_only_what_names_it(kubectl: Kubectl) -> None:
    kubectl("cordon", "node1.k8s")
    try:
        found = apply_many(
            kubectl, placed_pod("by-name", nodeName="node1.k8s"), placed_pod("by-us")
        )
        assert found == {"by-name": "node1.k8s", "by-us": "node2.k8s"}
    finally:
        kubectl("uncordon", "node1.k8s")


def test_a_port_of_a_node_is_taken_once(kubectl: Kubectl) -> None:
    port = {"containerPort": 80, "hostPort": 9000}
    container = {"name": "c", "image": "httpd", "ports": [port]}
    found = apply_many(
        kubectl, *(placed_pod(f"web-{number}", containers=[container]) for number in range(2))
    )
    assert set(found.values()) == {"node1.k8s", "node2.k8s"}
    apply(kubectl, placed_pod("web-2", containers=[container]))
    waits(
        kubectl, "web-2",
        "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.",
    )  # fmt: skip
    kubectl("delete", "pod", "web-0")
    assert node_of(kubectl, "web-2") == found["web-0"]
