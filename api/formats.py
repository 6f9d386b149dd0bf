"""What the formats of OpenAPI mean for values: the ones that Kubernetes checks in custom resources.

Serves step 1 of the pod's walk for custom resources. A format that is not here says nothing about
values ("Validation" in "Extend the Kubernetes API with CustomResourceDefinitions" lists them).
Pure; each check takes a value and says whether it is good.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date

_UUID = "(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?%s-?%s-?[0-9A-F]{12}"
_TIME = re.compile(r"(?i)([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MAC = re.compile(
    r"(?i)([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}((\2[0-9a-f]{2}){2}|(\2[0-9a-f]{2}){14})?"
    r"|[0-9a-f]{4}(\.[0-9a-f]{4}){2}((\.[0-9a-f]{4})|(\.[0-9a-f]{4}){7})?)"
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010FFFF-]+"
_EMAIL = re.compile(rf"({_ATOM}(\.{_ATOM})*|\"[^\"\\\r\n]*\")@({_ATOM}(\.{_ATOM})*|\[[^\]\s]+\])")
_LABEL = r"[^\W_]([^\W_]|-){0,61}[^\W_]|[^\W_]"
_HOSTNAME = re.compile(rf"({_LABEL})|(({_LABEL})\.)+[^\W\d_]{{2,63}}")
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f\x7f]+|/[^\s\x00-\x1f\x7f]*)")
_GO_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_DURATION = re.compile(
    r"(\d+\s*(ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?"
    r"|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)\s*)+"
)
_INTEGERS = {"int32": 31, "int64": 63}


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


def _date(value: str) -> bool:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _date_time(value: str) -> bool:
    if len(value) < 12 or value[10] not in "Tt ":
        return False
    return _date(value[:10]) and _TIME.fullmatch(value[11:]) is not None


def _byte(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _address(value: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(value).version == version and "%" not in value
    except ValueError:
        return False


def _cidr(value: str) -> bool:
    _, slash, length = value.partition("/")
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return bool(slash) and length.isdecimal()


def _checksum(digits: str, weights: Callable[[int], int], modulus: int) -> bool:
    values = [10 if digit in "xX" else int(digit) for digit in digits]
    return sum(value * weights(at) for at, value in enumerate(values)) % modulus == 0


def _isbn10(value: str) -> bool:
    digits = re.sub(r"[\s-]", "", value)
    return bool(re.fullmatch(r"\d{9}[\dXx]", digits)) and _checksum(digits, lambda at: 10 - at, 11)


def _isbn13(value: str) -> bool:
    digits = re.sub(r"[\s-]", "", value)
    weighted = bool(re.fullmatch(r"\d{13}", digits))
    return weighted and _checksum(digits, lambda at: 3 if at % 2 else 1, 10)


def _credit_card(value: str) -> bool:
    digits = re.sub(r"\D", "", value)
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [int(one) * (2 if at % 2 else 1) for at, one in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def _rgb(value: str) -> bool:
    found = re.fullmatch(r"rgb\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)", value)
    return found is not None and all(int(part) < 256 for part in found.groups())


def _duration(value: str) -> bool:
    return bool(_GO_DURATION.fullmatch(value) or _DURATION.fullmatch(value.strip().lower()))


STRINGS: Mapping[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "byte": _byte,
    "cidr": _cidr,
    "creditcard": _credit_card,
    "date": _date,
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": _duration,
    "email": lambda value: _EMAIL.fullmatch(value) is not None,
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": lambda value: len(value) <= 255 and _HOSTNAME.fullmatch(value) is not None,
    "ipv4": lambda value: _address(value, 4),
    "ipv6": lambda value: _address(value, 6),
    "isbn": lambda value: _isbn10(value) or _isbn13(value),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "mac": lambda value: _MAC.fullmatch(value) is not None,
    "password": lambda value: True,
    "rgbcolor": _rgb,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": lambda value: _URI.fullmatch(value) is not None,
    "uuid": _matches(_UUID % ("[0-9A-F]{4}", "[0-9A-F]{4}")),
    "uuid3": _matches(_UUID % ("3[0-9A-F]{3}", "[0-9A-F]{4}")),
    "uuid4": _matches(_UUID % ("4[0-9A-F]{3}", "[89AB][0-9A-F]{3}")),
    "uuid5": _matches(_UUID % ("5[0-9A-F]{3}", "[89AB][0-9A-F]{3}")),
}


def fits_integer(value: float, format_: str) -> bool:
    """Whether a whole number has room in the format; other formats have room for every number."""
    bits = _INTEGERS.get(format_)
    return bits is None or -(2**bits) <= value < 2**bits
