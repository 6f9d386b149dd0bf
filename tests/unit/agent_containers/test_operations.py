"""What calls of the engine's API are called, and how they are counted."""

from __future__ import annotations

import pytest

from agent.containers.errors import EngineUnavailable
from agent.containers.operations import BOUNDS, Operations, kind_of
from base.clock import FakeClock


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/containers/json", "list_containers"),
        ("GET", "/containers/abc/json", "container_status"),
        ("POST", "/containers/create", "create_container"),
        ("POST", "/containers/abc/start", "start_container"),
        ("POST", "/containers/abc/kill", "stop_container"),
        ("DELETE", "/containers/abc", "remove_container"),
        ("POST", "/containers/abc/update", "update_container_resources"),
        ("GET", "/images/json", "list_images"),
        ("GET", "/images/registry.example/a/b:1/json", "image_status"),
        ("DELETE", "/images/registry.example/a/b:1", "remove_image"),
        ("GET", "/info", "status"),
        ("POST", "/volumes/prune", "other"),
    ],
)
def test_kinds(method: str, path: str, kind: str) -> None:
    assert kind_of(method, path) == kind


async def test_counts() -> None:
    clock = FakeClock()
    operations = Operations(clock)
    for seconds in (0.001, 0.3):
        with operations.measured("start_container"):
            await clock.run_for(seconds)
    with pytest.raises(EngineUnavailable), operations.measured("start_container"):
        raise EngineUnavailable("gone")
    tally = operations.tallies["start_container"]
    assert (tally.calls, tally.failures) == (3, 1)
    assert tally.seconds == pytest.approx(0.301)
    assert tally.buckets[0] == 2 and tally.buckets[BOUNDS.index(0.48828125)] == 1
