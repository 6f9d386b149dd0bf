"""Quantities: parsing, rounding, canonical spelling and arithmetic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import quantity
from api.quantity import FORMAT_ERROR, NUMERIC_ERROR, SUFFIX_ERROR, Family, parse

AMOUNTS = [
    ("0n", 0, Family.DECIMAL_SI),
    ("0Ki", 0, Family.BINARY_SI),
    ("1Ki", 1024, Family.BINARY_SI),
    ("3Ei", 3 * 2**60, Family.BINARY_SI),
    ("5n", "5e-9", Family.DECIMAL_SI),
    ("4u", "4e-6", Family.DECIMAL_SI),
    ("3m", "3e-3", Family.DECIMAL_SI),
    ("50k", 50_000, Family.DECIMAL_SI),
    ("1E", 10**18, Family.DECIMAL_SI),
    ("12E", 12 * 10**18, Family.DECIMAL_SI),
    ("1E-3", "1e-3", Family.DECIMAL_EXPONENT),
    ("1e3", 1000, Family.DECIMAL_EXPONENT),
    ("1.3E+6", 1_300_000, Family.DECIMAL_EXPONENT),
    ("100.035k", 100_035, Family.DECIMAL_SI),
    ("0.0005k", "0.5", Family.DECIMAL_SI),
    ("3.001n", "4e-9", Family.DECIMAL_SI),
    ("0.0000000001", "1e-9", Family.DECIMAL_SI),
    ("0.00000012345", "124e-9", Family.DECIMAL_SI),
    ("9Ei", 2**63 - 1, Family.BINARY_SI),
    ("9223372036854775807Ki", 2**63 - 1, Family.BINARY_SI),
    ("100.035Ki", "102435.84", Family.BINARY_SI),
    ("0.5Mi", 2**19, Family.BINARY_SI),
    ("0.000000000001Ki", "2e-9", Family.DECIMAL_SI),
    (".001", "0.001", Family.DECIMAL_SI),
    ("1.", 1, Family.DECIMAL_SI),
    ("1.G", 10**9, Family.DECIMAL_SI),
    ("+1", 1, Family.DECIMAL_SI),
    ("-1.5Gi", -3 * 2**29, Family.BINARY_SI),
]


@pytest.mark.parametrize(("text", "amount", "family"), AMOUNTS)
def test_parse(text: str, amount: int | str, family: Family) -> None:
    found = parse(text)
    assert found.decimal == Decimal(amount)
    assert found.family is family


CANONICAL = [
    ("0.5", "500m"),
    (0.5, "500m"),
    (2, "2"),
    (1000, "1k"),
    ("1000", "1k"),
    ("1024", "1024"),
    ("1024Mi", "1Gi"),
    ("1.5Gi", "1536Mi"),
    ("1e3", "1e3"),
    ("1E3", "1e3"),
    ("12e4", "120e3"),
    ("1e0", "1"),
    ("0Gi", "0"),
    ("-0", "0"),
    ("0.5Ki", "512"),
    ("1023Ki", "1023Ki"),
    ("1.1Ki", "1126400m"),
    ("1.0001Ki", "1024102400u"),
    ("1500m", "1500m"),
    ("2000m", "2"),
    ("1000000k", "1G"),
    ("1000E", "1000E"),
    ("1e21", "1e21"),
    ("-1.5Gi", "-1536Mi"),
    (" 1Gi ", "1Gi"),
    (1e22, "10e21"),
    (1e-7, "100e-9"),
    ("9Ei", "9223372036854775807"),
]


@pytest.mark.parametrize(("value", "expected"), CANONICAL)
def test_canonical(value: str | float, expected: str) -> None:
    assert quantity.canonical(value) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", FORMAT_ERROR),
        ("Non-Numeric", FORMAT_ERROR),
        ("1.1.M", FORMAT_ERROR),
        ("1+1.0M", FORMAT_ERROR),
        ("1Gi ", FORMAT_ERROR),
        ("١", FORMAT_ERROR),
        ("0.1am", FORMAT_ERROR),
        (".", NUMERIC_ERROR),
        ("1i", SUFFIX_ERROR),
        ("0.1mi", SUFFIX_ERROR),
        ("1K", SUFFIX_ERROR),
        ("-3.01e-", SUFFIX_ERROR),
        ("1e999999999", SUFFIX_ERROR),
        ("9" * 300, FORMAT_ERROR),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_counting_rounds_up() -> None:
    assert quantity.milli("1") == 1000
    assert quantity.milli("100u") == 1
    assert quantity.value("1m") == 1
    assert quantity.value("1500m") == 2
    assert quantity.value("-1500m") == -2
    assert quantity.value("1Gi") == 2**30


def test_arithmetic_keeps_the_family() -> None:
    assert quantity.add("100m", "0") == "100m"
    assert quantity.add("0", "1Gi") == "1Gi"
    assert quantity.add("512Mi", "512Mi") == "1Gi"
    assert quantity.add("1k", "24") == "1024"
    assert quantity.subtract("0", "100m") == "-100m"
    assert quantity.compare("10000T", "100Gi") == 1
    assert quantity.compare("1Ki", "1024") == 0
    assert parse("1Ki") == parse("1024")


def test_spelling_from_numbers() -> None:
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.from_milli(2000) == "2"
    assert quantity.from_value(110) == "110"
    assert quantity.from_bytes(2**30) == "1Gi"
    assert quantity.from_bytes(1000) == "1k"


NUMBERS = st.from_regex(r"[+-]?[0-9]{1,12}(\.[0-9]{0,12})?", fullmatch=True)
SUFFIXES = st.sampled_from(
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
) | st.integers(-30, 30).map(lambda exponent: f"e{exponent}")


@given(NUMBERS, SUFFIXES)
def test_canonical_is_stable_and_means_the_same(number: str, suffix: str) -> None:
    once = quantity.canonical(number + suffix)
    assert quantity.canonical(once) == once
    assert parse(once) == parse(number + suffix)


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert str(error) in (FORMAT_ERROR, NUMERIC_ERROR, SUFFIX_ERROR)
