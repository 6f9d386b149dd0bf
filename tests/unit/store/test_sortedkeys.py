"""Sorted keys behave like a sorted list, and prefixes end where they should."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.store import sortedkeys
from control.store.sortedkeys import SortedKeys, end_of_prefix

keys = st.text(alphabet="ab/\ud7ff\ue000\U0010ffff", min_size=1, max_size=4)  # a key is never empty
prefixes = keys | st.just("")


@settings(max_examples=200)
@given(
    first=st.sets(keys, max_size=20),
    steps=st.lists(keys, max_size=60),
    prefix=prefixes,
    after=prefixes,
)
def test_like_a_sorted_list(first: set[str], steps: list[str], prefix: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sortedkeys, "_CHUNK", 3)
        ordered, model = SortedKeys(first), set(first)
        for key in steps:
            if key in model:
                ordered.remove(key)
                model.remove(key)
            else:
                ordered.add(key)
                model.add(key)
        assert list(ordered.iterate()) == sorted(model)
        expected = [k for k in sorted(model) if k.startswith(prefix) and k > after]
        assert list(ordered.iterate(prefix, after=after)) == expected
        assert ordered.count(prefix, after=after) == len(expected)
        assert len(ordered) == len(model)


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        SortedKeys().remove("a")
    with pytest.raises(KeyError):
        SortedKeys(["b"]).remove("a")


@given(prefix=prefixes, key=keys)
def test_the_end_of_a_prefix(prefix: str, key: str) -> None:
    end = end_of_prefix(prefix)
    inside = key >= prefix and (not end or key < end)
    assert inside == key.startswith(prefix)
    end.encode()


def test_many_keys_stay_in_bounded_chunks() -> None:
    ordered = SortedKeys()
    names = [f"/registry/pods/ns{i % 7}/pod-{i:05}" for i in range(5000)]
    for name in names:
        ordered.add(name)
    assert list(ordered.iterate()) == sorted(names)
    assert ordered.count("/registry/pods/ns3/") == sum("/ns3/" in name for name in names)
    assert max(len(chunk) for chunk in ordered._chunks) <= 2 * sortedkeys._CHUNK
