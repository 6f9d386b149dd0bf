"""Resource quantities: `500m`, `1Gi`, `2e3`, exactly, in the spelling Kubernetes gives them.

Serves the pod's walk wherever resources are counted: decoding makes every quantity canonical,
validation and the scheduler compare them, the agent turns them into cgroup values.

A quantity is an exact number of nano-units and the family it was written in, because the canonical
spelling stays in its family: `1024Mi` → `1Gi`, `0.5` → `500m`, `1000` → `1k`, `1e3` → `1e3`.
As in Kubernetes, anything finer than a nano-unit is rounded up (away from zero), binary quantities
are capped at 2⁶³-1, and a binary quantity that is small or not whole is written in decimals.

Pure; results of `parse` and `canonical` are cached, since clusters use few distinct quantities.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache

FORMAT_ERROR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
NUMERIC_ERROR = "unable to parse numeric part of quantity"
SUFFIX_ERROR = "unable to parse quantity's suffix"

_SPLIT = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_NUMBER = re.compile(r"([+-]?)([0-9]*)\.?([0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")

_NANO = 10**9
_MAX_BINARY = 2**63 - 1
# Kubernetes has no such limits; they keep a hostile "1e999999999" from filling the memory.
_MAX_LENGTH = 256
_MAX_EXPONENT = 256


class Family(Enum):
    """How a quantity was written, and is written again."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount. Ordered and compared by amount; `str()` is the canonical spelling."""

    nano: int
    family: Family = Family.DECIMAL_SI

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __le__(self, other: Quantity) -> bool:
        return self.nano <= other.nano

    def __gt__(self, other: Quantity) -> bool:
        return self.nano > other.nano

    def __ge__(self, other: Quantity) -> bool:
        return self.nano >= other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano + other.nano, self._family_with(other))

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano - other.nano, self._family_with(other))

    def __neg__(self) -> Quantity:
        return Quantity(-self.nano, self.family)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __str__(self) -> str:
        return _spell(self)

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero: what CPU is counted in."""
        return _divide_up(self.nano, 10**6)

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero: bytes, pods, devices."""
        return _divide_up(self.nano, _NANO)

    @property
    def decimal(self) -> Decimal:
        """The exact amount."""
        return Decimal(self.nano).scaleb(-9)

    def _family_with(self, other: Quantity) -> Family:
        # A zero takes the family of what is added to it: 0 + 1Gi is 1Gi.
        return self.family if self.nano else other.family


ZERO = Quantity(0)


@lru_cache(maxsize=4096)
def parse(text: str) -> Quantity:
    """Read a quantity.

    Raises:
        ValueError: with one of Kubernetes' three messages.
    """
    split = _SPLIT.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if split is None:
        raise ValueError(FORMAT_ERROR)
    number = _NUMBER.fullmatch(split[1])
    if number is None or not (number[2] or number[3]):
        raise ValueError(FORMAT_ERROR if number is None else NUMERIC_ERROR)
    sign, whole, fraction = number.groups()
    base, exponent, family = _suffix(split[2])
    digits = int(whole + fraction)
    if base == 2:
        nano = _divide_up(digits * 2**exponent * _NANO, 10 ** len(fraction))
    else:
        scale = exponent - len(fraction) + 9
        nano = digits * 10**scale if scale >= 0 else _divide_up(digits, 10**-scale)
    if family is Family.BINARY_SI:
        nano = min(nano, _MAX_BINARY * _NANO)
        if 0 < nano < _NANO:
            family = Family.DECIMAL_SI
    return Quantity(-nano if sign == "-" else nano, family)


@lru_cache(maxsize=4096)
def canonical(value: str | int | float) -> str:
    """The canonical spelling of a quantity given as a string or a JSON number."""
    return str(parse(_as_text(value)))


def milli(text: str) -> int:
    """Thousandths of `text`, rounded up."""
    return parse(text).milli


def value(text: str) -> int:
    """Whole units of `text`, rounded up."""
    return parse(text).value


def add(left: str, right: str) -> str:
    """The sum, in the family of `left` (of `right` when `left` is zero)."""
    return str(parse(left) + parse(right))


def subtract(left: str, right: str) -> str:
    """The difference, in the family of `left` (of `right` when `left` is zero)."""
    return str(parse(left) - parse(right))


def compare(left: str, right: str) -> int:
    """-1, 0 or 1."""
    a, b = parse(left).nano, parse(right).nano
    return (a > b) - (a < b)


def from_milli(amount: int) -> str:
    """`1500` thousandths → `1500m`."""
    return str(Quantity(amount * 10**6))


def from_value(amount: int) -> str:
    """`1000` units → `1k`."""
    return str(Quantity(amount * _NANO))


def from_bytes(amount: int) -> str:
    """`1048576` bytes → `1Mi`."""
    return str(Quantity(amount * _NANO, Family.BINARY_SI))


def _as_text(value: str | int | float) -> str:
    if isinstance(value, str):
        return value.strip()
    return repr(value)


def _suffix(suffix: str) -> tuple[int, int, Family]:
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], Family.DECIMAL_SI
    if suffix in _BINARY:
        return 2, _BINARY[suffix], Family.BINARY_SI
    found = _EXPONENT.fullmatch(suffix)
    if found is None or abs(exponent := int(found[1])) > _MAX_EXPONENT:
        raise ValueError(SUFFIX_ERROR)
    return 10, exponent, Family.DECIMAL_EXPONENT


def _spell(quantity: Quantity) -> str:
    nano = quantity.nano
    if nano == 0:
        return "0"
    if quantity.family is Family.BINARY_SI:
        units, rest = divmod(nano, _NANO)
        if rest == 0 and abs(units) >= 1024:
            return _spell_binary(units)
    return _spell_decimal(nano, exponents=quantity.family is Family.DECIMAL_EXPONENT)


def _spell_binary(units: int) -> str:
    power = 0
    while units % 1024 == 0 and power < len(_BINARY_SUFFIX) - 1:
        units //= 1024
        power += 1
    return f"{units}{_BINARY_SUFFIX[power]}"


def _spell_decimal(nano: int, *, exponents: bool) -> str:
    exponent = -9
    # No suffix is larger than E; an exponent has no end.
    while nano % 1000 == 0 and (exponents or exponent < 18):
        nano //= 1000
        exponent += 3
    if exponents:
        return f"{nano}e{exponent}" if exponent else str(nano)
    return f"{nano}{_DECIMAL_SUFFIX[exponent]}"


def _divide_up(amount: int, by: int) -> int:
    """Division that rounds away from zero."""
    return -(-amount // by) if amount >= 0 else amount // by
