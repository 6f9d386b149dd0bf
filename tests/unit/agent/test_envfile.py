"""Files of variables: what is read, and what is wrong with others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.spec.envfile import parse
from agent.spec.errors import ConfigError

GOOD = [
    ("", {}),
    ("\n  # nothing\n\n", {}),
    ("A='1'", {"A": "1"}),
    ("  A='1'  # why\nB=''\n", {"A": "1", "B": ""}),
    ("A='a \"b\" $C \\\\ #'\n", {"A": 'a "b" $C \\\\ #'}),
    ("A='one\ntwo\n'\nB='2'", {"A": "one\ntwo\n", "B": "2"}),
    ("A='1'\nA='2'\n", {"A": "2"}),
    ("a.b-c='1'\r\n", {"a.b-c": "1"}),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_variables(text: str, expected: dict[str, str]) -> None:
    assert parse(text) == expected


BAD = [
    ("A=1", "line 1: expected NAME='value'"),
    ('A="1"', "line 1: expected NAME='value'"),
    ("A = '1'", "line 1: expected NAME='value'"),
    ("export A='1'", "line 1: expected NAME='value'"),
    ("A='1'\n='2'", "line 2: expected NAME='value'"),
    ("A='1", "line 1: the quote is not closed"),
    ("A='1'B='2'", "line 1: there is something behind the value"),
    ("\n\nA='x\ny' z", "line 4: there is something behind the value"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_is_no_variable(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.message == words


NAMES = st.from_regex(r"[A-Z_]{1,5}", fullmatch=True)
VALUES = st.text().filter(lambda text: "'" not in text)


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_what_is_written_is_read(values: dict[str, str]) -> None:
    assert parse("".join(f"{name}='{value}'\n" for name, value in values.items())) == values
