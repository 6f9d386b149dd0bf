"""Who owns which field after which write: the documented cases, and what always holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core import ConfigMap
from api.meta import ManagedFieldsEntry
from api.patch import fieldset
from api.patch.schema import of_type
from control.apiserver.registry import managing
from control.apiserver.registry.managing import Applied, ConflictingError, Entries, Manager

SCHEMA = of_type(ConfigMap)
T0, T1, T2 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"
BLANK = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}


def config(**data: str) -> dict[str, Any]:
    return {**BLANK, "metadata": {"name": "c"}, "data": data} if data else {**BLANK}


def owners(entries: Entries) -> dict[str, set[str]]:
    """Manager → what it owns."""
    return {
        f"{entry.manager}/{entry.operation}": {
            fieldset.shown(path) for path in fieldset.members(entry.fields_v1 or {})
        }
        for entry in entries
    }


def apply(state: Applied, name: str, now: str = T1, *, force: bool = False, **data: str) -> Applied:
    manager = Manager(name, managing.APPLY, "v1")
    return managing.apply(
        state.entries, state.tree, config(**data), SCHEMA, manager, now, force=force
    )


def update(state: Applied, name: str, now: str = T1, **data: str) -> Applied:
    new = config(**data)
    manager = Manager(name, api_version="v1")
    entries = managing.updated(state.entries, state.tree, new, SCHEMA, manager, now)
    return Applied(new, entries)


NOTHING = Applied(BLANK, [])


def test_a_creator_owns_what_it_said() -> None:
    made = update(NOTHING, "kubectl-create", T0, a="1")
    assert owners(made.entries) == {"kubectl-create/Update": {".data", ".data.a"}}
    assert made.entries[0].time == T0 and made.entries[0].api_version == "v1"


def test_an_update_takes_what_it_changes() -> None:
    made = update(update(NOTHING, "one", T0, a="1", b="1"), "two", a="2", b="1")
    assert owners(made.entries) == {
        "one/Update": {".data", ".data.b"},
        "two/Update": {".data.a"},
    }


def test_an_update_that_changes_nothing_changes_no_owner() -> None:
    made = update(NOTHING, "one", T0, a="1")
    assert update(made, "two", T2, a="1").entries == made.entries


def test_two_may_own_one_field_of_one_value() -> None:
    made = apply(apply(NOTHING, "one", a="1"), "two", a="1")
    assert owners(made.entries) == {"one/Apply": {".data.a"}, "two/Apply": {".data.a"}}
    made = apply(made, "one", b="1")  # one gives it up; it stays, for it is also two's
    assert made.tree["data"] == {"a": "1", "b": "1"}
    made = apply(made, "two", b="1")
    assert made.tree["data"] == {"b": "1"}


def test_a_field_of_another_value_is_a_conflict_and_nothing_happens() -> None:
    made = apply(NOTHING, "one", a="1", b="1")
    with pytest.raises(ConflictingError) as caught:
        apply(made, "two", a="2", b="1")
    (conflict,) = caught.value.conflicts
    assert conflict.owner.manager == "one"
    assert set(map(fieldset.shown, fieldset.members(conflict.fields))) == {".data.a"}
    taken = apply(made, "two", force=True, a="2", b="1")
    assert taken.tree["data"] == {"a": "2", "b": "1"}
    assert owners(taken.entries) == {
        "one/Apply": {".data.b"},
        "two/Apply": {".data.a", ".data.b"},
    }


def test_what_is_no_longer_applied_goes() -> None:
    made = apply(apply(NOTHING, "one", a="1", b="1"), "one", a="1")
    assert made.tree["data"] == {"a": "1"}
    assert apply(made, "one").tree.get("data") is None


def test_an_apply_that_changes_nothing_keeps_its_time() -> None:
    made = apply(NOTHING, "one", T0, a="1")
    assert apply(made, "one", T2, a="1") == made


def test_an_object_without_owners_is_whoevers_was_before() -> None:
    made = apply(Applied(config(a="1", b="1"), []), "one", a="1")
    assert made.tree["data"] == {"a": "1", "b": "1"}
    assert owners(made.entries)["before-first-apply/Update"] >= {".data.a", ".data.b"}


def test_clients_may_replace_or_forget_entries() -> None:
    stored = update(NOTHING, "one", a="1").entries
    assert managing.base([], stored) == stored
    assert managing.base([ManagedFieldsEntry()], stored) == []
    other = [ManagedFieldsEntry(manager="x", operation="Apply", fields_v1={"f:data": {}})]
    assert managing.base(other, stored) == other
    broken = [ManagedFieldsEntry(manager="x", operation="Apply", fields_v1={"data": 1})]
    assert managing.base(broken, stored) == stored


def test_the_oldest_updates_become_one() -> None:
    state = NOTHING
    data: dict[str, str] = {}
    for number in range(14):
        data[f"k{number:02}"] = "1"
        now = f"2026-01-01T00:00:{number:02}Z"
        state = update(state, f"m{number:02}", now, **data)
    updates = [entry.manager for entry in state.entries]
    assert len(updates) == managing.MAX_UPDATE_MANAGERS and managing.ANCIENT in updates
    everything = set().union(*owners(state.entries).values())
    assert everything == {".data", *(f".data.{key}" for key in data)}


def test_very_many_entries_are_not_compared_with_each_other() -> None:
    many = [
        ManagedFieldsEntry(manager=f"m{number}", operation="Update", fields_v1={"f:data": {}})
        for number in range(50_000)
    ]
    kept = managing.capped(many)  # half a minute, when each is looked for among the others
    assert len(kept) == managing.MAX_UPDATE_MANAGERS


keys = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
writers = st.sampled_from(["one", "two", "three"])
steps = st.lists(st.tuples(st.booleans(), writers, keys), max_size=8)


@given(steps, writers, keys)
def test_what_always_holds(
    before: list[tuple[bool, str, dict[str, str]]], name: str, data: dict[str, str]
) -> None:
    state = NOTHING
    for applies, who, wanted in before:
        state = apply(state, who, force=True, **wanted) if applies else update(state, who, **wanted)
    others = {
        path: value
        for entry in state.entries
        if (entry.manager, entry.operation) != (name, managing.APPLY)
        for path in (entry.fields_v1 or {}).get("f:data", {})
        if path != "." and (value := (state.tree.get("data") or {}).get(path[2:]))
    }
    forced = apply(state, name, force=True, **data)
    found = forced.tree.get("data") or {}
    assert data.items() <= found.items()  # what is applied is there
    for path, value in others.items():  # what others own, and this does not name, is as it was
        assert data.get(path[2:], value) == found[path[2:]] or path[2:] in data
    assert apply(forced, name, T2, **data) == forced  # to apply again is to do nothing
    for key, owned in owners(forced.entries).items():  # nobody owns what is not there
        for path in owned:
            assert path == ".data" or path.removeprefix(".data.") in found, (key, path)
