"""The snapshot stays equal to what a fresh count would give, whatever happens in whatever order."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from api.core import Pod
from control.scheduler.columns import ALL, REMEMBERED_CHANGES, Columns, Rows
from control.scheduler.decide import decide
from control.scheduler.request import request_of
from control.scheduler.snapshot import PODS, Snapshot, effective_taints
from tests.thorough import examples
from tests.unit.scheduler.making import READY, node, pod

NODES = st.sampled_from(["a", "b", "c", "d"])
WANTED = [pod("new", cpu="500m", memory="1Gi"), pod("larger", cpu="2"), pod("asks for nothing")]
PODS_OF = st.sampled_from([f"p{number}" for number in range(8)])


class SnapshotMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.snapshot = Snapshot()
        self.nodes: set[str] = set()
        self.placed: dict[str, tuple[str, int]] = {}

    @rule(name=NODES, cpu=st.sampled_from(["1", "4"]))
    def add_node(self, name: str, cpu: str) -> None:
        self.snapshot.set_node(node(name, cpu=cpu))
        self.nodes.add(name)

    @rule(name=NODES)
    def remove_node(self, name: str) -> None:
        self.snapshot.remove_node(name)
        self.nodes.discard(name)

    @rule(uid=PODS_OF, name=NODES, cpu=st.integers(0, 1000))
    def place(self, uid: str, name: str, cpu: int) -> None:
        self.snapshot.add_pod(request_of(pod(uid, cpu=f"{cpu}m", owner="rs")), name)
        self.placed[uid] = (name, cpu)

    @rule(uid=PODS_OF)
    def remove(self, uid: str) -> None:
        assert self.snapshot.remove_pod(uid) == (uid in self.placed)
        self.placed.pop(uid, None)

    @invariant()
    def counts_agree(self) -> None:
        for name in ("a", "b", "c", "d"):
            number = self.snapshot.index(name)
            assert (number is not None) == (name in self.nodes)
            if number is None:
                continue
            mine = [cpu for where, cpu in self.placed.values() if where == name]
            assert self.snapshot.taken[number, self.snapshot.resources["cpu"]] == sum(mine)
            assert self.snapshot.taken[number, self.snapshot.resources[PODS]] == len(mine)
            assert self.snapshot.likely_use[number, 0] == sum(cpu or 100 for cpu in mine)
            assert self.snapshot.owners.count("rs").counts[number] == len(mine)
        free = [row for row in self.snapshot.rows if row is None]
        assert len(self.snapshot.rows) - len(free) <= 4

    @invariant()
    def kept_columns_agree(self) -> None:
        """A decision from what earlier ones have computed is one from nothing."""
        kept = [self.decision(each) for each in WANTED]
        columns, self.snapshot.columns = self.snapshot.columns, Columns()
        assert kept == [self.decision(each) for each in WANTED]
        self.snapshot.columns = columns

    def decision(self, wanted: Pod) -> tuple[object, ...]:
        made = decide(request_of(wanted), self.snapshot, lambda rows: rows[0])
        return made.node, made.message, made.refused, made.scores, made.best


TestSnapshot = SnapshotMachine.TestCase
TestSnapshot.settings = settings(
    max_examples=examples(30, long=300), stateful_step_count=30, deadline=None
)


def test_a_column_that_missed_many_changes_is_computed_anew() -> None:
    columns, values = Columns(), np.array([1, 2, 3])
    asked: list[object] = []

    def compute(rows: Rows) -> NDArray[np.int64]:
        asked.append(rows)
        return values[rows].copy()

    def column() -> list[int]:
        return [int(one) for one in columns.get("a", compute)]

    assert (column(), column()) == ([1, 2, 3], [1, 2, 3])
    assert asked == [ALL], "nothing has changed"
    values[1] = 5
    columns.touch(1)
    assert column() == [1, 5, 3]
    assert len(asked) == 2 and asked[1] != ALL
    values[2] = 6
    for _ in range(3 * REMEMBERED_CHANGES):
        columns.touch(2)
    assert column() == [1, 5, 6]
    assert asked[2] == ALL


def test_heartbeats_change_nothing() -> None:
    snapshot = Snapshot()
    assert snapshot.set_node(node("a"))
    again = node("a", conditions=[{**READY, "lastHeartbeatTime": "2026-01-01T00:00:00Z"}])
    assert not snapshot.set_node(again)
    assert snapshot.set_node(node("a", cpu="8"))


def test_more_nodes_than_first_rows() -> None:
    snapshot = Snapshot()
    for number in range(100):
        snapshot.set_node(node(f"n{number}"))
    assert int(snapshot.present.sum()) == 100
    assert len(np.unique([snapshot.index(f"n{n}") for n in range(100)])) == 100


def test_conditions_imply_taints_before_the_controller_writes_them() -> None:
    sick = node("a", conditions=[READY, {"type": "DiskPressure", "status": "True"}])
    assert effective_taints(sick) == (("node.kubernetes.io/disk-pressure", "", "NoSchedule"),)


def test_a_pod_may_be_known_before_the_node_whose_device_it_has() -> None:
    """As after a restart, when the pods are listed before the nodes."""
    snapshot, wanted = Snapshot(), pod("p")
    wanted.spec.containers[0].resources.requests = {"example.com/gpu": "1"}
    snapshot.add_pod(request_of(wanted), "a")
    made = node("a")
    made.status.allocatable["example.com/gpu"] = "1"
    snapshot.set_node(made)
    column, row = snapshot.resources["example.com/gpu"], snapshot.index("a")
    assert (snapshot.taken[row, column], snapshot.allocatable[row, column]) == (1, 1)
