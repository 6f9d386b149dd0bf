"""What would help a pod that fits nowhere; what is named has been tried."""

from typing import Any

import msgspec
import pytest

from api.core import Node, NodeSelector, Pod
from control.scheduler.filters import feasible
from control.scheduler.remedies import remedies
from control.scheduler.request import request_of
from control.scheduler.rules import Rules
from control.scheduler.snapshot import Snapshot
from tests.unit.controllers.test_volumes import volume
from tests.unit.scheduler.making import node, pod
from tests.unit.scheduler.test_storage import bound, on, using
from tests.unit.scheduler.test_storage import cluster as storage

HOST = "kubernetes.io/hostname"
TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


DISK = {"name": "d", "gcePersistentDisk": {"pdName": "one"}}


def _apart(app: str) -> dict[str, Any]:
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": app}}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def cluster(nodes: list[Node], placed: dict[str, list[Pod]]) -> Snapshot:
    snapshot = Snapshot()
    for each in nodes:
        snapshot.set_node(each)
    for name, pods in placed.items():
        for each_pod in pods:
            snapshot.add_pod(request_of(each_pod), name)
    return snapshot


@pytest.mark.parametrize(
    ("wanted", "nodes", "placed", "expected"),
    [
        (
            pod("p", cpu="2", memory="1Gi"),
            [node("n1", cpu="1"), node("n2", cpu="1500m")],
            {},
            ["if it asked for 500m less cpu, n2 could take it"],
        ),
        (
            pod("p", cpu="2", memory="9Gi"),
            [node("n1", cpu="1")],
            {},
            ["if it asked for 1 less cpu and 1Gi less memory, n1 could take it"],
        ),
        (
            pod("p", cpu="3"),
            [node("n1"), node("n2")],
            {"n1": [pod("small", cpu="500m"), pod("big", cpu="3")], "n2": [pod("half", cpu="2")]},
            [
                "if it asked for 1 less cpu, n2 could take it",
                "if pod default/big (3 cpu) left n1",
                "if pod default/half (2 cpu) left n2",
            ],
        ),
        (
            pod("p"),
            [node("n1", taints=[TAINT]), node("n2", unschedulable=True)],
            {},
            [
                "with a toleration for dedicated=db:NoSchedule, n1 could take it",
                "if n2 were no longer cordoned (kubectl uncordon)",
            ],
        ),
        (
            pod("p"),
            [node("n1", conditions=[{"type": "Ready", "status": "False"}])],
            {},
            [
                "if n1 lost the taint node.kubernetes.io/not-ready, which the state of the node gives it"
            ],
        ),
        (
            pod("p", nodeSelector={"disk": "ssd"}),
            [node("n1"), node("n2"), node("n3"), node("n4")],
            {},
            [
                "without its nodeSelector and required node affinity, or with the labels they ask for,"
                " n1, n2, n3 or one of 1 more could take it"
            ],
        ),
        (
            pod("p", host_ports=(80,)),
            [node("n1")],
            {"n1": [pod("web", host_ports=(80,))]},
            [
                "without its host ports, n1 could take it",
                "if pod default/web left n1",
            ],
        ),
        (
            pod("p", affinity=_apart("db")),
            [node("n1", labels={HOST: "n1"})],
            {"n1": [pod("other"), pod("db-0", labels={"app": "db"})]},
            [
                "without its required pod anti-affinity, n1 could take it",
                "if pod default/db-0 left n1",
            ],
        ),
        (
            pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]),
            [node("n1")],
            {},
            [
                'if its claims were in order (persistentvolumeclaim "data" not found), n1 could take it'
            ],
        ),
        (
            pod("p", volumes=[DISK]),
            [node("n1")],
            {"n1": [pod("other"), pod("reader", volumes=[DISK])]},
            ["without its disks, n1 could take it", "if pod default/reader left n1"],
        ),
        # Two things are wrong at once: nothing alone would help, and nothing is said.
        (pod("p", cpu="9"), [node("n1", taints=[TAINT])], {}, []),
    ],
)
def test_what_would_help(
    wanted: Pod, nodes: list[Node], placed: dict[str, list[Pod]], expected: list[str]
) -> None:
    snapshot = cluster(nodes, placed)
    before = snapshot.taken.copy()

    assert remedies(request_of(wanted), snapshot) == expected

    assert (snapshot.taken == before).all()


def test_a_pod_that_fits_by_now_only_waits_for_its_turn() -> None:
    snapshot = cluster([node("n1")], {})
    assert feasible(request_of(pod("p")), snapshot).any()
    assert remedies(request_of(pod("p")), snapshot) == [
        "n1 could take it now; it is tried again after its back-off"
    ]
    gated = pod("p", schedulingGates=[{"name": "example.com/wait"}])
    assert remedies(request_of(gated), snapshot) == [
        "without its scheduling gates, n1 could take it"
    ]


def test_what_the_scheduler_adds_may_be_in_the_way() -> None:
    term = {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}
    added = msgspec.convert({"nodeSelectorTerms": [term]}, type=NodeSelector)
    request = request_of(pod("p"), Rules(required=added))
    assert remedies(request, cluster([node("n1")], {})) == [
        "without the node affinity that its scheduler adds, n1 could take it"
    ]


def test_volumes_that_cannot_be_had_and_a_claim_that_another_has() -> None:
    far = volume(spec__nodeAffinity=on("n2"))
    snapshot = storage(bound("share"), far)
    wanted = using("data", nodeSelector={"host": "n1"})
    assert "if its claims' volumes could be had there, n1 could take it" in remedies(
        request_of(wanted), snapshot
    )
    alone = bound("share", spec__accessModes=["ReadWriteOncePod"])
    snapshot = storage(alone, volume(spec__nodeAffinity=on("n1")), nodes=1)
    snapshot.add_pod(request_of(using("data", name="holder")), "n1")
    assert "if pod default/holder left n1" in remedies(request_of(using("data")), snapshot)


def test_pods_of_other_namespaces_are_not_named_to_who_may_not_list_them() -> None:
    theirs = pod("secret", cpu="3", namespace="theirs")
    snapshot = cluster([node("n1")], {"n1": [theirs]})
    request = request_of(pod("p", cpu="3"))
    assert "if pod theirs/secret (3 cpu) left n1" in remedies(request, snapshot)
    told = remedies(request, snapshot, strangers=False)
    assert "if a pod of another namespace left n1" in told
    assert "secret" not in "".join(told)
