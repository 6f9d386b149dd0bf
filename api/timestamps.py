"""Times as the API writes them: RFC 3339 in UTC, whole seconds, or microseconds for MicroTime.

Serves every step of the pod's walk that stamps an object or reads a stamp. Objects carry times as
strings in this canonical form (`api.struct`), so passing one on costs nothing; code that computes
with a time parses it here, once.

Pure functions; what time it is comes from the `Clock` that is passed in.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from base.clock import Clock

_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})"
)
_LAYOUT = "2006-01-02T15:04:05Z07:00"


def now_string(clock: Clock) -> str:
    """The present as a `Time`."""
    return format(clock.now())


def now_micro_string(clock: Clock) -> str:
    """The present as a `MicroTime`."""
    return format_micro(clock.now())


def format(moment: datetime) -> str:  # (the module is used as `timestamps.format`)
    """`2026-01-02T03:04:05Z`; the fraction of the second is dropped, as Kubernetes does."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"


def format_micro(moment: datetime) -> str:
    """`2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def parse(text: str) -> datetime:
    """Read a `Time` or a `MicroTime` (any RFC 3339 time) as an aware datetime in UTC.

    Raises:
        ValueError: worded as Go words it, because that is what users know.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(
            f'parsing time "{text[:100]}" as "{_LAYOUT}": '
            "expected a time such as 2026-01-02T03:04:05Z"
        )
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_zone(zone),
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'parsing time "{text[:100]}": {_out_of_range(str(error))}') from None


def canonical(text: str) -> str:
    """The `Time` that `text` means, in canonical form."""
    return format(parse(text))


def canonical_micro(text: str) -> str:
    """The `MicroTime` that `text` means, in canonical form."""
    return format_micro(parse(text))


def age(clock: Clock, since: str) -> timedelta:
    """How long ago `since` was, by the wall clock."""
    return clock.now() - parse(since)


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _out_of_range(message: str) -> str:
    """`day is out of range for month` → `day out of range`, Go's words."""
    for part in ("year", "month", "day", "hour", "minute", "second"):
        if message.startswith(part):
            return f"{part} out of range"
    return "out of range"
