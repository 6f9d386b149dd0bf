"""Cells that many kinds print: name, age, and times in the words kubectl uses."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from api import timestamps
from api.meta import LabelSelector
from control.resources.strategy import Column

NONE = "<none>"
UNKNOWN = "<unknown>"


def human_duration(seconds: float) -> str:
    """A duration as kubectl shortens it: `45s`, `3m20s`, `5h`, `2d4h`, `1y20d`."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(first: int, unit: str, second: int, smaller: str) -> str:
    return f"{first}{unit}{second}{smaller}" if second else f"{first}{unit}"


def since(text: str | None, now: datetime) -> str:
    """The age of a timestamp, or `<unknown>` where there is none."""
    if not text:
        return UNKNOWN
    return human_duration((now - timestamps.parse(text)).total_seconds())


def join_or_none(values: Iterable[str]) -> str:
    """Comma-separated, `<none>` when there is nothing."""
    return ",".join(values) or NONE


def format_labels(labels: dict[str, str]) -> str:
    """`a=b,c=d`, sorted; `<none>` when empty."""
    return join_or_none(f"{key}={value}" for key, value in sorted(labels.items()))


def format_selector(selector: LabelSelector | None) -> str:
    """A label selector as the user would type it."""
    if selector is None:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for term in selector.match_expressions:
        values = ",".join(sorted(term.values))
        parts.append(
            {
                "In": f"{term.key} in ({values})",
                "NotIn": f"{term.key} notin ({values})",
                "Exists": term.key,
                "DoesNotExist": f"!{term.key}",
            }.get(term.operator, term.key)
        )
    return join_or_none(parts)


def converted(
    columns: Iterable[Column[Any]], convert: Callable[[Any], Any]
) -> tuple[Column[Any], ...]:
    """The columns of a kind, printed of objects of another version: `convert` makes them its own."""
    return tuple(_converted(column, convert) for column in columns)


def _converted(column: Column[Any], convert: Callable[[Any], Any]) -> Column[Any]:
    def cell(obj: Any, now: datetime) -> Any:
        return column.cell(convert(obj), now)

    return replace(column, cell=cell)


def _age(obj: Any, now: datetime) -> str:
    return since(obj.metadata.creation_timestamp, now)


NAME: Column[Any] = Column(
    "Name",
    "string",
    lambda obj, now: obj.metadata.name,
    format="name",
    description="Name of the object, unique within its namespace.",
)
AGE: Column[Any] = Column("Age", "string", _age, description="Time since the object was created.")
