"""Cron schedules as Kubernetes reads them: five fields or a macro, and the moments they name.

Serves CronJobs: validation (step 1 of the walk) and their controller. The language is that of
`robfig/cron` (the CronJob documentation names it), which differs from the libraries at hand in what
people notice: `?` is a `*`, names of months and days count, a Sunday is 0 and never 7, `L` and `#` are
errors; and about changes of the clock. Here a schedule names every minute whose reading on the wall
clock fits: one that is skipped in spring does not happen, one that is read twice in autumn happens
twice.

Where both the day of the month and the day of the week are restricted, one of them is enough. A field
that begins with `*` (with a step of at most one) restricts nothing.

Pure: the time zone and all moments are passed in. Searching walks from minute to minute, but leaves
out days and hours that do not fit; a step is only as long as the distance to UTC stays the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

_HORIZON = timedelta(days=5 * 366)
"""How far to look: longer than from one 29th of February to the next, as for "0 0 29 2 *"."""

_MINUTE = timedelta(minutes=1)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


class CronError(ValueError):
    """The text is not a schedule; the message is worded as Kubernetes words it."""


class Schedule(Protocol):
    """The moments at which something is due."""

    def next(self, after: datetime, zone: tzinfo | None) -> datetime | None:
        """The first moment after `after`, in UTC; None if there is none for years."""
        ...

    def latest(self, since: datetime, until: datetime, zone: tzinfo | None) -> datetime | None:
        """The last moment after `since` and not after `until`."""
        ...


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Minutes of the wall clock: one bit for each value that a field allows."""

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    any_day: bool
    any_weekday: bool

    def next(self, after: datetime, zone: tzinfo | None) -> datetime | None:
        moment = after.replace(second=0, microsecond=0) + _MINUTE
        return self._search(moment, moment + _HORIZON, zone)

    def latest(self, since: datetime, until: datetime, zone: tzinfo | None) -> datetime | None:
        moment = until.replace(second=0, microsecond=0)
        found = self._search(moment, max(since, moment - _HORIZON), zone, back=True)
        return found if found is not None and found > since else None

    def _search(
        self, moment: datetime, limit: datetime, zone: tzinfo | None, *, back: bool = False
    ) -> datetime | None:
        while moment >= limit if back else moment <= limit:
            local = moment.astimezone(zone)
            if not self._has_day(local):
                moment = _past_day(moment, local, zone, back=back)
            elif not self.hours >> local.hour & 1:
                moment = _past_hour(moment, local, zone, back=back)
            elif self.minutes >> local.minute & 1:
                return moment
            else:
                moment = moment - _MINUTE if back else moment + _MINUTE
        return None

    def _has_day(self, local: datetime) -> bool:
        if not self.months >> local.month & 1:
            return False
        day = bool(self.days >> local.day & 1)
        weekday = bool(self.weekdays >> local.isoweekday() % 7 & 1)
        if self.any_day or self.any_weekday:
            return day and weekday
        return day or weekday


@dataclass(frozen=True, slots=True)
class Every:
    """So many seconds from one to the next, whatever the clock on the wall says."""

    seconds: int

    def next(self, after: datetime, zone: tzinfo | None) -> datetime | None:
        return after.replace(microsecond=0) + timedelta(seconds=self.seconds)

    def latest(self, since: datetime, until: datetime, zone: tzinfo | None) -> datetime | None:
        begin = since.replace(microsecond=0)
        rounds = int((until - begin).total_seconds()) // self.seconds
        return begin + timedelta(seconds=rounds * self.seconds) if rounds > 0 else None


def parse(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        CronError: it is not one.
    """
    if not text:
        raise CronError("empty spec string")
    if text.startswith("@"):
        return _parse_macro(text)
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise CronError(
            f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: [{' '.join(parts)}]"
        )
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = (
        _parse_field(part, field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    return Fields(minutes, hours, days, months, weekdays, any_day, any_weekday)


def _parse_macro(text: str) -> Schedule:
    if text in _MACROS:
        return parse(_MACROS[text])
    if not text.startswith(_EVERY):
        raise CronError(f"unrecognized descriptor: {text}")
    duration = text.removeprefix(_EVERY)
    pieces = _DURATION.findall(duration)
    if not pieces or "".join(map("".join, pieces)) != duration:
        raise CronError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    return Every(max(1, int(sum(float(number) * _UNITS[unit] for number, unit in pieces))))


def _parse_field(text: str, field: _Field) -> tuple[int, bool]:
    """The bits of a list of ranges, and whether one of them stands for everything."""
    bits, everything = 0, False
    for part in text.split(","):
        if part:
            more, star = _parse_range(part, field)
            bits, everything = bits | more, everything or star
    return bits, everything


def _parse_range(text: str, field: _Field) -> tuple[int, bool]:
    span, *steps = text.split("/")
    low, *highs = span.split("-")
    star = low in ("*", "?")
    if star:
        first, last = field.low, field.high
    elif len(highs) > 1:
        raise CronError(f"too many hyphens: {text}")
    else:
        first = _number(low, field)
        last = _number(highs[0], field) if highs else first
    if len(steps) > 1:
        raise CronError(f"too many slashes: {text}")
    step = _number(steps[0]) if steps else 1
    if steps and not highs and not star:
        last = field.high  # "5/10" is "5-59/10"
    _check_range(text, field, first, last, step)
    return sum(1 << value for value in range(first, last + 1, step)), star and step == 1


def _check_range(text: str, field: _Field, first: int, last: int, step: int) -> None:
    if first < field.low:
        raise CronError(f"beginning of range ({first}) below minimum ({field.low}): {text}")
    if last > field.high:
        raise CronError(f"end of range ({last}) above maximum ({field.high}): {text}")
    if first > last:
        raise CronError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")


def _number(text: str, field: _Field | None = None) -> int:
    if field is not None and text.lower() in field.names:
        return field.low + field.names.index(text.lower())
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise CronError(
            f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
        )
    if int(text) < 0:
        raise CronError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _past_day(moment: datetime, local: datetime, zone: tzinfo | None, *, back: bool) -> datetime:
    gone = local.hour * 60 + local.minute
    minutes = gone + 1 if back else 24 * 60 - gone
    moved = _move(moment, minutes, local, zone, back=back)
    return moved or _past_hour(moment, local, zone, back=back)


def _past_hour(moment: datetime, local: datetime, zone: tzinfo | None, *, back: bool) -> datetime:
    minutes = local.minute + 1 if back else 60 - local.minute
    moved = _move(moment, minutes, local, zone, back=back)
    return moved or (moment - _MINUTE if back else moment + _MINUTE)


def _move(
    moment: datetime, minutes: int, local: datetime, zone: tzinfo | None, *, back: bool
) -> datetime | None:
    """So many minutes on, unless the clocks are changed on the way."""
    moved = moment + timedelta(minutes=-minutes if back else minutes)
    same = moved.astimezone(zone).utcoffset() == local.utcoffset()
    return moved if same else None
