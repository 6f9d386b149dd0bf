"""The books' transcripts of pods that keep their name and of pods that end: StatefulSets and Jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from api import timestamps
from tests.integration.kubectl import test_transcripts as transcripts
from tests.integration.kubectl.conftest import Kubectl
from tests.integration.kubectl.test_transcripts import (
    Nodes,
    apply,
    events,
    eventually,
    running,
    statuses,
    workload,
)

server, nodes, kubectl = transcripts.server, transcripts.nodes, transcripts.kubectl
NODES = ("node1.k8s", "node2.k8s")


def kubia(kubectl: Kubectl, **more: Any) -> dict[str, str]:
    """Two pods that end within ten seconds, and the services before them; UIDs by name."""
    made = workload("StatefulSet", "kubia", replicas=2, serviceName="kubia", **more)
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 10
    apply(kubectl, made)
    running(kubectl, 2)
    kubectl("rollout", "status", "statefulset/kubia")
    return uids(kubectl)


def uids(kubectl: Kubectl) -> dict[str, str]:
    found = kubectl.json("pods")["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


@contextlib.contextmanager
def unreachable(nodes: Nodes, *names: str) -> Iterator[None]:
    """Nodes whose agents do nothing and say nothing."""
    nodes.agents.silent.update(names)
    try:
        yield
    finally:
        nodes.agents.silent.difference_update(names)


def test_a_name_is_not_given_away_until_its_pod_is_surely_gone(
    kubectl: Kubectl, nodes: Nodes
) -> None:
    before = kubia(kubectl)
    lost = kubectl.path("pod/kubia-0", "{.spec.nodeName}")
    kubectl("cordon", lost)
    try:
        with unreachable(nodes, lost):
            assert kubectl("delete", "pod", "kubia-0", "--wait=false") == 'pod "kubia-0" deleted\n'
            eventually(lambda: statuses(kubectl)["kubia-0"] == "Terminating")
            leaving = kubectl.json("pod/kubia-0")["metadata"]
            assert leaving["deletionGracePeriodSeconds"] == 10
            kubectl("label", "statefulset", "kubia", "look=again")
            assert uids(kubectl)["kubia-0"] == before["kubia-0"], "never two of one name"
            done = kubectl.run("delete", "po", "kubia-0", "--force", "--grace-period", "0")
            assert done.stdout == 'pod "kubia-0" force deleted\n'
            assert "Immediate deletion does not wait for confirmation" in done.stderr
            eventually(lambda: uids(kubectl).get("kubia-0", before["kubia-0"]) != before["kubia-0"])
            kubectl("wait", "--for=condition=Ready", "pod/kubia-0", "--timeout=60s")
            assert kubectl.path("pod/kubia-0", "{.spec.nodeName}") != lost
    finally:
        kubectl("uncordon", lost)
    assert uids(kubectl)["kubia-1"] == before["kubia-1"]


def test_who_deletes_a_set_ends_all_its_pods_at_once(kubectl: Kubectl, nodes: Nodes) -> None:
    kubia(kubectl)
    with unreachable(nodes, *NODES):
        kubectl("delete", "statefulset", "kubia")
        eventually(lambda: set(statuses(kubectl).values()) == {"Terminating"})
        assert len(statuses(kubectl)) == 2
    eventually(lambda: not statuses(kubectl))


def test_an_ordinary_service_before_the_same_pods(kubectl: Kubectl) -> None:
    kubia(kubectl)
    kubectl("create", "service", "clusterip", "kubia", "--clusterip=None", "--tcp=80:8080")
    kubectl("expose", "service", "kubia", "--name=kubia-public", "--port=80", "--cluster-ip=")
    addresses = set(kubectl("get", "pods", "-o", "jsonpath={.items[*].status.podIP}").split())

    def behind(service: str) -> set[str]:
        return set(kubectl.path(f"endpoints/{service}", "{.subsets[*].addresses[*].ip}").split())

    eventually(lambda: behind("kubia") == behind("kubia-public") == addresses)
    hostnames = "{.items[*].endpoints[*].hostname}"
    of = ("get", "endpointslices", "-o", f"jsonpath={hostnames}", "-l")
    governing = kubectl(*of, "kubernetes.io/service-name=kubia").split()
    assert sorted(governing) == ["kubia-0", "kubia-1"], "what DNS makes names of"
    assert kubectl(*of, "kubernetes.io/service-name=kubia-public") == ""


def job(name: str, restart_policy: str, **spec: Any) -> dict[str, Any]:
    pod = {
        "restartPolicy": restart_policy,
        "containers": [{"name": "main", "image": "luksa/batch-job"}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {**spec, "template": {"spec": pod}},
    }


def of_container(phase: str, restarts: int = 0, **state: Any) -> dict[str, Any]:
    """The status of a pod whose only container is like this."""
    container = {
        "name": "main", "image": "luksa/batch-job", "imageID": "", "ready": "running" in state,
        "restartCount": restarts, "state": state,
    }  # fmt: skip
    return {"phase": phase, "containerStatuses": [container]}


def ended(code: int) -> dict[str, Any]:
    now = timestamps.now_string(transcripts.SystemClock())
    return {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "finishedAt": now}


def shown(lines: Sequence[str], pod: str) -> list[str]:
    """What a watch printed in STATUS of one pod, without repetitions."""
    found = [line.split()[2] for line in lines if line.startswith(pod)]
    return [one for number, one in enumerate(found) if number == 0 or one != found[number - 1]]


@pytest.fixture
def played(kubectl: Kubectl, nodes: Nodes) -> dict[str, Any]:
    """Statuses that the pods of the namespace get, by name."""
    made: dict[str, Any] = {}
    nodes.agents.played[kubectl.namespace] = made
    return made


def test_five_at_once_that_end_one_by_one(kubectl: Kubectl, played: dict[str, Any]) -> None:
    apply(kubectl, job("multi", "OnFailure", completions=5, parallelism=5))
    eventually(lambda: list(statuses(kubectl).values()) == ["Pending"] * 5)
    names = list(statuses(kubectl))
    watching = kubectl.start("get", "pods", "--watch", "--no-headers")
    assert watching.stdout is not None
    try:
        lines = [watching.stdout.readline() for _ in names]  # from here on it sees everything
        waiting = of_container("Pending", waiting={"reason": "ContainerCreating"})
        for status in waiting, of_container("Running", running={}):
            played.update(dict.fromkeys(names, status))
            eventually(lambda: not played)
        running(kubectl, 5)
        for number, name in enumerate(names, 1):
            played[name] = of_container("Succeeded", terminated=ended(0))
            done = f"{number}/5"
            eventually(lambda d=done: kubectl.lines("get", "jobs", "--no-headers")[0][2] == d)
            assert sorted(statuses(kubectl).values()) == (
                ["Completed"] * number + ["Running"] * (5 - number)
            )
        kubectl("wait", "--for=condition=Complete", "job/multi", "--timeout=60s")
        while any(shown(lines, name)[-1:] != ["Completed"] for name in names):
            lines.append(watching.stdout.readline())
            assert lines[-1], "the watch has ended"
    finally:
        watching.kill()
        watching.communicate()
    for name in names:
        assert shown(lines, name) == ["Pending", "ContainerCreating", "Running", "Completed"]
    ends = [line.split()[0] for line in lines if "Completed" in line]
    assert list(dict.fromkeys(ends)) == names, "each at a time of its own"
    eventually(lambda: "Job completed" in events(kubectl, "job/multi"))


def test_a_container_is_started_again_in_its_pod(kubectl: Kubectl, played: dict[str, Any]) -> None:
    """With OnFailure one pod's RESTARTS grow, until as often as `backoffLimit` says."""
    apply(kubectl, job("again", "OnFailure", backoffLimit=2))
    (name,) = eventually(lambda: statuses(kubectl))
    for restarts in range(2):
        played[name] = of_container("Running", restarts, terminated=ended(1))
        eventually(lambda: statuses(kubectl) == {name: "Error"})
        if restarts < 1:
            played[name] = of_container("Running", restarts + 1, running={})
            eventually(
                lambda: kubectl.lines("get", "pods", "--no-headers")[0][2:4] == ["Running", "1"]
            )
    played[name] = of_container("Running", 2, running={})
    kubectl("wait", "--for=condition=Failed", "job/again", "--timeout=60s")
    eventually(lambda: not statuses(kubectl))
    assert eventually(lambda: len(told := events(kubectl, "job/again")) >= 3 and told) == [
        f"Created pod: {name}",
        f"Deleted pod: {name}",
        "Job has reached the specified backoff limit",
    ]


def test_a_pod_that_is_never_started_again_stays_and_another_comes(
    kubectl: Kubectl, played: dict[str, Any]
) -> None:
    apply(kubectl, job("never", "Never", backoffLimit=0))
    (name,) = eventually(lambda: statuses(kubectl))
    played[name] = of_container("Failed", terminated=ended(1))
    kubectl("wait", "--for=condition=Failed", "job/never", "--timeout=60s")
    assert statuses(kubectl) == {name: "Error"}, "its log can be read"
    assert kubectl.lines("get", "jobs", "--no-headers")[0][:3] == ["never", "Failed", "0/1"]
