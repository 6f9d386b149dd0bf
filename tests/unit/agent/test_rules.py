"""Containers with a restart policy of their own, rules by exit code, and curves of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.containers.script import Script
from agent.pod.backoff import ANNOTATION, RESTARTS, RETRY_ANNOTATION, Backoff, curve
from agent.pod.observed import KilledFor, wanted_restart
from agent.pod.outcome import outcome
from agent.pod.plan import due
from api import objects
from api.core import Container, ContainerRestartRule, ContainerRestartRuleOnExitCodes
from tests.unit.agent.builders import container, make_pod, observe, plan, seen, sidecar
from tests.unit.agent.node import Node


def rule(operator: str, *codes: int) -> ContainerRestartRule:
    found = ContainerRestartRuleOnExitCodes(operator=operator, values=list(codes))
    return ContainerRestartRule(action="Restart", exit_codes=found)


def with_rules(policy: str, *rules: ContainerRestartRule, name: str = "web") -> Container:
    return container(name, restart_policy=policy, restart_policy_rules=list(rules))


AGAIN = [
    # the pod's policy, the container, exit code, killed for, runs again
    ("Always", container(restart_policy="Never"), 1, None, False),
    ("Always", container(restart_policy="OnFailure"), 0, None, False),
    ("Always", container(restart_policy="OnFailure"), 0, KilledFor.LIVENESS, True),
    ("Never", container(restart_policy="Always"), 0, None, True),
    ("Never", container(restart_policy="OnFailure"), 3, None, True),
    ("Never", with_rules("Never", rule("In", 42)), 42, None, True),
    ("Never", with_rules("Never", rule("In", 42)), 1, None, False),
    ("Never", with_rules("Never", rule("In", 42)), 0, None, False),
    ("Never", with_rules("Never", rule("NotIn", 1, 2)), 3, None, True),
    ("Never", with_rules("Never", rule("NotIn", 1, 2)), 2, None, False),
    ("Never", with_rules("Never", rule("In", 1), rule("In", 2)), 2, None, True),
    ("Never", with_rules("OnFailure", rule("In", 0)), 0, None, True),
    ("Never", with_rules("Always", rule("In", 1)), 2, None, True),
    ("Never", with_rules("Never"), 137, KilledFor.CHANGED, True),
    ("OnFailure", container(), 0, KilledFor.SANDBOX, False),
    ("OnFailure", container(), 137, KilledFor.SANDBOX, True),
    ("Never", container(), 137, KilledFor.SANDBOX, False),
]


@pytest.mark.parametrize(("policy", "spec", "code", "killed_for", "again"), AGAIN)
def test_who_runs_again(
    policy: str, spec: Container, code: int, killed_for: KilledFor | None, again: bool
) -> None:
    pod = make_pod(spec, container("other"), policy=policy)
    ended = seen(spec, exit_code=code, killed_for=killed_for)
    assert wanted_restart(pod, spec, ended) is again
    other = seen(container("other"), running=True)
    names = [c.name for c in due(pod, observe({"web": [ended], "other": [other]}))]
    assert names == (["web"] if again else [])


def test_a_program_that_cannot_be_started_has_a_code_too() -> None:
    spec = with_rules("Never", rule("In", 128))
    assert wanted_restart(make_pod(spec), spec, seen(spec, error="no such file"))


def both(first: str | None, second: str | None) -> list[Container]:
    return [container("a", restart_policy=first), container("b", restart_policy=second)]


PHASES = [
    # containers, how each ended (None: it runs), the phase at the end
    (both("Never", "Never"), [0, 0], "Succeeded"),
    (both("Never", "Never"), [0, 1], "Failed"),
    (both("Never", None), [1, 0], None),
    (both("Never", None), [1, None], None),
    (both("OnFailure", "Never"), [0, 0], "Succeeded"),
]


@pytest.mark.parametrize(("specs", "codes", "phase"), PHASES)
def test_a_pod_ends_when_none_of_its_containers_goes_on(
    specs: list[Container], codes: list[int | None], phase: str | None
) -> None:
    ended = {
        spec.name: [seen(spec, running=code is None, exit_code=code or 0)]
        for spec, code in zip(specs, codes, strict=True)
    }
    end = outcome(make_pod(*specs, policy="Always"), observe(ended))
    assert (None if end is None else end.phase) == phase


INITS = [
    # the pod's policy, the init container, exit code, what becomes of the pod
    ("Never", container("i"), 1, "Failed"),
    ("Never", container("i", restart_policy="OnFailure"), 1, "again"),
    ("Never", with_rules("Never", rule("In", 7), name="i"), 7, "again"),
    ("Never", with_rules("Never", rule("In", 7), name="i"), 8, "Failed"),
    ("Always", container("i", restart_policy="Never"), 1, "Failed"),
    ("Always", container("i", restart_policy="Never"), 0, "on"),
    ("Always", container("i"), 1, "again"),
]


@pytest.mark.parametrize(("policy", "init", "code", "then"), INITS)
def test_init_containers(policy: str, init: Container, code: int, then: str) -> None:
    pod = make_pod(inits=[init], policy=policy)
    observed = observe({"i": [seen(init, exit_code=code)]})
    end = outcome(pod, observed)
    assert (end is not None and end.phase == "Failed") is (then == "Failed")
    if then != "Failed":
        names = [c.name for c in due(pod, observed)]
        assert names == (["i"] if then == "again" else ["web"])


def test_a_lost_sandbox_ends_only_pods_of_which_nothing_goes_on() -> None:
    def lost(*specs: Container, policy: str = "Never") -> bool:
        ended = {spec.name: [seen(spec, exit_code=137, sandbox="old")] for spec in specs}
        return outcome(make_pod(*specs, policy=policy), observe(ended, up=False)) is not None

    assert lost(container())
    assert not lost(with_rules("Never", rule("In", 137)))
    assert not lost(container("a"), container("b", restart_policy="Always"))


def test_sidecars_stay_what_they_are() -> None:
    pod = make_pod(container(restart_policy="Never"), inits=[sidecar()], policy="Never")
    ended = {"web": [seen(exit_code=0)], "side": [seen(sidecar(), running=True)]}
    end = outcome(pod, observe(ended))
    assert end is not None and end.phase == "Succeeded"


# Curves.

NODE = Backoff(first=10, longest=300, reset_after=600)
CURVES = [
    ("first=1s", Backoff(first=1, longest=300, reset_after=600)),
    ("first=2s, longest=30s,reset=1m", Backoff(first=2, longest=30, reset_after=60)),
    ("first=0.1s,longest=0s", Backoff(first=1, longest=1, reset_after=600)),
    ("longest=5s", Backoff(first=10, longest=10, reset_after=600)),
]


@pytest.mark.parametrize(("text", "expected"), CURVES)
def test_a_pod_may_have_another_curve(text: str, expected: Backoff) -> None:
    assert curve(text, NODE) == expected


@pytest.mark.parametrize("text", ["fast", "first", "first=", "first=1", "last=1s", "first=1s;x"])
def test_curves_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        curve(text, NODE)


def test_the_wait_follows_the_curve() -> None:
    ended = seen(exit_code=1, level=3, ended_ago=1)
    assert plan(make_pod(), observe({"web": [ended]})).wake_in == 39
    fast = observe({"web": [ended]}, backoff=Backoff(first=1, longest=2))
    assert plan(make_pod(), fast).wake_in == 1
    assert RESTARTS.first == 10


def annotated(**annotations: str) -> Any:
    pod = make_pod()
    pod.metadata.annotations = {key: value for key, value in annotations.items() if value}
    return pod


async def crashes(node: Node, seconds: float) -> int:
    await node.run(seconds)
    status = node.api.pod().status
    return status.container_statuses[0].restart_count


async def test_a_crash_loop_on_the_pods_own_curve(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=0.5, exit_code=1)})
    await node.boot()
    node.api.put(annotated(**{ANNOTATION: "first=1s,longest=2s"}))
    fast = await crashes(node, 60)
    assert fast > 15
    node.api.put(annotated(**{ANNOTATION: "nonsense"}))
    assert await crashes(node, 60) < fast + 5
    (words,) = set(node.recorder.messages("InvalidRestartBackOff"))
    assert words.startswith(f'annotation {ANNOTATION}: "nonsense" is not')
    await node.kill()


async def test_trying_again_at_once(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=0.5, exit_code=1)})
    await node.boot()
    node.api.put(annotated(**{RETRY_ANNOTATION: "0"}))
    before = await crashes(node, 200)
    assert node.api.pod().status.container_statuses[0].state.waiting.reason == "CrashLoopBackOff"
    assert "Retrying" not in node.recorder.reasons(), "a wish of before this agent is an old one"
    pod = objects.copy(node.api.pod())
    pod.metadata.annotations[RETRY_ANNOTATION] = "1"
    node.api.put(pod)
    assert await crashes(node, 2) == before + 1
    assert await crashes(node, 10) == before + 1, "one wish is one try"
    await node.kill()


async def test_trying_an_image_again_at_once(tmp_path: Path) -> None:
    node = Node(tmp_path, images=["pause:1"])
    await node.boot()
    node.api.put(make_pod())
    await node.run(120)
    node.runtime.add_image("app:1")
    pod = objects.copy(node.api.pod())
    pod.metadata.annotations[RETRY_ANNOTATION] = "now"
    node.api.put(pod)
    await node.run(2)
    assert node.names() == ["POD", "web"]
    await node.kill()
