"""Scenarios as people write them: every mistake is told at once, with its field."""

from __future__ import annotations

import pytest

from sim.reading import ScenarioError, numbered, read, span, target

GOOD = """
duration: 1m
nodes:
- {name: m, count: 2, zones: [a]}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read(text.encode(), "s.yaml")
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("s.yaml")
    return [line.strip() for line in rest] or [first]


def workload(text: str) -> str:
    return f"{GOOD}workloads:\n- {text}\n"


def fault(text: str) -> str:
    return f"{GOOD}faults:\n- {text}\n"


def test_a_small_scenario() -> None:
    scenario = read(GOOD.encode(), "s.yaml")
    assert (scenario.duration, scenario.seed, scenario.nodes[0].count) == ("1m", 1, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "colour: red\n", 's.yaml: strict decoding error: unknown field "colour"'),
        (
            GOOD.replace("count: 2", "number: 2"),
            's.yaml: strict decoding error: unknown field "nodes[0].number"',
        ),
        ("[]", "s.yaml: expected a scenario, found list"),
        ("a: [", "s.yaml: "),
        (GOOD.replace("1m", "soon"), 'duration: Invalid value: "soon"'),
        ("duration: 1m\n", "nodes: Required value"),
        (GOOD.replace("count: 2", "count: 0"), "nodes[0].count: Invalid value: 0"),
        (GOOD.replace("name: m", "name: M"), 'nodes[0].name: Invalid value: "M"'),
        (GOOD + "- {name: m}\n", 'nodes[1].name: Invalid value: "m": another group'),
        (
            GOOD.replace("count: 2", "capacity: {cpu: much}"),
            'nodes[0].capacity[cpu]: Invalid value: "much"',
        ),
        (GOOD + "pods: [{selector: 'a in'}]\n", 'pods[0].selector: Invalid value: "a in"'),
        (GOOD + "pods: [{start: 5s..1s}]\n", 'pods[0].start: Invalid value: "5s..1s"'),
        (GOOD + "pods: [{fails: 0.5}]\n", "pods[0].fails: Forbidden: may not be set without `run`"),
        (GOOD + "pods: [{run: 1s, fails: 2}]\n", "pods[0].fails: Invalid value: 2"),
        (GOOD + "network: {watch: never}\n", 'network.watch: Invalid value: "never"'),
        (workload("{at: 1s}"), "workloads[0].objects: Required value: or `delete`"),
        (workload("{delete: [web]}"), 'workloads[0].delete[0]: Invalid value: "web"'),
        (workload("{delete: [car/web]}"), 'workloads[0].delete[0]: Invalid value: "car/web"'),
        (
            workload("{delete: [pod/a], every: 1s, perMinute: 2}"),
            "workloads[0].perMinute: Forbidden: may not be set together with `every`",
        ),
        (workload("{delete: [pod/a], count: 2}"), "workloads[0].every: Required value"),
        (workload("{objects: [7]}"), "workloads[0].objects[0]: Invalid value: 7"),
        (
            workload("{objects: [{apiVersion: v1, kind: Car}]}"),
            'workloads[0].objects[0].kind: Unsupported value: "v1/Car"',
        ),
        (
            workload("{objects: [{apiVersion: v1, kind: Pod, spec: {nodes: 1, containers: []}}]}"),
            'workloads[0].objects[0]: Invalid value: "Pod": strict decoding error: '
            'unknown field "spec.nodes"',
        ),
        (
            workload("{objects: [{apiVersion: v1, kind: Secret}]}"),
            "workloads[0].objects[0].metadata.name: Required value",
        ),
        (
            workload("{every: 1s, objects: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]}"),
            'workloads[0].objects[0].metadata.name: Invalid value: "s": must contain {n}',
        ),
        (
            workload(
                "{objects: [{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: []}}]}"
            ),
            "workloads[0].objects[0].spec.containers: Required value",
        ),
        (fault("{kind: Quake}"), 'faults[0].kind: Unsupported value: "Quake": supported values:'),
        (fault("{kind: NodeLoss}"), "faults[0].nodes: Required value: or `zone`"),
        (fault("{kind: NodeLoss, zone: z}"), 'faults[0].zone: Not found: "z"'),
        (fault("{kind: ControlKill, nodes: 1}"), "faults[0].nodes: Forbidden: may only be set for"),
        (fault("{kind: ControlKill, count: 2}"), "faults[0].every: Required value"),
        (fault("{kind: StaleCaches}"), "faults[0].for: Required value"),
        (fault("{kind: SlowWatches, for: 1s}"), 'faults[0].delay: Invalid value: ""'),
        (fault("{kind: LostCalls, for: 1s}"), "faults[0].requests: Required value"),
        (
            fault("{kind: LostCalls, for: 1s, requests: 0.6, answers: 0.6}"),
            "faults[0].answers: Invalid value: 0.6",
        ),
        (fault("{kind: DeadlyWrites, for: 1s}"), "faults[0].probability: Required value"),
    ],
)
def test_a_mistake_is_told_with_its_field(text: str, told: str) -> None:
    found = mistakes(text)
    assert len(found) == 1, found
    assert found[0].startswith(told), found


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace("1m", "x").replace("count: 2", "count: 0") + "pods: [{start: x}]\n"
    assert [line.split(":")[0] for line in mistakes(text)] == [
        "duration",
        "nodes[0].count",
        "pods[0].start",
    ]


def test_what_comes_later_under_a_name_may_be_a_part_of_it() -> None:
    head = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: "
    whole = head + "{containers: [{name: c, image: i}]}}"
    part = head + "{containers: [], activeDeadlineSeconds: 9}}"
    later = f"workloads: [{{at: 5s, objects: [{part}]}}, {{at: 1s, objects: [{whole}]}}]\n"
    assert len(read((GOOD + later).encode(), "s.yaml").workloads) == 2
    sooner = later.replace("at: 5s", "at: 500ms")
    assert [line.split(":")[0] for line in mistakes(GOOD + sooner)] == [
        "workloads[0].objects[0].spec.containers"
    ]


def test_spans() -> None:
    assert span("1m30s") == (90.0, 90.0)
    assert span("100ms..2s") == (0.1, 2.0)
    for wrong in ("", "1", "2s..1s", "1s..", "..1s"):
        with pytest.raises(ValueError):
            span(wrong)


def test_numbers_in_objects() -> None:
    tree = {"metadata": {"name": "job-{n}", "labels": {"of-{n}": "x"}}, "list": ["{n}", 1]}
    assert numbered(tree, 7) == {
        "metadata": {"name": "job-7", "labels": {"of-7": "x"}},
        "list": ["7", 1],
    }


def test_targets() -> None:
    for text in ("deployment/web", "deploy/default/web", "deployments/web"):
        resource, namespace, name = target(text)
        assert (resource.kind, namespace, name) == ("Deployment", "default", "web")
    resource, namespace, name = target("node/n-0")
    assert (resource.kind, namespace, name) == ("Node", "", "n-0")
