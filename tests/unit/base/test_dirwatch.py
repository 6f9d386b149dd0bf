"""Being told what changes in directories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base import dirwatch
from base.dirwatch import DirectoryWatch

LONG = 60.0


@pytest.fixture
async def watch() -> AsyncIterator[DirectoryWatch]:
    watch = DirectoryWatch()
    yield watch
    watch.close()
    watch.close()


async def test_what_is_made_written_renamed_and_removed(
    watch: DirectoryWatch, tmp_path: Path
) -> None:
    with watch.watching(tmp_path) as changes:
        with (tmp_path / "a").open("w") as file:
            assert await changes.wait(LONG) == {"a"}
            file.write("text")
        assert await changes.wait(LONG) == {"a"}
        (tmp_path / "a").rename(tmp_path / "b")
        assert await changes.wait(LONG) == {"a", "b"}
        (tmp_path / "b").unlink()
        assert await changes.wait(LONG) == {"b"}
        assert await changes.wait(0.01) == frozenset()


async def test_what_was_taken_away_is_known_though_it_is_back(
    watch: DirectoryWatch, tmp_path: Path
) -> None:
    for name in ("again", "over", "moved"):
        (tmp_path / name).touch()
    with watch.watching(tmp_path) as changes:
        (tmp_path / "again").unlink()
        (tmp_path / "again").touch()
        (tmp_path / "new").touch()
        (tmp_path / "new").rename(tmp_path / "over")
        (tmp_path / "moved").rename(tmp_path / "elsewhere")
        await changes.wait(LONG)
        assert changes.taken_away() == {"again", "new", "moved"}, "what was replaced never was away"
        assert changes.taken_away() == frozenset()


async def test_changes_between_two_waits_are_not_lost(
    watch: DirectoryWatch, tmp_path: Path
) -> None:
    with watch.watching(tmp_path) as changes:
        for name in ("a", "b", "a"):
            (tmp_path / name).write_text(name)
        await asyncio.sleep(0.01)
        assert await changes.wait(LONG) == {"a", "b"}


async def test_each_watcher_is_told_and_the_last_one_lets_go(
    watch: DirectoryWatch, tmp_path: Path
) -> None:
    with watch.watching(tmp_path) as one:
        with watch.watching(tmp_path) as two:
            (tmp_path / "a").touch()
            assert await one.wait(LONG) == await two.wait(LONG) == {"a"}
        assert watch.statistics()["directories"] == 1
        (tmp_path / "b").touch()
        assert await one.wait(LONG) == {"b"}
    assert watch.statistics()["directories"] == 0


async def test_a_directory_that_goes_away(watch: DirectoryWatch, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with watch.watching(place) as changes:
        place.rmdir()
        assert await changes.wait(LONG) is None
    with watch.watching(place) as changes:
        assert await changes.wait(LONG) is None
    assert watch.statistics() == {"directories": 0, "blind": 0}


async def test_without_the_kernel_a_watcher_looks_itself(
    watch: DirectoryWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        def inotify_init1(self, flags: int) -> int:
            return -1

    monkeypatch.setattr(dirwatch, "_libc", Nothing())
    with watch.watching(tmp_path) as changes:
        assert watch.statistics()["blind"] == 1
        async with asyncio.timeout(LONG):
            assert await changes.wait(1000) is None
