"""The pause before a pod that ended is replaced again."""

from datetime import UTC, datetime, timedelta

from control.controllers.workloads.failedpods import FailedPods

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_first_is_replaced_at_once_and_then_ever_later() -> None:
    failed: FailedPods[str] = FailedPods()
    now, pauses = NOW, []
    for _ in range(12):
        wait = failed.wait("n1", now)
        pauses.append(wait)
        now += timedelta(seconds=wait)
        failed.replaced("n1", now)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
    assert failed.wait("n2", now) == 0


def test_a_place_where_nothing_ends_for_long_is_forgotten() -> None:
    failed: FailedPods[str] = FailedPods()
    for _ in range(5):
        failed.replaced("n1", NOW)
    later = NOW + timedelta(minutes=31)
    failed.replaced("n2", later)
    assert failed.statistics() == {"places_where_pods_end": 1}
    failed.replaced("n1", later)
    assert failed.wait("n1", later) == 1
