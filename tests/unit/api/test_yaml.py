"""YAML: the meaning of scalars, keys, anchors, merges, limits, and the words of refusals."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.codec import jsontree, yaml
from api.codec.jsontree import MAX_DEPTH, Repeating


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("tRue", "tRue"),
        ("yes", True), ("on", True), ("y", True), ("Y", True),
        ("no", False), ("off", False), ("n", False), ("NO", False), ("nO", "nO"),
        ("null", None), ("~", None), ("Null", None), ("nuLL", "nuLL"), ("", None),
        ("0", 0), ("-0", 0), ("+5", 5), ("1_000", 1000), ("0755", 0o755), ("0o755", 0o755), ("-010", -8),
        ("00", 0), ("-00", 0), ("0x1F", 31), ("0b101", 5), ("08", 8), ("09.5", 9.5),
        ("123456789012345678901", 123456789012345678901),
        ("1.5", 1.5), (".5", 0.5), ("5.", 5), ("1e3", 1000), ("1E-2", 0.01), ("-1.0", -1),
        ("1e999", "1e999"), ("1e400_0", "1e400_0"), ("-", [None]), ("+", "+"), (".", "."), ("1.2.3", "1.2.3"),
        ("0x", "0x"), ("0xg", "0xg"),
        ("12:30", "12:30"), ("12:30:45", "12:30:45"), ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ("10.0.0.1", "10.0.0.1"), ("=", "="),
        ("'yes'", "yes"), ('"1"', "1"), ("!!str 1", "1"), ("!!int 1", 1), ("!!float 1", 1),
        ("|\n  a\n  b\n", "a\nb\n"), (">\n  a\n  b\n", "a b\n"), ("'it''s'", "it's"), ("é", "é"),
    ],
)  # fmt: skip
def test_scalars(text: str, expected: Any) -> None:
    found = yaml.load(f"k: {text}".encode()) if text != "-" else {"k": yaml.load(b"-")}
    assert found == {"k": expected}
    assert type(found["k"]) is type(expected)


def test_keys_become_strings() -> None:
    assert yaml.load(b"{1: a, 1.5: b, true: c, no: d, x: e}") == {
        "1": "a", "1.5": "b", "true": "c", "false": "d", "x": "e",
    }  # fmt: skip


def test_duplicate_keys_are_found() -> None:
    found = yaml.load(b"a: {x: 1, z: 2, x: 3, x: 4}\nb: 1\n")
    assert found == {"a": {"x": 4, "z": 2}, "b": 1}
    assert isinstance(found["a"], Repeating) and found["a"].repeated == ["x"]
    assert not isinstance(found, Repeating)


def test_anchors_and_merges() -> None:
    text = b"""
base: &base {image: i, env: [1]}
one: *base
two: {<<: *base, image: j}
three:
  image: k
  <<: [*base, {extra: 1, image: z}]
&name key: v
list: [&x a, *x]
"""
    found = yaml.load(text)
    assert found["one"] == {"image": "i", "env": [1]}
    assert found["one"] is not found["base"]
    assert found["two"] == {"image": "j", "env": [1]}
    assert found["three"] == {"image": "k", "env": [1], "extra": 1}
    assert found["list"] == ["a", "a"]
    assert not isinstance(found["two"], Repeating)
    assert yaml.load(b'{"<<": 1}') == {"<<": 1}


def test_documents() -> None:
    assert yaml.load(b"") is None and yaml.load(b"# c\n---\n") is None
    assert yaml.load(b"---\n---\na: 1\n...\n") == {"a": 1}
    assert yaml.load_all(b"a: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert yaml.load(b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: 1\n---\nb: 2", "the body holds 2 YAML documents"),
        (b"a: .nan", "line 1: JSON cannot hold the number .nan"),
        (b"a: -.inf", "JSON cannot hold the number -.inf"),
        (b"x:\n  a: !foo b", "line 2: the tag !foo has no meaning in JSON"),
        (b"a: !!binary aGk=", "the tag !!binary has no meaning in JSON"),
        (b"a: !!set {b}", "the tag !!set has no meaning in JSON"),
        (b"a: !!int x", "cannot decode `x` as a !!int"),
        (b"? [a]\n: b", "a key must be a scalar"),
        (b"~: 1", "a key must be a string"),
        (b"a: &a [*a]", "anchor 'a' value contains itself"),
        (b"a: *b", "unknown anchor 'b' referenced"),
        (b"a: &x 1\n---\nb: *x", "unknown anchor 'x' referenced"),
        (b"a: {<<: 5}", "map merge requires map or sequence of maps as the value"),
        (b"a: b: c", "line 1: mapping values are not allowed in this context"),
        (b"a:\n\t- b", "line 2: found character that cannot start any token"),
        (b"a: [1, 2", "did not find expected ',' or ']'"),
        (b"a: 'x", "found unexpected end of stream"),
        (b"a: \x01", "control characters are not allowed"),
        (b'a: "\\ud800"', "invalid Unicode character escape code"),
        (b"\xff\xfe", "the body is not UTF-8: invalid start byte (0xff) at byte 0"),
        (b"a: b\nc: \xe9", "the body is not UTF-8"),
        (b"[" * 300, f"nested deeper than {MAX_DEPTH} levels"),
        (b"- " * 300 + b"x", f"nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_refused(text: bytes, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        yaml.load(text)
    assert words in str(caught.value)


def test_bombs_go_out_quickly() -> None:
    laughs = b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 9))
        for level in range(1, 12)
    )
    merges = b"a0: &a0 {k0: 1}\n" + b"".join(
        b"a%d: &a%d {k%d: *a%d, <<: *a%d}\n" % (level, level, level, level - 1, level - 1)
        for level in range(1, 40)
    )
    stairs = b"a0: &a0 [x]\n" + b"".join(
        b"a%d: &a%d [*a%d]\n" % (level, level, level - 1) for level in range(1, 300)
    )
    began = time.process_time()
    for bomb in (laughs, merges, stairs):
        with pytest.raises(ValueError, match="excessive aliasing|nested deeper"):
            yaml.load(bomb)
    assert time.process_time() - began < 20


JSON_TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(JSON_TREES)
def test_json_is_yaml(tree: Any) -> None:
    text = json.dumps(tree, ensure_ascii=False)
    if all(character.isprintable() for character in text):
        assert yaml.load(f"[{text}]".encode()) == [tree]
    text = json.dumps({"a": tree})
    assert yaml.load(text.encode()) == {"a": tree}
    text = json.dumps(tree)
    assert jsontree.parse(text.encode()) == tree


@given(JSON_TREES)
def test_json_keeps_what_was_written(tree: Any) -> None:
    parsed, repeating = jsontree.parse_counting(json.dumps({"a": tree}).encode())
    assert not repeating and jsontree.plain(parsed) == {"a": tree}
    parsed, repeating = jsontree.parse_counting(f'{{"a":1e3,"a":{json.dumps(tree)}}}'.encode())
    assert repeating and parsed.repeated == ["a"] and parsed["a"] == tree
    assert jsontree.parse(b"1e3").text == "1e3"
