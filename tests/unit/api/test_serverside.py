"""Apply on trees: what is owned, how objects differ, merging and pruning, as Kubernetes documents it."""

from __future__ import annotations

from typing import Any

import pytest

from api.apps import Deployment
from api.core import ConfigMap, Pod, Service
from api.patch import fieldset, serverside
from api.patch.faults import PatchError
from api.patch.schema import ATOMIC, DEDUCED, SET, Fields, ListMap, MapOf, of_type

POD = of_type(Pod)


def shown(fields: dict[str, Any]) -> set[str]:
    return {fieldset.shown(path) for path in fieldset.members(fields)}


def pod(*containers: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"containers": list(containers)}}


def test_our_types_say_what_has_owners_of_its_own() -> None:
    assert isinstance(POD, Fields)
    spec = POD.field("spec")
    assert isinstance(spec, Fields)
    containers = spec.field("containers")
    assert isinstance(containers, ListMap) and containers.keys == ("name",)
    assert isinstance(containers.items, Fields)
    ports = containers.items.field("ports")
    assert isinstance(ports, ListMap) and ports.keys == ("containerPort", "protocol")
    assert ports.defaults == {"protocol": "TCP"}
    assert containers.items.field("command") == ATOMIC
    metadata = POD.field("metadata")
    assert isinstance(metadata, Fields)
    assert metadata.field("labels") == MapOf(ATOMIC) and metadata.field("finalizers") == SET
    selector = of_type(Service).field("spec").field("selector")  # type: ignore[union-attr]
    assert selector == ATOMIC
    assert of_type(Deployment).field("spec").field("selector") == ATOMIC  # type: ignore[union-attr]


def test_a_configuration_owns_its_leaves_and_items() -> None:
    port = {"containerPort": 80}
    config = pod({"name": "a", "image": "i", "ports": [port], "command": ["x"]}, labels={"l": "1"})
    assert shown(serverside.owned(config, POD)) == {
        ".metadata.labels.l",
        '.spec.containers[name="a"]',
        '.spec.containers[name="a"].name',
        '.spec.containers[name="a"].image',
        '.spec.containers[name="a"].command',
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort',
    }


def test_an_empty_struct_is_a_leaf() -> None:
    volumes = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    assert '.spec.volumes[name="v"].emptyDir' in shown(serverside.owned(volumes, POD))


def test_what_came_is_owned_with_the_map_it_came_in() -> None:
    schema = of_type(ConfigMap)
    change = serverside.compare({"metadata": {}}, {"metadata": {}, "data": {"a": "1"}}, schema)
    assert change.changed == {"f:data": {".": {}, "f:a": {}}} and not change.removed
    change = serverside.compare({"data": {"a": "1", "b": "2"}}, {"data": {"a": "3"}}, schema)
    assert change.changed == {"f:data": {"f:a": {}}}
    assert change.removed == {"f:data": {"f:b": {}}}


def test_items_are_compared_by_their_keys() -> None:
    a, b = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}
    change = serverside.compare(pod(a, b), pod(b, a), POD)
    assert not change.changed and not change.removed
    change = serverside.compare(pod(a), pod({"name": "a", "image": "2"}), POD)
    assert shown(change.changed) == {'.spec.containers[name="a"].image'}


@pytest.mark.parametrize(
    ("live", "config", "order"),
    [
        ("abc", "ca", "bca"),
        ("abc", "b", "abc"),
        ("abc", "d", "abcd"),
        ("abc", "da", "dabc"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("abcd", "db", "acdb"),
    ],
)
def test_lists_are_in_the_configurations_order(live: str, config: str, order: str) -> None:
    merged = serverside.merge(list(live), list(config), SET)
    assert set(merged) == set(live) | set(config)
    wanted = [name for name in merged if name in config]
    assert "".join(wanted) == config
    assert "".join(merged) == order


def test_merging_changes_what_is_named_and_nothing_else() -> None:
    live = pod({"name": "a", "image": "1", "tty": True}, {"name": "b"}, labels={"x": "1"})
    config = pod({"name": "a", "image": "2"}, labels={"y": "2"})
    merged = serverside.merge(live, config, POD)
    assert merged["metadata"]["labels"] == {"x": "1", "y": "2"}
    assert merged["spec"]["containers"] == [
        {"name": "a", "image": "2", "tty": True},
        {"name": "b"},
    ]
    assert live["spec"]["containers"][0]["image"] == "1"


def test_atomic_lists_are_replaced() -> None:
    live, config = pod({"name": "a", "command": ["x", "y"]}), pod({"name": "a", "command": ["z"]})
    merged = serverside.merge(live, config, POD)
    assert merged["spec"]["containers"][0]["command"] == ["z"]


def test_pruning_takes_what_was_owned_and_nobody_owns_now() -> None:
    tree = pod({"name": "a", "image": "1", "tty": True}, {"name": "b"}, labels={"x": "1", "y": "2"})
    last = serverside.owned(pod({"name": "a", "tty": True}, {"name": "b"}, labels={"x": "1"}), POD)
    kept = serverside.owned(pod({"name": "a", "image": "1"}), POD)
    assert serverside.prune(tree, POD, last=last, kept=kept) == pod(
        {"name": "a", "image": "1"}, labels={"y": "2"}
    )


def test_an_item_in_which_another_has_a_field_keeps_its_keys() -> None:
    tree = pod({"name": "a", "image": "1", "tty": True})
    last = serverside.owned(pod({"name": "a", "image": "1"}), POD)
    kept = {"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:tty": {}}}}}
    left = serverside.prune(tree, POD, last=last, kept=kept)
    assert left["spec"]["containers"] == [{"name": "a", "tty": True}]


def test_what_is_repeated_is_refused() -> None:
    with pytest.raises(PatchError, match=r'duplicate entries for key \[name="a"\]'):
        serverside.check_unique(pod({"name": "a"}, {"name": "a"}), POD)
    with pytest.raises(PatchError, match="finalizers"):
        serverside.check_unique({"metadata": {"finalizers": ["x", "x"]}}, POD)


def test_what_nobody_described_is_known_by_its_looks() -> None:
    tree = {"a": {"b": 1, "c": [1]}}
    assert shown(serverside.owned(tree, DEDUCED)) == {".a", ".a.b", ".a.c"}
