"""Who stands behind a Service, and how little is written when that changes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from api.core import Pod
from api.discovery import EndpointSlice
from api.objects import Key
from control.controllers.network.backends import backends
from control.controllers.network.endpoints import endpoints_of, subsets_of
from control.controllers.network.endpointslices import MAX_PER_SLICE, repartition
from control.controllers.network.triggers import ANNOTATION as TRIGGER
from control.controllers.network.triggers import Triggers, dated
from tests.unit.controllers.making import pod, service


def test_ready_terminating_and_finished_pods() -> None:
    pods = [
        pod("ready", ip="10.244.0.1"),
        pod("unready", ip="10.244.0.2", ready=False),
        pod("leaving", ip="10.244.0.3", deleting=True),
        pod("done", ip="10.244.0.4", phase="Succeeded"),
        pod("no-address", ip=""),
    ]
    (group,) = backends(service(), pods).values()
    told = {b.pod[1]: (b.ready, b.serving, b.terminating) for b in group}
    assert told == {
        "ready": (True, True, False),
        "unready": (False, False, False),
        "leaving": (False, True, True),
    }
    endpoints = endpoints_of(service(), backends(service(), pods))
    (subset,) = endpoints.subsets
    assert [a.ip for a in subset.addresses] == ["10.244.0.1"]
    assert [a.ip for a in subset.not_ready_addresses] == ["10.244.0.2"]


def test_publish_not_ready_addresses() -> None:
    wanted = service(publishNotReadyAddresses=True)
    (group,) = backends(wanted, [pod("unready", ready=False)]).values()
    assert group[0].ready


def test_a_named_port_is_each_pods_own() -> None:
    wanted = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    one = pod("one", ports=[{"name": "web", "containerPort": 8080}])
    two = pod("two", ports=[{"name": "web", "containerPort": 9090}])
    none = pod("none")
    groups = backends(wanted, [one, two, none])
    assert {ports[0][2]: [b.pod[1] for b in group] for ports, group in groups.items()} == {
        8080: ["one"],
        9090: ["two"],
    }


def test_hostnames_of_a_headless_service() -> None:
    (group,) = backends(service("db"), [pod("p", hostname="db-0", subdomain="db")]).values()
    assert group[0].hostname == "db-0"
    (group,) = backends(service("web"), [pod("p", hostname="db-0", subdomain="db")]).values()
    assert group[0].hostname == ""


def test_a_thousand_addresses_and_no_more() -> None:
    pods = [pod(f"p{n}", ready=n % 2 == 0) for n in range(2100)]
    endpoints = endpoints_of(service(), backends(service(), pods))
    shown = sum(len(s.addresses) + len(s.not_ready_addresses) for s in endpoints.subsets)
    assert shown == 1000
    assert endpoints.metadata.annotations == {"endpoints.kubernetes.io/over-capacity": "truncated"}
    assert subsets_of({}) == ([], False)


def applied(pods: list[Pod], existing: list[EndpointSlice]) -> tuple[list[EndpointSlice], int]:
    """The slices after one reconcile, and how many objects it wrote."""
    changes = repartition(service(), backends(service(), pods), existing)
    touched = {p.metadata.name for p in (*changes.update, *changes.delete)}
    kept = [piece for piece in existing if piece.metadata.name not in touched]
    made = changes.create
    for number, piece in enumerate(made):
        piece.metadata.name = f"slice-{len(existing)}-{number}-{id(piece)}"
    return [*kept, *changes.update, *made], len(made) + len(touched)


def members(slices: list[EndpointSlice]) -> list[str]:
    return sorted(e.target_ref.name for piece in slices for e in piece.endpoints if e.target_ref)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 260), max_size=230), min_size=1, max_size=6))
def test_slices_hold_exactly_the_backends(rounds: list[set[int]]) -> None:
    slices: list[EndpointSlice] = []
    for wanted in rounds:
        slices, _ = applied([pod(f"p{n}") for n in sorted(wanted)], slices)
        assert members(slices) == sorted(f"p{n}" for n in wanted)
        assert all(len(piece.endpoints) <= MAX_PER_SLICE for piece in slices)
        assert len(slices) >= 1
        again, writes = applied([pod(f"p{n}") for n in sorted(wanted)], slices)
        assert writes == 0, "a second look must write nothing"
        slices = again


def test_one_pod_more_changes_one_slice() -> None:
    pods = [pod(f"p{n:03}") for n in range(150)]
    slices, _ = applied(pods, [])
    _, writes = applied([*pods, pod("p999")], slices)
    assert writes == 1


def test_an_endpoint_tells_the_zone_of_its_node() -> None:
    pods = [pod("a", node="n1"), pod("b", node="n2"), pod("c", node="")]
    zones = {"n1": "west"}
    groups = backends(service(), pods, zone_of=lambda node: zones.get(node, ""))
    (made,) = repartition(service(), groups, []).create
    told = {e.target_ref.name: (e.node_name, e.zone) for e in made.endpoints if e.target_ref}
    assert told == {"a": ("n1", "west"), "b": ("n2", None), "c": (None, None)}


KEY = Key("default", "web")
NOON, LATER, LATEST = (f"2026-01-01T12:0{minute}:00Z" for minute in range(3))


def test_the_first_endpoints_of_a_service_are_due_to_it() -> None:
    triggers, made = Triggers(), service()
    made.metadata.creation_timestamp = NOON
    assert triggers.look(KEY, made, [pod("a", since=LATER)]) == NOON
    triggers.forget(KEY)
    assert triggers.look(KEY, made, []) == NOON


def test_later_ones_are_due_to_the_earliest_change_since() -> None:
    triggers, made = Triggers(), service()
    made.metadata.creation_timestamp = NOON
    triggers.look(KEY, made, [pod("a", since=NOON)])
    pods = [pod("a", since=LATEST), pod("b", since=LATER)]
    assert triggers.look(KEY, made, pods) == LATER
    assert triggers.look(KEY, made, pods) == ""
    assert triggers.look(KEY, made, pods[:1]) == ""


def test_an_old_trigger_is_taken_away() -> None:
    assert dated({"a": "b"}, NOON) == {"a": "b", TRIGGER: NOON}
    assert dated({"a": "b", TRIGGER: NOON}, LATER) == {"a": "b", TRIGGER: LATER}
    assert dated({"a": "b", TRIGGER: NOON}, "") == {"a": "b"}
