"""The revision is put into the right place of an object's bytes, whatever the object contains."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.store.cached import Bodies, Cached, render, splice
from control.store.interface import KeyValue

TRAP = '"metadata":{'

texts = st.text(max_size=20) | st.sampled_from([TRAP, '{"metadata":{', '\\"metadata":{', "\\", '"'])
trees = st.recursive(
    texts | st.integers() | st.booleans() | st.none(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(texts | st.just("metadata"), children, max_size=3)
    ),
    max_leaves=10,
)


def nothing(value: bytes) -> tuple[dict[str, str], dict[str, str]]:
    return {}, {}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (
            b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}',
            b'{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"7","name":"a"}}',
        ),
        (
            b'{"apiVersion":"v1","kind":"Pod","metadata":{}}',
            b'{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"7"}}',
        ),
        (b'{"metadata":{},"spec":{}}', b'{"metadata":{"resourceVersion":"7"},"spec":{}}'),
    ],
    ids=["named", "empty", "nothing before"],
)
def test_spliced_where_metadata_opens(stored: bytes, expected: bytes) -> None:
    assert splice(stored, 7) == expected


@pytest.mark.parametrize(
    "before",
    [
        {"kind": TRAP},
        {"kind": '{"metadata":{'},
        {"kind": '\\"metadata":{'},
        {"data": {"metadata": {"name": "not this"}}},
        {"data": [{"metadata": {}}]},
        {"metadata2": {"x": 1}},
        {"data": {"a": "b"}, "kind": TRAP},
    ],
    ids=str,
)
def test_not_fooled_by_what_only_looks_like_metadata(before: dict[str, object]) -> None:
    stored = msgspec.json.encode({**before, "metadata": {"name": "this"}, "z": TRAP})
    found = json.loads(splice(stored, 7))
    assert found == {
        **before,
        "metadata": {"name": "this", "resourceVersion": "7"},
        "z": TRAP,
    }


def test_an_old_revision_and_white_space_are_replaced() -> None:
    stored = b'{ "metadata" : { "resourceVersion" : "3" } , "spec" : { } }'
    assert splice(stored, 7) == b'{"metadata":{"resourceVersion":"7"},"spec":{ }}'


@pytest.mark.parametrize("stored", [b"{}", b"[]", b"", b'{"metadata":3}', b'{"metadata":"{"}'])
def test_what_is_no_object_is_a_loud_error(stored: bytes) -> None:
    with pytest.raises(ValueError, match="needs metadata"):
        splice(stored, 7)


@given(
    before=st.dictionaries(texts, trees, max_size=3),
    metadata=st.dictionaries(texts, trees, max_size=3),
    after=st.dictionaries(texts, trees, max_size=3),
    revision=st.integers(1, 2**53),
)
def test_any_object(
    before: dict[str, object], metadata: dict[str, object], after: dict[str, object], revision: int
) -> None:
    tree = {**before, "metadata": metadata}
    tree |= {key: value for key, value in after.items() if key not in tree}
    body = splice(msgspec.json.encode(tree), revision)
    expected = json.loads(msgspec.json.encode(tree))
    expected["metadata"]["resourceVersion"] = str(revision)
    assert json.loads(body) == expected
    entry = render(KeyValue("/a", msgspec.json.encode(tree), 1, revision), nothing)
    assert entry.body == body
    assert Bodies([entry, entry])[1:][0] == body


def test_an_object_is_in_memory_once() -> None:
    """What the store has in its mirror is what the cache keeps."""
    stored = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}'
    assert render(KeyValue("/a", stored, 1, 7), nothing).value is stored


@given(old=st.integers(1, 2**53), new=st.integers(1, 2**53), named=st.booleans())
def test_the_same_object_at_another_revision(old: int, new: int, named: bool) -> None:
    stored = b'{"kind":"Pod","metadata":{%s}}' % (b'"name":"a"' if named else b"")
    entry = render(KeyValue("/pods/a", stored, old, old), nothing)
    assert entry.at(new) == render(KeyValue("/pods/a", stored, old, new), nothing)
    assert isinstance(entry, Cached)
