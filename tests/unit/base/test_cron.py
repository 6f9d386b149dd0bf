"""Cron schedules: the language, and the moments, also where the clocks are changed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import cron
from base.cron import CronError

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
"""Where clocks are changed by half an hour."""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def following(schedule: str, after: str, count: int = 1, zone: ZoneInfo | None = None) -> list[str]:
    found, moment = [], at(after)
    for _ in range(count):
        following = cron.parse(schedule).next(moment, zone or UTC)
        assert following is not None
        moment = following
        found.append(moment.astimezone(zone or UTC).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30+00:00", "2026-01-01T00:01+00:00"),
        ("* * * * *", "2026-01-01T00:01:00+00:00", "2026-01-01T00:02+00:00"),
        ("*/15 * * * *", "2026-01-01T00:01:00+00:00", "2026-01-01T00:15+00:00"),
        ("0,15,30,45 * * * *", "2026-01-01T00:45:00+00:00", "2026-01-01T01:00+00:00"),
        ("5/20 * * * *", "2026-01-01T00:26:00+00:00", "2026-01-01T00:45+00:00"),
        ("30 6-16/4 * * 1-5", "2026-01-02T14:30:00+00:00", "2026-01-05T06:30+00:00"),
        ("0 3 * * 0", "2026-01-01T00:00:00+00:00", "2026-01-04T03:00+00:00"),
        ("0 3 * * SUN", "2026-01-01T00:00:00+00:00", "2026-01-04T03:00+00:00"),
        ("0 0 1 JAN-mar *", "2026-01-01T00:00:00+00:00", "2026-02-01T00:00+00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00+00:00", "2028-02-29T00:00+00:00"),
        ("0 0 31 * *", "2026-02-01T00:00:00+00:00", "2026-03-31T00:00+00:00"),
        ("59 23 31 12 ?", "2026-01-01T00:00:00+00:00", "2026-12-31T23:59+00:00"),
        # one of two restricted days is enough; "*" restricts nothing, "*/2" does
        ("0 0 13 * 5", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00+00:00"),
        ("0 0 13 * *", "2026-01-01T00:00:00+00:00", "2026-01-13T00:00+00:00"),
        ("0 0 */10 * 0", "2026-01-02T00:00:00+00:00", "2026-01-04T00:00+00:00"),
        ("0 0 */1 * 0", "2026-01-02T00:00:00+00:00", "2026-01-04T00:00+00:00"),
        ("@hourly", "2026-01-01T00:00:00+00:00", "2026-01-01T01:00+00:00"),
        ("@daily", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00+00:00"),
        ("@midnight", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00+00:00"),
        ("@weekly", "2026-01-01T00:00:00+00:00", "2026-01-04T00:00+00:00"),
        ("@monthly", "2026-01-01T00:00:00+00:00", "2026-02-01T00:00+00:00"),
        ("@yearly", "2026-01-01T00:00:00+00:00", "2027-01-01T00:00+00:00"),
        ("@every 1h30m", "2026-01-01T00:10:00+00:00", "2026-01-01T01:40+00:00"),
    ],
)
def test_the_next_moment(schedule: str, after: str, expected: str) -> None:
    assert following(schedule, after) == [expected]


def test_a_day_that_never_comes() -> None:
    assert cron.parse("0 0 30 2 *").next(at("2026-01-01T00:00:00+00:00"), UTC) is None
    assert cron.parse("0 0 30 2 *").latest(*[at("2026-01-01T00:00:00+00:00")] * 2, UTC) is None


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("* * * * * *", "expected exactly 5 fields, found 6"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* 24 * * *", "end of range (24) above maximum (23): 24"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("* * L * *", "failed to parse int from L"),
        ("* * * * mon#1", "failed to parse int from mon#1"),
        ("*/-5 * * * *", "negative number (-5) not allowed: -5"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", "failed to parse duration @every soon"),
    ],
)
def test_what_is_no_schedule(schedule: str, words: str) -> None:
    with pytest.raises(CronError, match=re.escape(words)):
        cron.parse(schedule)


def test_in_spring_what_is_skipped_does_not_happen() -> None:
    eve = "2026-03-08T00:00:00-05:00"
    assert following("30 2 * * *", eve, 2, NEW_YORK) == [
        "2026-03-09T02:30-04:00",
        "2026-03-10T02:30-04:00",
    ]
    assert following("0 * * * *", eve, 3, NEW_YORK) == [
        "2026-03-08T01:00-05:00",
        "2026-03-08T03:00-04:00",
        "2026-03-08T04:00-04:00",
    ]


def test_in_autumn_what_is_read_twice_happens_twice() -> None:
    eve = "2026-11-01T00:00:00-04:00"
    assert following("30 1 * * *", eve, 3, NEW_YORK) == [
        "2026-11-01T01:30-04:00",
        "2026-11-01T01:30-05:00",
        "2026-11-02T01:30-05:00",
    ]
    assert following("0 2 * * *", eve, 2, NEW_YORK) == [
        "2026-11-01T02:00-05:00",
        "2026-11-02T02:00-05:00",
    ]


def test_clocks_that_are_changed_by_half_an_hour() -> None:
    eve = "2026-10-03T23:00:00+10:30"
    assert following("15 2 * * *", eve, 1, LORD_HOWE) == ["2026-10-05T02:15+11:00"]
    assert following("45 2 * * *", eve, 1, LORD_HOWE) == ["2026-10-04T02:45+11:00"]
    eve = "2026-04-05T00:00:00+11:00"
    assert following("45 1 * * *", eve, 2, LORD_HOWE) == [
        "2026-04-05T01:45+11:00",
        "2026-04-05T01:45+10:30",
    ]


SCHEDULES = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "30 1,2 * * *", "0 0 * * *", "15 */5 */3 * 1", "5 4 1 * *"]
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
NEAR_CHANGES = st.sampled_from(["2026-03-28T20:00", "2026-10-24T20:00"]).map(
    lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)
)


@given(SCHEDULES, MOMENTS | NEAR_CHANGES, st.integers(0, 2000))
def test_looking_back_finds_what_looking_ahead_finds(
    schedule: str, since: datetime, minutes: int
) -> None:
    parsed, until = cron.parse(schedule), since + timedelta(minutes=minutes)
    last, moment = None, parsed.next(since, BERLIN)
    while moment is not None and moment <= until:
        last, moment = moment, parsed.next(moment, BERLIN)
    assert parsed.latest(since, until, BERLIN) == last


@given(SCHEDULES, NEAR_CHANGES)
def test_no_moment_is_left_out(schedule: str, begin: datetime) -> None:
    """Against the plain way: look at the wall clock each minute of a day."""
    parsed = cron.parse(schedule)
    assert isinstance(parsed, cron.Fields)
    found, moment = [], parsed.next(begin, BERLIN)
    while moment is not None and moment <= begin + timedelta(days=1):
        found.append(moment)
        moment = parsed.next(moment, BERLIN)
    each = (begin + timedelta(minutes=minute) for minute in range(1, 24 * 60 + 1))
    assert found == [
        minute
        for minute in each
        if parsed.hours >> minute.astimezone(BERLIN).hour & 1
        and parsed.minutes >> minute.astimezone(BERLIN).minute & 1
        and parsed._has_day(minute.astimezone(BERLIN))
    ]


def test_a_steady_beat_does_not_mind_the_clock_on_the_wall() -> None:
    schedule, since = cron.parse("@every 10m"), at("2026-01-01T00:03:00+00:00")
    assert schedule.latest(since, at("2026-01-01T00:12:00+00:00"), UTC) is None
    assert schedule.latest(since, at("2026-01-01T01:00:00+00:00"), UTC) == at(
        "2026-01-01T00:53:00+00:00"
    )
