"""Completion indexes as ranges: the same as a set of numbers, only shorter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import indexset

NUMBERS = st.sets(st.integers(0, 40))


@given(NUMBERS, NUMBERS)
def test_it_behaves_as_a_set(left: set[int], right: set[int]) -> None:
    one, other = indexset.of(left), indexset.of(right)
    assert len(one) == len(left)
    assert {number for number in range(42) if number in one} == left
    assert one | other == indexset.of(left | right) == one.with_(right)
    assert one.common(other) == len(left & right)
    assert list(one.missing(30)) == sorted(set(range(30)) - left)


@given(NUMBERS)
def test_it_reads_what_it_writes(numbers: set[int]) -> None:
    made = indexset.of(numbers)
    assert indexset.parse(str(made), 41) == made
    assert indexset.count(str(made), 41) == len(numbers)


def test_ranges_are_written_as_kubernetes_writes_them() -> None:
    assert str(indexset.of([7, 3, 4, 5, 1])) == "1,3-5,7"
    assert str(indexset.of([2, 3])) == "2,3"
    assert str(indexset.of([])) == ""


def test_a_status_of_more_completions_is_cut() -> None:
    assert str(indexset.parse("0,2-5,7", 4)) == "0,2,3"
    assert str(indexset.parse("0,x,2", 4)) == "0,2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1-2-3", "at most two parts separated by '-'"),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("1,", 'cannot convert string to integer for index: ""'),
        ("1-x", 'cannot convert string to integer for index: "x"'),
        ("5", 'too large index: "5"'),
        ("2-7", 'too large index: "7"'),
        ("3,1", "non-increasing order, previous: 3, current: 1"),
        ("3,3", "non-increasing order, previous: 3, current: 3"),
        ("4-2", "non-increasing order, previous: 4, current: 2"),
        ("0-2,2", "non-increasing order, previous: 2, current: 2"),
    ],
)
def test_what_the_api_refuses(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", "\\(")):
        indexset.count(text, 5)
