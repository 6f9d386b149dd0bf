"""CPUs of one's own: sets and topology, the static policy, its file, and everybody else's retreat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.containers.errors import EngineUnavailable
from agent.containers.records import ContainerId
from agent.node.pinning import LOOK, Pinning
from agent.resources import cpumanager, cpusets
from agent.resources.cpumanager import CpuManager, NotEnoughCpus, StaticCpus, whole_cpus
from agent.resources.cpusets import Cpu, Topology
from agent.settings import load
from api import conditions
from api.core import Container, Pod, ResourceRequirements
from base.errors import PermanentError
from base.settings import SettingsError
from tests.unit.agent.builders import container, guaranteed, make_pod, named
from tests.unit.agent.node import Node

SETS = [("", []), ("0", [0]), ("0-2,7", [0, 1, 2, 7]), ("3,1", [1, 3]), ("0-1,1-2\n", [0, 1, 2])]


@pytest.mark.parametrize(("text", "cpus"), SETS)
def test_lists(text: str, cpus: list[int]) -> None:
    assert sorted(cpusets.parse(text)) == cpus


@pytest.mark.parametrize("text", ["x", "3-1", "-1", "1-", "1-2-3"])
def test_lists_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        cpusets.parse(text)


@given(st.frozensets(st.integers(0, 200)))
def test_a_list_means_what_it_was_written_from(cpus: frozenset[int]) -> None:
    assert cpusets.parse(cpusets.written(cpus)) == cpus


def machine(sockets: int, cores: int, threads: int) -> Topology:
    """Numbered as usual: first one thread of every core, then the others."""
    total = sockets * cores
    return tuple(
        Cpu(id=thread * total + core, core=core, socket=core // cores)
        for thread in range(threads)
        for core in range(total)
    )


LARGE = machine(2, 4, 2)
"""Cores 0–3 on socket 0, 4–7 on socket 1; CPU n + 8 is the other thread of core n."""

CHOICES = [
    # free, wanted, chosen
    (range(16), 8, [0, 1, 2, 3, 8, 9, 10, 11]),  # a whole socket
    (range(16), 2, [0, 8]),  # a whole core
    (range(16), 1, [0]),
    (range(16), 3, [0, 1, 8]),
    (set(range(16)) - {8}, 1, [0]),  # the core that is broken into already
    (set(range(16)) - {0}, 2, [1, 9]),  # not two halves
    (
        set(range(16)) - {0, 8},
        4,
        [1, 2, 9, 10],
    ),  # where there is less, so that a socket stays whole
    ({0, 1, 2}, 2, [0, 1]),
    (range(16), 16, list(range(16))),
    (range(16), 0, []),
]


@pytest.mark.parametrize(("free", "count", "chosen"), CHOICES)
def test_what_is_chosen(free: Iterable[int], count: int, chosen: list[int]) -> None:
    assert sorted(cpusets.take(LARGE, frozenset(free), count)) == chosen


def test_more_than_there_are() -> None:
    with pytest.raises(ValueError):
        cpusets.take(LARGE, frozenset({1}), 2)


@given(
    free=st.frozensets(st.integers(0, 15)), count=st.integers(0, 16), shape=st.sampled_from([1, 2])
)
def test_as_many_as_wanted_and_only_free_ones(free: frozenset[int], count: int, shape: int) -> None:
    topology = machine(shape, 8 // shape, 2)
    if count <= len(free):
        chosen = cpusets.take(topology, free, count)
        assert len(chosen) == count and chosen <= free


def test_the_topology_is_read(tmp_path: Path) -> None:
    (tmp_path / "online").write_text("0-2\n")
    for cpu, core, socket in ((0, 0, 0), (1, 0, 1)):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "core_id").write_text(f"{core}\n")
        (folder / "physical_package_id").write_text(f"{socket}\n")
    one, two, three = cpusets.read(tmp_path)
    assert (one.socket, two.socket) == (0, 1)
    assert len({one.core, two.core, three.core}) == 3
    assert [cpu.id for cpu in cpusets.read()] == sorted(cpu.id for cpu in cpusets.read())


def asks(cpu: str, name: str = "web", **fields: Any) -> Container:
    return guaranteed(cpu, "10Mi", name, **fields)


TWO = {"cpu": "2", "memory": "1Gi"}
WHOLE = [
    (named("a", asks("2")), 2),
    (named("a", asks("2000m")), 2),
    (named("a", asks("1500m")), 0),
    (named("a", asks("500m")), 0),
    (named("a", container(resources=ResourceRequirements(requests={"cpu": "2"}))), 0),
    (named("a", container()), 0),
    (named("a", asks("2"), resources=ResourceRequirements(limits=TWO, requests=TWO)), 0),
]


@pytest.mark.parametrize(("pod", "count"), WHOLE)
def test_who_gets_cpus_of_its_own(pod: Pod, count: int) -> None:
    assert whole_cpus(pod, pod.spec.containers[0]) == count


def static(
    directory: Path, reserved: str = "0", shape: Topology = LARGE, options: Sequence[str] = ()
) -> StaticCpus:
    return StaticCpus(shape, cpusets.parse(reserved), directory, options=options)


def test_given_and_taken_back(tmp_path: Path) -> None:
    cpus = static(tmp_path)
    changes: list[str] = []
    cpus.on_change = lambda: changes.append(cpusets.written(cpus.shared))
    cpus.admit(named("a", asks("2"), asks("500m", "small")))
    assert cpus.of("a", "web") == "1,9"
    assert cpus.of("a", "small") == cpus.of("other", "x") == "0,2-8,10-15"
    cpus.admit(named("a", asks("2")))
    assert cpus.of("a", "web") == "1,9", "asked twice, given once"
    cpus.admit(named("shares", asks("1500m")))
    cpus.release("shares")
    cpus.release("a")
    assert cpus.of("a", "web") == "0-15"
    assert changes == ["0,2-8,10-15", "0-15"]


def test_reserved_cpus_are_shared_and_never_given_away(tmp_path: Path) -> None:
    cpus = static(tmp_path, "0-1", machine(1, 2, 2))
    with pytest.raises(NotEnoughCpus) as refused:
        cpus.admit(named("a", asks("3")))
    assert refused.value.message == (
        "Allocate failed due to not enough cpus available to satisfy request: "
        "requested=3, available=2, which is unexpected"
    )
    assert cpus.of("a", "web") == "0-3", "a refusal leaves nothing behind"
    cpus.admit(named("b", asks("2")))
    assert (cpus.of("b", "web"), cpus.of("c", "x")) == ("2-3", "0-1")


def test_whole_cores_only(tmp_path: Path) -> None:
    cpus = static(tmp_path, "0", machine(1, 3, 2), options=["full-pcpus-only"])
    with pytest.raises(NotEnoughCpus) as refused:
        cpus.admit(named("a", asks("3")))
    assert (refused.value.reason, refused.value.message) == (
        "SMTAlignmentError",
        "SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2",
    )
    with pytest.raises(NotEnoughCpus) as refused:
        cpus.admit(named("a", asks("6")))
    assert refused.value.message == (
        "SMT Alignment Error: not enough free physical CPUs: available physical CPUs = 4, "
        "requested CPUs = 6, CPUs per core = 2"
    )
    cpus.admit(named("shares", asks("1500m")))
    cpus.admit(named("a", asks("4")))
    assert cpus.of("a", "web") == "1-2,4-5", "the reserved CPU's core stays whole"


def test_reserved_cpus_may_be_the_systems_alone(tmp_path: Path) -> None:
    cpus = static(tmp_path, "0-1", machine(1, 4, 1), options=["strict-cpu-reservation"])
    assert cpus.of("any", "web") == "2-3"
    cpus.admit(named("a", asks("1")))
    assert (cpus.of("a", "web"), cpus.of("any", "web")) == ("2", "3")
    assert json.loads((tmp_path / cpumanager.FILE).read_text())["defaultCpuSet"] == "3"
    cpus.admit(named("b", asks("1")))
    assert (cpus.of("b", "web"), cpus.of("any", "web")) == ("3", "0-1"), "never on somebody's own"


def test_what_an_init_container_had_passes_on(tmp_path: Path) -> None:
    cpus = static(tmp_path, "0", machine(1, 4, 1))
    once, beside = asks("2", "once"), asks("1", "beside", restart_policy="Always")
    cpus.admit(named("a", asks("1"), asks("1", "two"), inits=[once, beside]))
    sets = {name: cpusets.parse(cpus.of("a", name)) for name in ("once", "beside", "web", "two")}
    assert sets["beside"] <= sets["once"]
    running = [sets["beside"], sets["web"], sets["two"]]
    assert len(frozenset().union(*running)) == 3, "who runs side by side shares nothing"
    assert cpusets.written(cpus.shared) == "0"


def test_the_file_survives_the_agent(tmp_path: Path) -> None:
    first = static(tmp_path)
    first.admit(named("a", asks("2")))
    state = json.loads((tmp_path / cpumanager.FILE).read_text())
    assert state == {
        "policyName": "static",
        "defaultCpuSet": "0,2-8,10-15",
        "entries": {"a": {"web": "1,9"}},
    }
    again = static(tmp_path)
    assert again.of("a", "web") == "1,9"
    again.admit(named("b", asks("2")))
    assert again.of("b", "web") == "2,10"
    again.keep({"b"})
    assert again.of("a", "web") == again.of("x", "y") == "0-1,3-9,11-15"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"policyName": "static", "defaultCpuSet": "", "entries": {"a": {"web": "x"}}}',
        '{"policyName": "other", "defaultCpuSet": "", "entries": {"a": {"web": "1"}}}',
        '{"policyName": "static", "defaultCpuSet": "", "entries": {"a": {"web": "99"}}}',
        '{"policyName": "static", "defaultCpuSet": "", "entries": {"a": {"web": "0"}}}',
    ],
)
def test_a_file_that_does_not_fit_the_machine_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / cpumanager.FILE).write_text(text)
    assert cpusets.written(static(tmp_path).shared) == "0-15"


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.lists(st.integers(1, 4), min_size=1, max_size=3)),
        max_size=12,
    )
)
def test_nobody_ever_shares(steps: Sequence[tuple[str, list[int]]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        cpus = static(Path(directory))
        there: dict[str, int] = {}
        for uid, counts in steps:
            if uid in there:
                cpus.release(uid)
                del there[uid]
                continue
            pod = named(uid, *(asks(str(n), f"c{i}") for i, n in enumerate(counts)))
            try:
                cpus.admit(pod)
            except NotEnoughCpus:
                continue
            there[uid] = len(counts)
            owned = [
                cpusets.parse(cpus.of(one, f"c{i}")) for one, n in there.items() for i in range(n)
            ]
            assert sum(map(len, owned)) == len(frozenset().union(*owned))
            assert not cpus.shared & frozenset().union(*owned) and 0 in cpus.shared


def made(policy: str, directory: Path, reserved: str = "", milli: int = 0) -> CpuManager:
    return cpumanager.make(
        policy, directory, reserved=reserved, reserved_milli=milli, topology=machine(1, 2, 2)
    )


def test_settings(tmp_path: Path) -> None:
    static(tmp_path).admit(named("a", asks("2")))
    assert made("none", tmp_path).of("a", "web") == ""
    assert not (tmp_path / cpumanager.FILE).exists(), "another policy forgets"
    assert made("static", tmp_path, reserved="0-1").statistics()["reserved_cpus"] == 2
    assert made("static", tmp_path, milli=1200).statistics()["reserved_cpus"] == 2
    for reserved, milli in (("", 0), ("0-3", 0), ("7", 0), ("", 9000)):
        with pytest.raises(PermanentError):
            made("static", tmp_path, reserved, milli)
    found = load(["--reserved-cpus=1,0", "--system-reserved=cpu=500m"], {})
    assert (found.reserved_cpus, found.reserved()["cpu"]) == ("0-1", "2")
    for wrong in ("--reserved-cpus=x", "--cpu-manager-policy-options=align-by-moon=true"):
        with pytest.raises(SettingsError):
            load([wrong], {})
    options = ["full-pcpus-only=true", "strict-cpu-reservation=false"]
    found = load([f"--cpu-manager-policy-options={one}" for one in options], {})
    assert found.cpu_options() == {"full-pcpus-only"}
    with pytest.raises(PermanentError, match="option of the policy static"):
        cpumanager.make(
            "none",
            tmp_path,
            reserved="",
            reserved_milli=0,
            topology=LARGE,
            options=found.cpu_options(),
        )


# With an agent.


async def pinned(directory: Path, shape: Topology = LARGE) -> Node:
    node = Node(directory)
    node.allocatable = {"cpu": "32", "memory": "4Gi"}
    node.cpus = static(directory, "0", shape)
    await node.boot()
    node.guard.start(Pinning(node.manager, node.cpus).run(), name="pinning")
    return node


def cpus_of(node: Node, pod: str) -> str:
    return next(
        record.cpus
        for record in node.containers("web")
        if record.running and f"_{pod}_" in record.name
    )


async def test_others_leave_and_come_back(tmp_path: Path) -> None:
    node = await pinned(tmp_path)
    node.api.put(named("others", container()))
    await node.run(1)
    assert cpus_of(node, "others") == "0-15"
    node.api.put(named("own", asks("2")))
    await node.run(1)
    assert (cpus_of(node, "own"), cpus_of(node, "others")) == ("1,9", "0,2-8,10-15")
    node.runtime.end(next(r.id for r in node.containers("web") if "_own_" in r.name), exit_code=1)
    await node.run(1)
    assert cpus_of(node, "own") == "1,9", "a restart keeps them"
    assert [name.split("_")[2] for what, name in node.runtime.calls if what == "pin"] == ["others"]
    await node.api.delete(Pod, "own", "ns", grace_period_seconds=1)
    await node.run(5)
    assert cpus_of(node, "others") == "0-15"
    await node.kill()


async def test_an_agent_that_is_started_anew_takes_nothing_away(tmp_path: Path) -> None:
    node = await pinned(tmp_path)
    node.api.put(named("own", asks("2")))
    node.api.put(named("others", container()))
    await node.run(1)
    before = cpus_of(node, "own"), cpus_of(node, "others")
    calls = len(node.runtime.calls)
    await node.kill()
    node.cpus = static(tmp_path)
    await node.boot()
    node.guard.start(Pinning(node.manager, node.cpus).run(), name="pinning")
    await node.run(2 * LOOK)
    assert (cpus_of(node, "own"), cpus_of(node, "others")) == before
    assert len(node.runtime.calls) == calls, "nothing had to be done"
    await node.kill()


async def test_a_pod_that_finds_none_is_rejected(tmp_path: Path) -> None:
    node = await pinned(tmp_path, machine(1, 2, 1))
    node.api.put(named("large", asks("2")))
    await node.run(1)
    status = node.api.pod("large").status
    assert (status.phase, status.reason) == ("Failed", "UnexpectedAdmissionError")
    assert status.message.startswith("Pod was rejected: Allocate failed due to not enough cpus")
    await node.kill()


async def test_no_quota_bounds_who_has_cpus_of_its_own(tmp_path: Path) -> None:
    """Its set does; a quota would throttle it for what its threads do at once."""
    node = await pinned(tmp_path)
    node.api.put(named("own", asks("2")))
    node.api.put(named("part", asks("1500m")))
    await node.run(1)
    specs = [spec for spec in node.runtime.specs.values() if spec.name.startswith("k8s_web_")]
    quotas = {spec.name.split("_")[2]: spec.cpu_quota for spec in specs}
    assert (quotas["own"], quotas["part"]) == (0, 150_000)
    cgroups = node.manager.agent.cgroups
    for uid, quota in (("own", "-1"), ("part", "150000")):
        folder = cgroups.directory(uid, "Guaranteed", "cpu")
        assert (folder / "cpu.cfs_quota_us").read_text() == quota
    await node.run(30)
    assert "update" not in [what for what, _ in node.runtime.calls], "that is how it shall be"
    node.api.put(named("own", asks("3")))
    await node.run(5)
    pending = conditions.find(node.api.pod("own").status.conditions, "PodResizePending")
    assert pending is not None
    assert (pending.reason, pending.message) == (
        "Infeasible",
        "Resize is infeasible for Guaranteed Pods alongside CPU Manager static policy",
    )
    assert cpus_of(node, "own") == "1,9"
    await node.kill()


async def test_a_finished_pod_gives_them_back(tmp_path: Path) -> None:
    node = await pinned(tmp_path)
    node.api.put(named("own", asks("2"), policy="Never"))
    await node.run(1)
    node.runtime.end(node.containers("web")[0].id)
    await node.run(2)
    assert node.api.pod("own").status.phase == "Succeeded"
    assert cpusets.written(node.cpus.shared) == "0-15"  # type: ignore[attr-defined]
    await node.kill()


async def test_what_pods_had_that_ended_without_an_agent_is_free(tmp_path: Path) -> None:
    """The next pod comes in the very list that says that the first is gone."""
    node = Node(tmp_path)
    node.allocatable = {"cpu": "32", "memory": "4Gi"}
    node.cpus = static(tmp_path)
    node.cpus.admit(named("old", asks("14")))
    node.api.put(named("new", asks("14")))
    await node.boot()
    await node.run(5)
    assert node.api.pod("new").status.phase == "Running"
    assert node.cpus.of("old", "web") == node.cpus.of("x", "y") != node.cpus.of("new", "web")
    await node.kill()


async def deleted_by_force(directory: Path, pod: Pod) -> Node:
    """An agent that finds a pod which nobody wants any more."""
    node = Node(directory)
    node.allocatable = {"cpu": "32", "memory": "4Gi"}
    node.cpus = static(directory)
    await node.boot()
    node.api.put(pod)
    await node.run(5)
    await node.manager.agent.checkpoints.flush()
    await node.kill()
    node.api.objects.clear()
    return node


async def test_a_pod_waits_for_cpus_of_one_that_ends_because_nobody_wants_it(
    tmp_path: Path,
) -> None:
    node = await deleted_by_force(tmp_path, named("old", asks("14")))
    node.api.put(named("new", asks("14")))
    await node.boot()
    await node.run(60)
    assert node.api.pod("new").status.phase == "Running"
    node.api.put(named("another", asks("14")))
    await node.run(5)
    status = node.api.pod("another").status
    assert (status.phase, status.reason) == ("Failed", "UnexpectedAdmissionError")
    await node.kill()


async def test_a_pod_waits_for_cpus_of_one_that_has_just_ended(tmp_path: Path) -> None:
    """Its place is free before its CPUs are: they go back with its sandbox."""
    node = await pinned(tmp_path)
    node.manager.agent.node.allocatable["cpu"] = "16"  # type: ignore[index]
    node.api.put(make_pod(asks("14"), policy="Never"))
    await node.run(2)
    node.api.put(named("new", asks("14")))
    await node.run(0.3)
    assert node.manager.statistics()["waiting_for_room"] == 1
    node.runtime.end(node.containers("web")[0].id)
    await node.run(3)
    assert node.api.pod("new").status.phase == "Running"
    assert node.recorder.messages("WaitingForCPUs") == [], "a moment is not worth a word"
    await node.kill()


def never_removed(node: Node) -> None:
    async def fails(id: ContainerId) -> None:
        raise EngineUnavailable("the Docker Engine did not answer in time")

    node.runtime.remove = fails  # type: ignore[method-assign]


async def test_who_waits_is_told_for_whom(tmp_path: Path) -> None:
    node = await deleted_by_force(tmp_path, named("old", asks("14")))
    remove = node.runtime.remove
    never_removed(node)
    node.api.put(named("new", asks("14")))
    await node.boot()
    await node.run(300)
    assert node.api.pod("new").status.phase in ("", "Pending")
    assert node.recorder.messages("WaitingForCPUs") == [
        "waits for CPUs of pods that are being ended: ns/old"
    ]
    node.runtime.remove = remove  # type: ignore[method-assign]
    await node.run(60)
    assert node.api.pod("new").status.phase == "Running"
    await node.kill()


async def test_one_that_cannot_end_and_has_no_cpus_of_its_own_holds_up_nobody(
    tmp_path: Path,
) -> None:
    node = await deleted_by_force(tmp_path, named("old", container()))
    never_removed(node)
    node.api.put(named("first", asks("14")))
    await node.boot()
    await node.run(5)
    node.api.put(named("second", asks("14")))
    node.api.put(named("vast", container(resources=ResourceRequirements(requests={"cpu": "90"}))))
    await node.run(5)
    assert node.api.pod("first").status.phase == "Running"
    status = node.api.pod("second").status
    assert (status.phase, status.reason) == ("Failed", "UnexpectedAdmissionError")
    assert node.api.pod("vast").status.reason == "OutOfcpu"
    await node.kill()


async def test_a_pod_that_ended_before_it_began_gives_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await pinned(tmp_path)

    async def fails(spec: object) -> ContainerId:
        raise EngineUnavailable("the Docker Engine did not answer in time")

    monkeypatch.setattr(node.runtime, "create", fails)
    node.api.put(named("own", asks("2"), active_deadline_seconds=5))
    await node.run(3)
    assert cpusets.written(node.cpus.shared) == "0,2-8,10-15"  # type: ignore[attr-defined]
    await node.run(5)
    assert node.api.pod("own").status.reason == "DeadlineExceeded"
    assert cpusets.written(node.cpus.shared) == "0-15"  # type: ignore[attr-defined]
    await node.kill()


async def test_one_that_waits_for_cpus_may_be_ended(tmp_path: Path) -> None:
    node = await deleted_by_force(tmp_path, named("old", asks("14")))
    never_removed(node)
    node.api.put(named("new", asks("14")))
    await node.boot()
    await node.run(10)
    node.manager.workers["new"].terminate("Terminated", "the machine shuts down", 5)
    await node.run(1)
    status = node.api.pod("new").status
    assert (status.phase, status.reason) == ("Failed", "Terminated")
    await node.kill()
