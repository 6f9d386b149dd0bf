"""Prometheus' text format, written by hand: names and types of these pages are Kubernetes', and some
(counters that do not end in `_total`) no library would write. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Exposition:
    """A page of metrics under way: families in the order in which they are first named."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def declare(self, name: str, type_: str, help_: str) -> None:
        """Begin a family. May be called twice."""
        self._families.setdefault(name, [f"# HELP {name} {help_}", f"# TYPE {name} {type_}"])

    def add(
        self,
        name: str,
        value: float,
        labels: Mapping[str, str] | None = None,
        *,
        at: int | None = None,
        suffix: str = "",
    ) -> None:
        """A sample of a family that was declared; `at` in milliseconds since 1970."""
        shown = ",".join(
            f'{label}="{text.translate(_ESCAPES)}"' for label, text in (labels or {}).items()
        )
        line = f"{name}{suffix}{{{shown}}}" if shown else f"{name}{suffix}"
        line += f" {_number(value)}"
        self._families[name].append(line if at is None else f"{line} {at}")

    def render(self) -> bytes:
        """The page. A family without samples is left out."""
        lines = [line for family in self._families.values() if len(family) > 2 for line in family]
        return "".join(f"{line}\n" for line in lines).encode()


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
