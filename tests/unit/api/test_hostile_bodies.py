"""Bodies with anything anywhere: an object or a 400, and nothing that a client did twice gets lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.codec import jsontree
from api.codec.decode import JSON, PROTOBUF, STRICT, YAML, decode_body
from api.core import ConfigMap, Pod
from api.errors import ApiError

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["a", "b", "metadata", '"', "\\", '":', "\\u0022", "é"]
)
LEAVES = TEXTS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, width=16)


class Pairs(list[tuple[str, Any]]):
    """An object as it is written: keys may come again."""


TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(TEXTS, inner), max_size=4).map(Pairs)
    ),
    max_leaves=12,
)


def written(tree: Any, *, ascii_only: bool, space: str) -> str:
    """JSON, as one of many clients might write it."""
    if isinstance(tree, Pairs):
        members = (
            f"{json.dumps(name, ensure_ascii=ascii_only)}{space}:{space}"
            f"{written(value, ascii_only=ascii_only, space=space)}"
            for name, value in tree
        )
        return "{" + f",{space}".join(members) + "}"
    if isinstance(tree, list):
        items = (written(item, ascii_only=ascii_only, space=space) for item in tree)
        return "[" + f",{space}".join(items) + "]"
    return json.dumps(tree, ensure_ascii=ascii_only)


def repeats(tree: Any) -> bool:
    if isinstance(tree, Pairs):
        names = [name for name, _ in tree]
        return len(set(names)) < len(names) or any(repeats(value) for _, value in tree)
    return isinstance(tree, list) and any(map(repeats, tree))


@given(TREES, st.booleans(), st.sampled_from(["", " ", "\n  "]))
def test_repeated_keys_are_never_overlooked(tree: Any, ascii_only: bool, space: str) -> None:
    body = written(tree, ascii_only=ascii_only, space=space).encode("utf-8", "surrogatepass")
    try:
        careful, repeating = jsontree.parse_counting(body)
    except ValueError:
        assert jsontree.parse_sound(body) is None  # halves of surrogates, as bytes
        return
    assert repeating == repeats(tree)
    quick = jsontree.parse_sound(body)
    assert quick is None or (not repeating and quick == jsontree.plain(careful))


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"name":"a"},"data":{"a":"1","\\u0061":"2"}}',
        b'{"metadata":{"name":"a"},"data":{"a\\"":"1","a\\u0022":"2"}}',
        b'{"metadata":{"name":"a","name":"a"},"data":{"b":"\\u0022\\u0022"}}',
    ],
)
def test_keys_that_are_spelt_differently_are_the_same(body: bytes) -> None:
    with pytest.raises(ApiError, match="duplicate field"):
        decode_body(body, JSON, ConfigMap, STRICT)


def test_a_key_that_is_no_text_is_refused_where_nobody_reads_it() -> None:
    with pytest.raises(ApiError, match="UTF-8") as refused:
        decode_body(b'{"metadata":{"name":"a"},"\xffdata":{}}', JSON, ConfigMap)
    assert refused.value.code == 400


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "labels": {"a": "b"}},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "100m", "memory": 1e9}},
            }
        ],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
    },
}
PIECES = st.binary(max_size=6) | st.sampled_from(
    [b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 300, b'{"a":' * 300, b"\xff", b"\x00", b"\\ud800",
     b"*a", b"&a ", b"!!binary ", b"<<: ", b"\n---\n", b"\t", b"%YAML", b'"', b"{", b"]", b"0x1F", b"null"]
)  # fmt: skip


@given(st.data())
def test_a_sound_body_with_something_in_it_is_an_object_or_a_400(data: st.DataObject) -> None:
    body, sent_as = json.dumps(POD).encode(), data.draw(st.sampled_from([JSON, YAML]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        gone = data.draw(st.integers(0, 4))
        body = body[:at] + data.draw(PIECES) + body[at + gone :]
    accepted_or_refused(body, sent_as)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 7), st.binary(max_size=12)), max_size=8)
)
def test_protobuf_records_of_any_sort_are_an_object_or_a_400(
    records: list[tuple[int, int, bytes]],
) -> None:
    message = b"".join(bytes([number << 3 & 0xFF | wire]) + rest for number, wire, rest in records)
    for raw in (message, bytes([len(message) & 0x7F]) + message):
        inner = b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12" + bytes([len(raw) & 0x7F]) + raw
        accepted_or_refused(b"k8s\x00" + inner, PROTOBUF)


def accepted_or_refused(body: bytes, sent_as: str) -> None:
    try:
        assert isinstance(decode_body(body, sent_as, Pod).obj, Pod)
    except ApiError as error:
        assert error.code == 400 and error.message
