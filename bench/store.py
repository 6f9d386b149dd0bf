"""How fast the store makes writes durable and tells its watchers, against SQLite by itself.

    .venv/bin/python bench/store.py [--seconds 3] [--directory DIR]

The floor is what the disk and SQLite allow one writer: single rows of 1 KB committed one by one with
the same tables and pragmas, without an event loop, a thread or a mirror. Each line ends with a ratio
measured in the same run, which says more than the rate: rates belong to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from base.clock import SystemClock
from base.tasks import TaskGuard
from control.store.sqlite import SqliteStore, schema
from control.store.watchcache import WatchCache

PREFIX = "/registry/configmaps/"
PACE = 300  # writes per second while latency is measured: a busy cluster, not a saturated one


def value(name: str) -> bytes:
    """An object of 1 KB."""
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": ""}}
    tree["data"] = {"k": "x" * (1024 - len(msgspec.json.encode(tree)))}
    return msgspec.json.encode(tree)


def extract(stored: bytes) -> tuple[dict[str, str], dict[str, str]]:
    return {}, {}


def quantile(samples: Sequence[float], share: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(share * len(samples)))]


def floor(directory: Path, seconds: float) -> float:
    """Rows per second that plain sqlite3 commits one by one."""
    directory.mkdir()
    connection = schema.open_writer(directory)
    content, count = value("floor"), 0
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        count += 1
        key = f"{PREFIX}default/{count}"
        connection.execute(
            "INSERT INTO log VALUES (?,?,?,?,?)", (schema.first_id(count), key, count, 0, content)
        )
    connection.close()
    return count / passed


async def puts(store: SqliteStore, writers: int, seconds: float, label: str) -> list[float]:
    """Create objects as fast as they are acknowledged; the seconds each took."""
    took: list[float] = []
    ends = time.perf_counter() + seconds

    async def write(number: int) -> None:
        count = 0
        content = value("bench")
        while (begun := time.perf_counter()) < ends:
            count += 1
            await store.put(f"{PREFIX}{label}/{number}-{count}", content, expected=0)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*[write(number) for number in range(writers)])
    return took


async def churn(store: SqliteStore, writers: int, seconds: float, label: str) -> list[float]:
    """Update the same objects over and over; the seconds each update took."""
    took: list[float] = []
    ends = time.perf_counter() + seconds

    async def write(number: int) -> None:
        key, at, content = f"{PREFIX}{label}/{number}", 0, value("churn")
        while (begun := time.perf_counter()) < ends:
            at = await store.put(key, content, expected=at)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*[write(number) for number in range(writers)])
    return took


async def watch_latency(store: SqliteStore, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds from the beginning of a write to its answer, and to its event at a watcher."""
    answered: list[float] = []
    seen: list[float] = []
    begun: dict[str, float] = {}
    async with TaskGuard("bench") as guard:
        cache = WatchCache(store, PREFIX, extract, history=0)
        guard.start(cache.run(), name="watch cache")
        await cache.synced()
        subscription = cache.subscribe(cache.revision)

        async def watch() -> None:
            async for event in subscription:
                seen.append(time.perf_counter() - begun[event.entry.key])

        guard.start(watch(), name="watcher")
        for count in range(int(seconds * PACE)):
            key = f"{PREFIX}latency/{count}"
            begun[key] = time.perf_counter()
            await store.put(key, value("latency"), expected=0)
            answered.append(time.perf_counter() - begun[key])
            await asyncio.sleep(1 / PACE)
        await cache.wait_for(store.revision(), timeout=10)
        subscription.close()
    return answered, seen


async def compaction(store: SqliteStore, seconds: float) -> tuple[list[float], list[float], int]:
    """Seconds of updates without and with compaction beside them, and rows it deleted meanwhile."""
    alone = await churn(store, 16, seconds, "alone")
    async with TaskGuard("bench") as guard:

        async def compact() -> None:
            while True:
                await store.compact(store.revision())

        before = store.statistics()["trimmed_rows_total"]
        guard.start(compact(), name="compaction")
        beside = await churn(store, 16, seconds, "beside")
        deleted = store.statistics()["trimmed_rows_total"] - before
    return alone, beside, int(deleted)


async def measure(directory: Path, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    first = await loop.run_in_executor(None, floor, directory / "floor-1", seconds / 2)
    store = await SqliteStore.open(directory / "store", clock=SystemClock())
    rates = {n: len(await puts(store, n, seconds, f"w{n}")) / seconds for n in (1, 16)}
    second = await loop.run_in_executor(None, floor, directory / "floor-2", seconds / 2)
    base = (first + second) / 2
    print(f"floor: sqlite3, one row per commit      {base:9.0f}/s")
    for writers, rate in rates.items():
        print(
            f"durable puts of 1 KB, {writers:2} writer(s)      {rate:9.0f}/s  {rate / base:5.2f} x"
        )
    answered, seen = await watch_latency(store, seconds)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        answer, event = quantile(answered, share) * 1e3, quantile(seen, share) * 1e3
        print(
            f"event at a watcher, {name}                {event:9.2f} ms {event / answer:5.2f} x"
            f" the write's own answer ({answer:.2f} ms)"
        )
    alone, beside, deleted = await compaction(store, seconds)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        quiet, loud = quantile(alone, share) * 1e3, quantile(beside, share) * 1e3
        print(
            f"update beside compaction, 16 writers, {name}{loud:8.2f} ms {loud / quiet:5.2f} x"
            f" without ({quiet:.2f} ms)"
        )
    print(f"  meanwhile {deleted} rows of history deleted, {len(beside)} updates made")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    parser.add_argument("--directory", type=Path, help="where to write (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podwright-bench-", dir=options.directory) as directory:
        uvloop.run(measure(Path(directory), options.seconds))


if __name__ == "__main__":
    main()
