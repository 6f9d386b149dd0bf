"""The query string of a request, read as Kubernetes' options are: typed, with errors that name them.

Unknown parameters are ignored, as the real server does: clients send `timeout` and others that mean
nothing here.
"""

from __future__ import annotations

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


def parse_query(raw: str) -> Mapping[str, list[str]]:
    try:
        return parse_qs(raw, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise errors.bad_request(f"the query string cannot be read: {error}") from None
