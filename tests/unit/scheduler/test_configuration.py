"""Schedulers from a file: what can be chosen, and what is refused by which field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.core import Pod
from api.selectors import from_labels
from base.settings import SettingsError
from control.scheduler.configuration import API_VERSION, KIND, parse, read
from control.scheduler.decide import decide
from control.scheduler.preemption import preempt
from control.scheduler.profile import Configuration, Profile
from control.scheduler.request import request_of
from control.scheduler.rules import Filter
from control.scheduler.scores import SCORES
from control.scheduler.snapshot import Snapshot
from control.scheduler.terms import siblings_of
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


def spread(args: str) -> str:
    return f"profiles: [{{pluginConfig: [{{name: PodTopologySpread, args: {{{args}}}}}]}}]"


def only(text: str) -> Profile:
    (profile,) = parsed(text).profiles.values()
    return profile


def weights(profile: Profile) -> dict[str, float]:
    return {name: weight for name, weight, _ in profile.scores}


def chosen(profile: Profile, wanted: Pod, *nodes: Any, placed: str = "") -> str | None:
    """The first of the best nodes; `placed` has a pod of half a node already."""
    snapshot = Snapshot()
    for each in nodes:
        snapshot.set_node(each)
    if placed:
        snapshot.add_pod(request_of(pod("there", cpu="2", memory="4Gi")), placed)
    return decide(request_of(wanted, profile.rules), snapshot, lambda rows: rows[0], profile).node


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


LEFT_OUT = [
    ("filter: {disabled: [{name: NodeResourcesFit}]}", {Filter.NODE_RESOURCES_FIT}),
    ("multiPoint: {disabled: [{name: TaintToleration}]}", {Filter.TAINT_TOLERATION}),
    ("preFilter: {disabled: [{name: NodePorts}]}, filter: {disabled: [{name: NodePorts}]}",
     {Filter.NODE_PORTS}),
    ("multiPoint: {disabled: [{name: '*'}], enabled: [{name: NodeName}]}",
     {*Filter} - {Filter.NODE_NAME}),
    ("filter: {disabled: [{name: '*'}], enabled: [{name: NodePorts}, {name: NodeName}]}",
     {*Filter} - {Filter.NODE_NAME, Filter.NODE_PORTS}),
    ("multiPoint: {disabled: [{name: NodePorts}]}, filter: {enabled: [{name: NodePorts}]}", set()),
    ("queueSort: {enabled: [{name: PrioritySort}]}, bind: {enabled: [{name: DefaultBinder}]}", set()),
]  # fmt: skip


@pytest.mark.parametrize(("plugins", "expected"), LEFT_OUT)
def test_filters_that_are_left_out(plugins: str, expected: set[Filter]) -> None:
    assert only(f"profiles: [{{plugins: {{{plugins}}}}}]").rules.skips == expected


def test_left_out_everywhere_is_left_out_of_the_scores_too() -> None:
    profile = only("profiles: [{plugins: {multiPoint: {disabled: [{name: InterPodAffinity}]}}}]")
    assert "InterPodAffinity" not in weights(profile) and profile.preempts
    profile = only("profiles: [{plugins: {multiPoint: {disabled: [{name: '*'}]}}}]")
    assert not profile.scores and not profile.preempts
    text = (
        "multiPoint: {disabled: [{name: '*'}]}, postFilter: {enabled: [{name: DefaultPreemption}]}"
    )
    assert only(f"profiles: [{{plugins: {{{text}}}}}]").preempts


def test_what_a_filter_would_refuse_is_taken_without_it() -> None:
    tainted = node("a", taints=[{"key": "k", "effect": "NoSchedule"}])
    for text, wanted, there in (
        ("NodeResourcesFit", pod("p", cpu="9"), node("a")),
        ("TaintToleration", pod("p"), tainted),
        ("NodeUnschedulable", pod("p"), node("a", unschedulable=True)),
        ("NodeAffinity", pod("p", nodeSelector={"no": "where"}), node("a")),
    ):
        without = only(f"profiles: [{{plugins: {{filter: {{disabled: [{{name: {text}}}]}}}}}}]")
        assert chosen(Profile(), wanted, there) is None
        assert chosen(without, wanted, there) == "a"


def test_preemption_looks_for_no_more_than_the_filters_do() -> None:
    """Without the filter for ports nobody has to go for them."""
    without = only("profiles: [{plugins: {filter: {disabled: [{name: NodePorts}]}}}]")
    snapshot = Snapshot()
    snapshot.set_node(node("a", cpu="2"))
    for name, more in (("web", {"host_ports": (80,)}), ("large", {"cpu": "2"})):
        snapshot.add_pod(request_of(pod(name, **more)), "a")  # type: ignore[arg-type]
    request = request_of(pod("p", cpu="1", host_ports=(80,), priority=5), without.rules)
    decision = decide(request, snapshot, min, without)
    choice = preempt(request, snapshot, decision, (), lambda one: "").choice
    assert choice is not None and [one.name for one in choice.victims] == ["large"]


def test_resources_that_need_not_be_there() -> None:
    wanted = pod("p", cpu="1")
    wanted.spec.containers[0].resources.requests |= {"example.com/gpu": "1", "other.org/x": "1"}
    args = "{ignoredResources: [example.com/gpu], ignoredResourceGroups: [other.org]}"
    text = f"profiles: [{{pluginConfig: [{{name: NodeResourcesFit, args: {args}}}]}}]"
    assert chosen(only(text), wanted, node("a")) == "a"
    assert chosen(only(text), wanted, node("a", cpu="500m")) is None
    assert chosen(Profile(), wanted, node("a")) is None


def test_affinity_that_is_added_to_every_pod() -> None:
    added = """
profiles:
- pluginConfig:
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
          - matchExpressions: [{key: pool, operator: In, values: [mine]}]
        preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 9, preference: {matchExpressions: [{key: disk, operator: Exists}]}}
"""
    profile, mine = only(added), {"pool": "mine"}
    nodes = [node("a"), node("b", labels=mine), node("c", labels={**mine, "disk": "ssd"})]
    assert chosen(profile, pod("p"), *nodes) == "c"
    assert chosen(profile, pod("p"), *nodes[:2]) == "b"
    snapshot = Snapshot()
    snapshot.set_node(nodes[0])
    refused = decide(request_of(pod("p"), profile.rules), snapshot, min, profile)
    assert refused.message == (
        "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity."
    )
    snapshot.set_node(node("a", labels=mine))
    assert decide(request_of(pod("p"), profile.rules), snapshot, min, profile).node == "a"


def test_constraints_for_pods_without_any() -> None:
    """Whom they count is told by the services and the controller of each pod."""
    constraint = "{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}"
    profile = only(spread(f"defaultingType: List, defaultConstraints: [{constraint}]"))
    assert "SelectorSpread" not in weights(profile)
    assert "SelectorSpread" not in weights(only(spread("defaultingType: List")))
    assert "SelectorSpread" in weights(only(spread("defaultingType: System")))
    snapshot = Snapshot()
    for name in ("a", "b"):
        snapshot.set_node(node(name, cpu="1" if name == "b" else "4", labels={"zone": name}))
    web = {"app": "web"}
    snapshot.add_pod(request_of(pod("there", labels=web)), "a")
    wanted = pod("p", labels=web, cpu="2")
    like = siblings_of(wanted, from_labels(web))
    refused = decide(request_of(wanted, profile.rules, like), snapshot, min, profile)
    assert refused.refused["a"] == ("node(s) didn't match pod topology spread constraints",)
    assert decide(request_of(wanted, profile.rules), snapshot, min, profile).node == "a"
    own = [{"maxSkew": 5, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    wanted = pod("p", labels=web, cpu="2", topologySpreadConstraints=own)
    assert decide(request_of(wanted, profile.rules, like), snapshot, min, profile).node == "a"


def test_how_many_nodes_preemption_thinks_through_and_how_long_claims_may_take() -> None:
    args = "{minCandidateNodesPercentage: 50, minCandidateNodesAbsolute: 3}"
    profile = only(
        f"profiles: [{{pluginConfig: [{{name: DefaultPreemption, args: {args}}},"
        " {name: VolumeBinding, args: {bindTimeoutSeconds: 5}}]}]"
    )
    assert [profile.tries(number) for number in (2, 100)] == [3, 50]
    assert [Profile().tries(number) for number in (2, 5000)] == [100, 500]
    assert (profile.bind_seconds, Profile().bind_seconds) == (5, 600)


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
    ("profiles: [{plugins: {filters: {disabled: [{name: NodeName}]}}}]",
     "profiles[0].plugins.filters: Forbidden: there is no such point; there are multiPoint, filter, "
     "score, postFilter, preFilter, preScore, reserve, preBind, preEnqueue, queueSort, permit, bind, "
     "postBind"),
    ("profiles: [{plugins: {multiPoint: {disabled: [{name: PrioritySort}]}}}]",
     "profiles[0].plugins.multiPoint.disabled[0].name: Forbidden: it cannot be left out here"),
    ("profiles: [{plugins: {bind: {disabled: [{name: NodeName}]}}}]",
     "profiles[0].plugins.bind.disabled[0].name: Forbidden: it cannot be left out here"),
    ("profiles: [{plugins: {preFilter: {disabled: [{name: NodePorts}]}}}]",
     "profiles[0].plugins.preFilter.disabled[0].name: Forbidden: it can be left out at filter or "
     "multiPoint only"),
    ("profiles: [{plugins: {postFilter: {enabled: [{name: Mine}]}}}]",
     'profiles[0].plugins.postFilter.enabled[0].name: Unsupported value: "Mine": supported values: '
     '"DefaultPreemption"'),
    ("profiles: [{plugins: {score: {enabled: [{name: NodeAffinity, weight: -1}]}}}]",
     "profiles[0].plugins.score.enabled[0].weight: Invalid value: -1: must not be negative"),
    ("profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {"
     "requiredDuringSchedulingIgnoredDuringExecution: {}, "
     "preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {}}]}}}]}]",
     "profiles[0].pluginConfig[0].args.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution"
     ".nodeSelectorTerms: Required value: must have at least one node selector term\n"
     "profiles[0].pluginConfig[0].args.addedAffinity.preferredDuringSchedulingIgnoredDuringExecution"
     "[0].weight: Invalid value: 0: must be in the range 1-100"),
    ("profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {podAffinity: {}}}}]}]",
     'profiles[0].pluginConfig[0].args.addedAffinity: strict decoding error: unknown field "podAffinity"'),
    (spread("defaultingType: List, defaultConstraints: [{maxSkew: 0, topologyKey: '', "
            "whenUnsatisfiable: Never, labelSelector: {}}]"),
     "profiles[0].pluginConfig[0].args.defaultConstraints[0].maxSkew: Invalid value: 0: must be "
     "greater than zero\n"
     "profiles[0].pluginConfig[0].args.defaultConstraints[0].topologyKey: Required value: can not be "
     "empty\n"
     "profiles[0].pluginConfig[0].args.defaultConstraints[0].whenUnsatisfiable: Unsupported value: "
     '"Never": supported values: "DoNotSchedule", "ScheduleAnyway"\n'
     "profiles[0].pluginConfig[0].args.defaultConstraints[0].labelSelector: Forbidden: constraint "
     "must not define a selector, as they deduced for each pod"),
    (spread("defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]"),
     'profiles[0].pluginConfig[0].args.defaultingType: Invalid value: "System": when '
     ".defaultConstraints are not empty"),
    (spread("defaultingType: None"),
     'profiles[0].pluginConfig[0].args.defaultingType: Unsupported value: "None": supported values: '
     '"System", "List"'),
    ("profiles: [{pluginConfig: [{name: DefaultPreemption, args: {minCandidateNodesPercentage: 0, "
     "minCandidateNodesAbsolute: 0}}]}]",
     "profiles[0].pluginConfig[0].args.minCandidateNodesAbsolute: Invalid value: 0: cannot be zero at "
     "the same time as minCandidateNodesPercentage"),
    ("profiles: [{pluginConfig: [{name: VolumeBinding, args: {bindTimeoutSeconds: -1}}]}]",
     "profiles[0].pluginConfig[0].args.bindTimeoutSeconds: Invalid value: -1: invalid "
     "BindTimeoutSeconds, should not be a negative value"),
    ("profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {ignoredResourceGroups: [a/b]}}]}]",
     'profiles[0].pluginConfig[0].args.ignoredResourceGroups[0]: Invalid value: "a/b": resource group '
     "name can't contain '/'"),
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
