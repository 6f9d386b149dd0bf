"""Formats of strings and numbers, and patterns in Go's notation: good and bad examples."""

from __future__ import annotations

import pytest

from api.formats import STRINGS, fits_integer
from api.patterns import compile_pattern

GOOD = [
    ("date", "2026-02-28"),
    ("date-time", "2026-02-28T01:02:03Z"),
    ("date-time", "2026-02-28T01:02:03.004+02:00"),
    ("datetime", "2026-02-28t01:02:03z"),
    ("duration", "1h30m"),
    ("duration", "0"),
    ("duration", "2 days"),
    ("byte", "aGVsbG8="),
    ("byte", ""),
    ("ipv4", "10.0.0.1"),
    ("ipv6", "::1"),
    ("cidr", "10.0.0.0/8"),
    ("cidr", "10.1.2.3/8"),
    ("cidr", "fd00::/64"),
    ("mac", "00:00:5e:00:53:01"),
    ("mac", "0000.5e00.5301"),
    ("uuid", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    ("uuid4", "0e2f1c9a-3b6d-4f7e-8a5b-1c2d3e4f5a6b"),
    ("uuid3", "a3bb189e-8bf9-3888-9912-ace4e6543002"),
    ("uuid5", "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
    ("email", "someone@example.com"),
    ("hostname", "node-1"),
    ("hostname", "www.example.com"),
    ("uri", "https://example.com/a?b"),
    ("uri", "/path"),
    ("password", "anything at all"),
    ("hexcolor", "#a0b1c2"),
    ("rgbcolor", "rgb(0, 128,255)"),
    ("isbn10", "0-306-40615-2"),
    ("isbn", "978-0-306-40615-7"),
    ("isbn13", "9780306406157"),
    ("creditcard", "4111 1111 1111 1111"),
    ("ssn", "123-45-6789"),
    ("bsonobjectid", "507f1f77bcf86cd799439011"),
]
BAD = [
    ("date", "2026-02-30"),
    ("date", "20260228"),
    ("date-time", "2026-02-28"),
    ("date-time", "2026-02-28T25:00:00Z"),
    ("date-time", "2026-02-28T01:02:03"),
    ("duration", "soon"),
    ("duration", ""),
    ("byte", "a"),
    ("byte", "not base64!"),
    ("ipv4", "10.0.0.256"),
    ("ipv4", "::1"),
    ("ipv6", "10.0.0.1"),
    ("ipv6", "fe80::1%eth0"),
    ("cidr", "10.0.0.0"),
    ("cidr", "10.0.0.0/33"),
    ("cidr", "10.0.0.0/255.0.0.0"),
    ("mac", "00:00:5e:00:53"),
    ("uuid", "f81d4fae"),
    ("uuid4", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    ("email", "someone"),
    ("email", "a b@example.com"),
    ("hostname", "-a"),
    ("hostname", "a_b"),
    ("hostname", "a" * 64),
    ("uri", "no scheme"),
    ("uri", ""),
    ("hexcolor", "#12"),
    ("rgbcolor", "rgb(0,0,256)"),
    ("isbn10", "0-306-40615-3"),
    ("isbn13", "9780306406158"),
    ("creditcard", "4111 1111 1111 1112"),
    ("ssn", "12-345-6789"),
    ("bsonobjectid", "507f"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good(name: str, value: str) -> None:
    assert STRINGS[name](value)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad(name: str, value: str) -> None:
    assert not STRINGS[name](value)


def test_every_format_is_tried() -> None:
    assert {name for name, _ in GOOD} == set(STRINGS)
    assert {name for name, _ in BAD} == set(STRINGS) - {
        "password",
        "isbn",
        "datetime",
        "uuid3",
        "uuid5",
    }


@pytest.mark.parametrize(
    ("value", "name", "fits"),
    [
        (2**31 - 1, "int32", True),
        (2**31, "int32", False),
        (-(2**31), "int32", True),
        (2**63, "int64", False),
        (2**63, "", True),
        (1e300, "double", True),
    ],
)
def test_integers(value: float, name: str, fits: bool) -> None:
    assert fits_integer(value, name) is fits


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^a+$", "aa", "aa\n"),
        ("b", "abc", "ac"),
        (r"^[[:alpha:]_]+\z", "ab_", "a1"),
        (r"^\pL+$", "äb", "1"),
        (r"^[\p{L}\d]+$", "ä1", "-"),
        (r"^\P{L}$", "1", "a"),
        (r"^\d$", "1", "٣"),
        (r"^\Qa.b\E$", "a.b", "acb"),
        ("^(?i)abc$", "ABC", "abd"),
        ("^(?s:a.b)$", "a\nb", "ab"),
        (r"^\p{Arabic}+[[:^digit:]]$", "عا", "1"),
        ("^(a+)+$", "a" * 50_000, "a" * 50_000 + "!"),  # hours, for a matcher that goes back
        ("^a{2}$", "aa", "a"),
        ("^{a}$", "{a}", "a"),
        ("^[^]a]$", "b", "]"),
        ("^[[a]$", "[", "b"),
        (r"^(?P<name>x)$", "x", "y"),
        (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b", "a-"),
    ],
)
def test_patterns(pattern: str, good: str, bad: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.search(good)
    assert not compiled.search(bad)


@pytest.mark.parametrize(
    "pattern", ["(", "[", "a**", "(?=a)", "(?<!a)b", r"(a)\1", r"\p{Odd}", "[[:odd:]]"]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="error parsing regexp"):
        compile_pattern(pattern)
