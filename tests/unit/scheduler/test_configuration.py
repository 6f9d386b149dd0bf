"""Schedulers from a file: what can be chosen, and what is refused by which field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.core import Pod
from base.settings import SettingsError
from control.scheduler.configuration import API_VERSION, KIND, parse, read
from control.scheduler.decide import decide
from control.scheduler.profile import Configuration, Profile
from control.scheduler.request import request_of
from control.scheduler.scores import SCORES
from control.scheduler.snapshot import Snapshot
from tests.unit.scheduler.making import node, pod

DOCUMENT = Path(__file__).parents[3] / "docs" / "scheduling.md"
HEAD = f"apiVersion: {API_VERSION}\nkind: {KIND}\n"


def parsed(text: str) -> Configuration:
    return parse((HEAD + text).encode())


def fit(strategy: str) -> str:
    return (
        "profiles:\n- pluginConfig:\n  - name: NodeResourcesFit\n"
        f"    args: {{scoringStrategy: {strategy}}}\n"
    )


def weights(profile: Profile) -> dict[str, float]:
    return {name: weight for name, weight, _ in profile.scores}


def chosen(profile: Profile, wanted: Pod, *nodes: Any, placed: str = "") -> str | None:
    """The first of the best nodes; `placed` has a pod of half a node already."""
    snapshot = Snapshot()
    for each in nodes:
        snapshot.set_node(each)
    if placed:
        snapshot.add_pod(request_of(pod("there", cpu="2", memory="4Gi")), placed)
    return decide(request_of(wanted), snapshot, lambda rows: rows[0], profile).node


def test_an_empty_file_changes_nothing() -> None:
    made = parsed("")
    assert list(made.profiles) == ["default-scheduler"]
    assert made.profiles["default-scheduler"].scores == SCORES
    assert (made.first_backoff, made.longest_backoff) == (1, 10)


def test_the_example_of_the_documentation() -> None:
    (text,) = re.findall(r"```yaml\n(apiVersion: kubescheduler.*?)```", DOCUMENT.read_text(), re.S)
    made = parse(text.encode())
    assert list(made.profiles) == ["default-scheduler", "packing", "graphics"]
    packing = made.profiles["packing"]
    nodes = node("a"), node("b")
    assert chosen(made.profiles["default-scheduler"], pod("p", cpu="1"), *nodes, placed="a") == "b"
    assert chosen(packing, pod("p", cpu="1"), *nodes, placed="a") == "a"
    assert "NodeResourcesBalancedAllocation" not in weights(packing)
    assert (packing.preempts, packing.percentage) == (False, 30)
    assert (made.first_backoff, made.longest_backoff) == (2, 20)


def test_weights_and_what_is_left_out() -> None:
    made = parsed(
        """
profiles:
- plugins:
    multiPoint: {enabled: [{name: TaintToleration, weight: 7}]}
    score:
      disabled: [{name: SelectorSpread}]
      enabled: [{name: NodeAffinity, weight: 5}]
"""
    )
    found = weights(made.profiles["default-scheduler"])
    assert (found["TaintToleration"], found["NodeAffinity"]) == (7, 5)
    assert "SelectorSpread" not in found
    assert len(found) == len(SCORES) - 1


def test_nothing_but_what_is_named() -> None:
    text = (
        "profiles: [{plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeAffinity}]}}}]"
    )
    assert weights(parsed(text).profiles["default-scheduler"]) == {"NodeAffinity": 1}


def test_no_score_at_all_is_left_to_chance() -> None:
    made = parsed("profiles: [{plugins: {score: {disabled: [{name: '*'}]}}}]")
    profile = made.profiles["default-scheduler"]
    snapshot = Snapshot()
    for name in "abc":
        snapshot.set_node(node(name))
    offered: list[int] = []

    def choose(rows: Any) -> int:
        offered.extend(rows)
        return int(rows[-1])

    assert decide(request_of(pod("p")), snapshot, choose, profile).node == "c"
    assert offered == [0, 1, 2]


def test_resources_and_their_weights_decide() -> None:
    """`a` has much CPU left, `b` much memory."""
    nodes = node("a", cpu="9", memory="2Gi"), node("b", cpu="2", memory="9Gi")
    for strategy, expected in (
        ("{resources: [{name: cpu, weight: 9}, {name: memory, weight: 1}]}", "a"),
        ("{resources: [{name: cpu, weight: 1}, {name: memory, weight: 9}]}", "b"),
        ("{type: MostAllocated, resources: [{name: cpu, weight: 9}, {name: memory}]}", "b"),
    ):
        profile = parsed(fit(strategy)).profiles["default-scheduler"]
        only = Profile(scores=tuple(one for one in profile.scores if one[0] == "NodeResourcesFit"))
        assert chosen(only, pod("p", cpu="1", memory="1Gi"), *nodes) == expected


def test_a_shape_packs_until_it_spreads() -> None:
    """The documentation's bin packing, up to half of a node."""
    shape = (
        "[{utilization: 0, score: 0}, {utilization: 50, score: 10}, {utilization: 100, score: 0}]"
    )
    text = fit(f"{{type: RequestedToCapacityRatio, requestedToCapacityRatio: {{shape: {shape}}}}}")
    profile = parsed(text).profiles["default-scheduler"]
    only = Profile(scores=tuple(one for one in profile.scores if one[0] == "NodeResourcesFit"))
    nodes = node("a"), node("b")
    assert chosen(only, pod("p", cpu="1", memory="2Gi"), *nodes, placed="b") == "a"
    assert chosen(only, pod("p", cpu="2", memory="4Gi"), *nodes, placed="b") == "a"
    assert chosen(only, pod("p", cpu="100m", memory="100Mi"), *nodes, placed="b") == "b"


def test_some_of_many_nodes_are_enough() -> None:
    profile = parsed("percentageOfNodesToScore: 20").profiles["default-scheduler"]
    snapshot = Snapshot()
    for number in range(1000):
        snapshot.set_node(node(f"n{number}", cpu="8" if number == 999 else "4"))
    first: list[int] = []

    def choose(rows: Any) -> int:
        first.append(len(rows))
        return int(rows[-1])

    decision = decide(request_of(pod("p", cpu="1")), snapshot, choose, profile)
    assert decision.node == "n999", "the search begins anywhere, and goes round"
    assert (first[0], len(decision.rows)) == (1000, 200)
    assert profile.enough(400) == 100
    assert parsed("").profiles["default-scheduler"].enough(5000) == 5000


BAD = [
    ("profiles: {}", "profiles: Expected `array`, got `object`"),
    ("percentageOfNodes: 3", 'unknown field "percentageOfNodes"'),
    ("profiles: [{weight: 3}]", 'unknown field "profiles[0].weight"'),
    ("percentageOfNodesToScore: 101",
     "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
    ("profiles: [{percentageOfNodesToScore: -1}]",
     "profiles[0].percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]"),
    ("podInitialBackoffSeconds: 0",
     "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
    ("podInitialBackoffSeconds: 20",
     "podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to "
     "PodInitialBackoffSeconds"),
    ("profiles: [{schedulerName: a}, {}]", "profiles[1].schedulerName: Required value"),
    ("profiles: [{schedulerName: a}, {schedulerName: a}]",
     'profiles[1].schedulerName: Duplicate value: "a"'),
    ("extenders: [{urlPrefix: 'http://x'}]", "extenders: Forbidden: this scheduler calls none"),
    ("profiles: [{plugins: {filter: {disabled: [{name: NodeName}]}}}]",
     "profiles[0].plugins.filter: Forbidden: plugins can be chosen at multiPoint, score, "
     "postFilter only"),
    ("profiles: [{plugins: {multiPoint: {disabled: [{name: NodeName}]}}}]",
     "profiles[0].plugins.multiPoint.disabled[0].name: Forbidden: only what scores alone can be "
     "left out here, the rest at plugins.score"),
    ("profiles: [{plugins: {postFilter: {enabled: [{name: Mine}]}}}]",
     'profiles[0].plugins.postFilter.enabled[0].name: Unsupported value: "Mine": supported values: '
     '"DefaultPreemption"'),
    ("profiles: [{plugins: {score: {enabled: [{name: NodeAffinity, weight: -1}]}}}]",
     "profiles[0].plugins.score.enabled[0].weight: Invalid value: -1: must not be negative"),
    ("profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {}}}]}]",
     "profiles[0].pluginConfig[0].args.addedAffinity: Forbidden: it cannot be chosen here"),
    ("profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]",
     "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 101: not in valid "
     "range [0-100]"),
    ("profiles: [{pluginConfig: [{name: InterPodAffinity, args: {weight: 101}}]}]",
     'unknown field "profiles[0].pluginConfig[0].args.weight"'),
    ("profiles: [{pluginConfig: [{name: NodeAffinity}, {name: NodeAffinity}]}]",
     'profiles[0].pluginConfig[1]: Duplicate value: "NodeAffinity"'),
    (fit("{resources: [{name: cpu, weight: 101}]}"),
     "profiles[0].pluginConfig[0].args.scoringStrategy.resources[0].weight: Invalid value: 101: "
     "resource weight of cpu not in valid range [1, 100]"),
    (fit("{type: RequestedToCapacityRatio}"),
     "profiles[0].pluginConfig[0].args.scoringStrategy.requestedToCapacityRatio.shape: Required "
     "value: at least one point must be specified"),
    (fit("{type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: "
         "[{utilization: 50, score: 11}, {utilization: 50, score: 1}]}}"),
     "profiles[0].pluginConfig[0].args.scoringStrategy.requestedToCapacityRatio.shape[0].score: "
     "Invalid value: 11: not in valid range [0-10]\n"
     "profiles[0].pluginConfig[0].args.scoringStrategy.requestedToCapacityRatio.shape[1]"
     ".utilization: Invalid value: 50: utilization values must be sorted in increasing order"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        parsed(text)
    assert str(caught.value) == words


def test_unknown_names_are_told_with_those_there_are() -> None:
    for text in (
        "profiles: [{plugins: {score: {disabled: [{name: Nope}]}}}]",
        fit("{type: Fullest}"),
        "profiles: [{pluginConfig: [{name: Nope}]}]",
    ):
        with pytest.raises(ValueError, match='Unsupported value: ".*": supported values: ".*'):
            parsed(text)


def test_another_kind_of_file(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text("apiVersion: v1\nkind: Pod\n")
    with pytest.raises(SettingsError) as caught:
        read(file)
    assert caught.value.message.startswith(
        f'{file}: apiVersion: Unsupported value: "v1": supported values: "{API_VERSION}"\nkind:'
    )
    file.write_text("a: [")
    with pytest.raises(SettingsError, match="scheduler.yaml: "):
        read(file)
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read(tmp_path / "none.yaml")
