"""The query string of a request, read as Kubernetes' options are: typed, with errors that name them.

Unknown parameters are ignored, as the real server does: clients send `timeout` and others that mean
nothing here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from api import errors

_MAX_SECONDS = 2**31
_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 40  # characters that are looked at: reading a number takes long where it is long


class Query:
    """The parameters of one request."""

    __slots__ = ("_values",)

    def __init__(self, raw: str) -> None:
        self._values: Mapping[str, list[str]] = parse_query(raw) if raw else {}

    def text(self, name: str, default: str = "") -> str:
        values = self._values.get(name)
        return values[0] if values else default

    def many(self, name: str) -> list[str]:
        return list(self._values.get(name, ()))

    def flag(self, name: str, default: bool = False) -> bool:
        """Kubernetes' reading of booleans: anything but "false", "0" and "" is true."""
        values = self._values.get(name)
        return values[0].lower() not in ("", "0", "false") if values else default

    def has(self, name: str) -> bool:
        return name in self._values

    def integer(self, name: str) -> int | None:
        """A number; an empty parameter counts as absent."""
        text = self.text(name)
        if not text:
            return None
        try:
            number = int(text) if len(text) < _LONGEST_NUMBER else _LARGEST + 1
        except ValueError:
            raise errors.bad_request(
                f"query parameter {name}: expected a whole number, found {text!r}"
            ) from None
        if abs(number) > _LARGEST:
            raise errors.bad_request(f"query parameter {name}: {text[:40]} is out of range")
        return number

    def seconds(self, name: str) -> int | None:
        """A number of seconds that a timer can hold; negative counts as absent."""
        value = self.integer(name)
        return None if value is None or value < 0 else min(value, _MAX_SECONDS)

    def timeout(self, limit: float) -> float:
        """How long the client waits, as it says itself, or `limit` if it says nothing or more."""
        text = self.text("timeout")
        if not text:
            return limit
        seconds = _go_duration(text)
        if seconds is None:
            raise errors.bad_request(
                "invalid timeout specified in the request URL - "
                f"time: invalid duration {json.dumps(text[:_LONGEST_NUMBER])}"
            )
        return min(seconds, limit) if seconds > 0 else limit


_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def _go_duration(text: str) -> float | None:
    """Seconds, of what Go spells as `1m30s`; None for anything else."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    if digits == "0":
        return 0.0
    parts = _PART.findall(digits) if len(digits) < _LONGEST_NUMBER else []
    if not parts or "".join(number + unit for number, unit in parts) != digits:
        return None
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_query(raw: str) -> Mapping[str, list[str]]:
    try:
        return parse_qs(raw, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise errors.bad_request(f"the query string cannot be read: {error}") from None
