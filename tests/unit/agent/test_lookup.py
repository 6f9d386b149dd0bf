"""Which container a request means, in the kubelet's words when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.containers.script import Script
from agent.pod.lookup import Pods
from agent.pod.podusage import PodsUsage
from api.errors import ApiError
from tests.unit.agent.builders import UID, container, make_pod, sidecar
from tests.unit.agent.node import Node


async def started(tmp_path: Path, *, script: Script | None = None, **pod: object) -> Node:
    node = Node(tmp_path, scripts={"web": script or Script()})
    await node.boot()
    node.api.put(make_pod(**pod))  # type: ignore[arg-type]
    await node.run(5)
    return node


def refusal(pods: Pods, *target: str, previous: bool = False, running: bool = False) -> ApiError:
    with pytest.raises(ApiError) as caught:
        if running:
            pods.find_running(*target)
        else:
            pods.find(*target, previous=previous)
    return caught.value


async def test_the_only_container_needs_no_name(tmp_path: Path) -> None:
    node = await started(tmp_path)
    pods = Pods(node.manager)
    id = node.containers("web")[0].id
    assert pods.find("ns", "pod", "") == pods.find("ns", "pod", "web") == id
    assert pods.find_running("ns", "pod", "") == id
    await node.kill()


async def test_what_is_not_there(tmp_path: Path) -> None:
    node = await started(tmp_path)
    pods = Pods(node.manager)
    missing = refusal(pods, "ns", "nobody", "")
    assert (missing.code, missing.message) == (
        404,
        'pod "nobody" does not exist on this node in "ns"',
    )
    assert refusal(pods, "other", "pod", "").code == 404
    wrong = refusal(pods, "ns", "pod", "nope")
    assert (wrong.code, wrong.message) == (400, "container nope is not valid for pod pod")
    assert refusal(pods, "ns", "pod", "web", previous=True).message == (
        'previous terminated container "web" in pod "pod" not found'
    )
    await node.kill()


async def test_several_containers_must_be_named(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(container("a"), container("b"), inits=[sidecar()]))
    await node.run(5)
    pods = Pods(node.manager)
    assert refusal(pods, "ns", "pod", "").message == (
        "a container name must be specified for pod pod, choose one of: [side a b]"
    )
    assert pods.find("ns", "pod", "side") == node.containers("side")[0].id
    await node.kill()


async def test_the_default_container_annotation(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    pod = make_pod(container("a"), container("b"))
    pod.metadata.annotations = {"kubectl.kubernetes.io/default-container": "b"}
    node.api.put(pod)
    await node.run(5)
    assert Pods(node.manager).find("ns", "pod", "") == node.containers("b")[0].id
    await node.kill()


async def test_a_container_that_has_not_started(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(container(image="nope:1", image_pull_policy="Never")))
    await node.run(5)
    assert refusal(Pods(node.manager), "ns", "pod", "web").message == (
        'container "web" in pod "pod" is waiting to start: ErrImageNeverPull'
    )
    await node.kill()


async def test_an_image_that_cannot_be_pulled(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(container(image="nope:1")))
    said = set()
    for _ in range(10):
        await node.run(3)
        said.add(refusal(Pods(node.manager), "ns", "pod", "web").message)
    begin = 'container "web" in pod "pod" is waiting to start: '
    assert said & {f"{begin}image can't be pulled", f"{begin}trying and failing to pull image"}
    assert not any("Err" in text or "BackOff" in text for text in said)
    await node.kill()


async def test_a_crash_loop_shows_its_last_log_both_ways(tmp_path: Path) -> None:
    node = await started(tmp_path, script=Script(run_for=1, exit_code=1))
    pods = Pods(node.manager)
    last = node.containers("web")[0].id
    assert pods.find("ns", "pod", "web") == last
    assert pods.find("ns", "pod", "web", previous=True) == last
    assert refusal(pods, "ns", "pod", "web", running=True).message == 'container not found ("web")'
    await node.kill()


async def test_what_does_not_run_uses_nothing(tmp_path: Path) -> None:
    node = await started(tmp_path, script=Script(run_for=20), policy="Never")
    usage = PodsUsage(node.manager, version=1)
    assert [one.name for one in usage.pods()] == ["pod"]
    assert [one.metadata.name for one in Pods(node.manager).running()] == ["pod"]
    await node.run(60)
    assert node.api.pod("pod").status.phase == "Succeeded"
    assert usage.pods() == [] == Pods(node.manager).running()
    assert [one.metadata.name for one in Pods(node.manager).pods()] == ["pod"]
    await node.kill()


async def test_what_ended_for_good_is_no_previous_one(tmp_path: Path) -> None:
    node = await started(tmp_path, script=Script(run_for=1, exit_code=1), policy="Never")
    pods = Pods(node.manager)
    assert pods.find("ns", "pod", "web") == node.containers("web")[0].id
    assert refusal(pods, "ns", "pod", "web", previous=True).message == (
        'previous terminated container "web" in pod "pod" not found'
    )
    await node.kill()


async def test_the_log_before_the_restart(tmp_path: Path) -> None:
    node = await started(tmp_path)
    first = node.containers("web")[0].id
    node.runtime.end(first, exit_code=1)
    await node.run(5)
    pods = Pods(node.manager)
    assert pods.find("ns", "pod", "web", previous=True) == first
    assert pods.find("ns", "pod", "web") != first
    await node.kill()


async def test_all_pods_with_the_status_of_now(tmp_path: Path) -> None:
    node = await started(tmp_path)
    assert [p.status.phase for p in Pods(node.manager).pods()] == ["Running"]
    usage = PodsUsage(node.manager, version=1)
    (one,) = usage.pods()
    assert (one.uid, set(one.containers)) == (UID, {"web"})
    assert usage.node().memory == 0, "no kernel wrote into these files"
    await node.kill()
