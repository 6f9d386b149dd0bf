from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pod.backoff import RESTARTS, Backoff, retry_delay


@pytest.mark.parametrize(
    ("restart", "seconds"),
    [(1, 0), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (50, 300)],
)
def test_the_curve_of_a_crash_loop(restart: int, seconds: float) -> None:
    level = 0
    delay = 0.0
    for _ in range(restart):
        delay = RESTARTS.delay(level, ran_for=1)
        level = RESTARTS.next_level(level, ran_for=1)
    assert delay == seconds


@pytest.mark.parametrize(("ran_for", "seconds"), [(0, 80), (599.9, 80), (600, 0), (86400, 0)])
def test_ten_minutes_of_running_forgive_everything(ran_for: float, seconds: float) -> None:
    assert RESTARTS.delay(4, ran_for=ran_for) == seconds


def test_after_a_healthy_run_the_curve_starts_again() -> None:
    level = RESTARTS.next_level(9, ran_for=700)
    assert RESTARTS.delay(level, ran_for=1) == 10


@given(st.integers(min_value=-5, max_value=10**9), st.floats(min_value=0, max_value=1e9))
def test_a_delay_is_never_longer_than_the_longest(level: int, ran_for: float) -> None:
    assert 0 <= RESTARTS.delay(level, ran_for=ran_for) <= 300


@given(st.integers(min_value=0, max_value=1000))
def test_delays_never_shrink(level: int) -> None:
    assert RESTARTS.delay(level + 1, ran_for=0) >= RESTARTS.delay(level, ran_for=0)


def test_another_curve() -> None:
    fast = Backoff(first=1, longest=60)
    assert [fast.delay(level, ran_for=0) for level in range(8)] == [0, 1, 2, 4, 8, 16, 32, 60]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (4, 8), (5, 10), (99, 10)]
)
def test_retries(failures: int, seconds: float) -> None:
    assert retry_delay(failures) == seconds
