"""Containers that are added to a running pod: started once, whatever the others do, and never ready."""

from __future__ import annotations

from pathlib import Path

from agent.containers.script import FAKE_ENGINE, Script
from agent.pod.actions import CreateContainer, EnsureImage, StartContainer, StopContainer
from agent.pod.containerstatus import Sort, container_status
from agent.pod.observed import PodObserved
from agent.spec.refusals import refusal, refusal_of_added
from api.core import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    EphemeralContainer,
    Pod,
    PodStatus,
    SecurityContext,
)
from api.pods import ephemeral_containers
from tests.unit.agent.builders import container, failure, make_pod, observe, plan, seen, with_images
from tests.unit.agent.node import Node

WEB = container()
SHELL = container("sh", image="tools")


def debugged(**more: object) -> Pod:
    added = EphemeralContainer(name="sh", image="tools", target_container_name="web")
    return make_pod(WEB, ephemeral_containers=[added], **more)  # type: ignore[arg-type]


def steps(pod: Pod, observed: PodObserved) -> list[tuple[str, str]]:
    made = (EnsureImage, CreateContainer, StartContainer, StopContainer)
    return [
        (type(action).__name__, action.container)
        for action in plan(pod, observed).actions
        if isinstance(action, made)
    ]


def test_it_has_the_shape_of_a_container() -> None:
    assert ephemeral_containers(debugged().spec) == [SHELL]


def test_image_container_start() -> None:
    there = {"web": [seen(WEB, running=True)]}
    assert steps(debugged(), observe(there)) == [("EnsureImage", "sh")]
    ready = with_images(observe(there), web=0, sh=0)
    assert steps(debugged(), ready) == [("CreateContainer", "sh")]
    created = observe({**there, "sh": [seen(SHELL, unstarted=True)]})
    assert steps(debugged(), created) == [("StartContainer", "sh")]
    running = observe({**there, "sh": [seen(SHELL, running=True)]})
    assert steps(debugged(), running) == []


def test_it_does_not_wait_for_init_containers_or_hooks() -> None:
    init = container("init")
    pod = debugged(inits=[init])
    observed = with_images(observe({"init": [seen(init, running=True)]}), sh=0)
    assert ("CreateContainer", "sh") in steps(pod, observed)


def test_it_never_runs_twice() -> None:
    ended = observe({"web": [seen(WEB, running=True)], "sh": [seen(SHELL, exit_code=1)]})
    assert steps(debugged(), ended) == []
    # Somebody removed it, and the API remembers that it ran.
    status = ContainerStatus(
        name="sh",
        image="tools",
        image_id="",
        ready=False,
        restart_count=0,
        state=ContainerState(terminated=ContainerStateTerminated(exit_code=0)),
    )
    pod = debugged(status=PodStatus(phase="Running", ephemeral_container_statuses=[status]))
    assert steps(pod, observe({"web": [seen(WEB, running=True)]})) == []


def test_a_pod_that_is_through_does_not_wait_for_it() -> None:
    over = observe({"web": [seen(WEB)], "sh": [seen(SHELL, running=True)]})
    assert steps(debugged(policy="Never"), over) == [("StopContainer", "sh")]


def test_its_status() -> None:
    def status(observed: PodObserved) -> ContainerStatus:
        return container_status(debugged(), observed, SHELL, Sort.EPHEMERAL, over=False)

    running = status(observe({"sh": [seen(SHELL, running=True)]}))
    assert running.state.running is not None
    assert not running.ready
    ended = status(observe({"sh": [seen(SHELL, exit_code=3)]}))
    assert ended.state.terminated is not None
    assert ended.state.terminated.exit_code == 3
    waits = status(observe(failures={"image/sh": failure("ErrImagePull", "no such image")}))
    assert waits.state.waiting is not None
    assert waits.state.waiting.reason == "ErrImagePull"


def test_what_is_not_honoured_refuses_it_and_not_the_pod() -> None:
    pod = debugged()
    unmasked = SecurityContext(proc_mount="Unmasked")
    pod.spec.ephemeral_containers[0].security_context = unmasked
    assert refusal(pod, FAKE_ENGINE) is None
    (added,) = ephemeral_containers(pod.spec)
    refused = refusal_of_added(pod, added, "spec.ephemeralContainers[0]", FAKE_ENGINE)
    assert refused is not None
    assert refused.field == "spec.ephemeralContainers[0].securityContext.procMount"


async def test_the_processes_of_its_target(tmp_path: Path) -> None:
    """It is made when its target runs, sees that one's processes, and runs once."""
    scripts = {"web": Script(), "sh": Script(run_for=30, exit_code=2), "init": Script(run_for=3)}
    node = Node(tmp_path, registry={"tools:latest": None}, scripts=scripts)
    await node.boot()
    pod = debugged(inits=[container("init")])
    node.api.put(pod)

    def shell() -> ContainerStatus:
        (status,) = node.api.pod().status.ephemeral_container_statuses
        return status

    await node.run(2)
    assert shell().state.waiting is not None
    assert shell().state.waiting.reason == "CreateContainerConfigError"
    assert '"web", whose processes sh is to see, does not run' in shell().state.waiting.message
    await node.run(10)
    assert shell().state.running is not None
    web, added = node.runtime.by_name("web"), node.runtime.by_name("sh")
    assert node.runtime.specs[added.id].pid_mode == f"container:{web.id}"
    assert node.api.pod().status.phase == "Running"
    assert "spec.ephemeralContainers{sh}" in node.recorder.parts

    await node.run(40)
    for _ in range(2):
        ended = shell().state.terminated
        assert ended is not None and (ended.exit_code, shell().restart_count) == (2, 0)
        ready = next(c for c in node.api.pod().status.conditions if c.type == "Ready")
        assert ready.status == "True", "nobody depends on it"
        await node.kill()
        await node.boot()
        await node.run(20)
    assert [did for did, name in node.runtime.calls if "_sh_" in name].count("start") == 1
    await node.kill()


async def test_with_one_process_namespace_it_sees_all(tmp_path: Path) -> None:
    node = Node(tmp_path, registry={"tools:latest": None})
    await node.boot()
    node.api.put(debugged(share_process_namespace=True))
    await node.run(2)
    box, added = node.runtime.by_name("POD"), node.runtime.by_name("sh")
    assert node.runtime.specs[added.id].pid_mode == f"container:{box.id}"
    await node.kill()
