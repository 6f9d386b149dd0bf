"""What reading logs costs the agent: whole ones, their ends, and many followers.

    .venv/bin/python -m bench.logs [--megabytes 50] [--followers 1000] [--seconds 10]

The files are written as the engine's json-file driver does. The floor reads the same file, line by line,
and decodes each; nothing can be said of a line without that. No root and no engine is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

import uvloop

from agent.containers.logfiles import CHUNK, LogCursor, parse
from agent.containers.logreader import LogReader
from agent.containers.records import LogOptions
from base.clock import SystemClock

LINE = "a line of a log as programs write them, with a word or two and some numbers: 0123456789"
STAMP = "2026-01-02T03:04:05.123456789Z"
SETTLE = 1.0


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def entry(number: int) -> bytes:
    body = {"log": f"{number} {LINE}\n", "stream": "stdout", "time": STAMP}
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def write(path: Path, megabytes: int) -> None:
    """A log in five files, as rotation leaves it."""
    share = megabytes * 1_000_000 // 5
    for number, name in enumerate((*(f"{path.name}.{n}" for n in range(4, 0, -1)), path.name)):
        block = b"".join(entry(number * 1000 + line) for line in range(1000))
        # Files are told apart by their first lines, whose moments differ in a real log.
        with path.with_name(name).open("wb") as file:
            file.write(entry(number))
            for _ in range(share // len(block)):
                file.write(block)


def floor(path: Path) -> float:
    """Seconds of CPU to read and decode it, and nothing else."""
    used = cpu()
    for file in path.parent.glob(f"{path.name}*"):
        with file.open("rb", buffering=CHUNK) as lines:
            for line in lines:
                parse(line)
    return cpu() - used


def reading(path: Path, options: LogOptions) -> tuple[float, int]:
    """Seconds of CPU, and bytes that came out."""
    used, size = cpu(), 0
    cursor = LogCursor(path, options)
    while (pieces := cursor.read()) is not None:
        size += sum(len(data) for _, data in pieces)
    cursor.close()
    return cpu() - used, size


async def following(directory: Path, followers: int, seconds: float) -> tuple[float, float, int]:
    """Percent of a CPU for silent logs, and for one line a second in each; lines that came."""
    reader, came = LogReader(SystemClock()), 0
    paths = []
    for number in range(followers):
        folder = directory / str(number)
        folder.mkdir()
        paths.append(folder / "json.log")
        paths[-1].touch()

    async def running() -> bool:
        return True

    async def follow(path: Path) -> None:
        nonlocal came
        async for _ in reader.read(path, LogOptions(follow=True), running):
            came += 1

    tasks = [asyncio.create_task(follow(path)) for path in paths]
    await asyncio.sleep(SETTLE)
    silent = await _used(seconds)
    line = entry(0)

    async def speak() -> None:
        # Spread over the second, as a thousand containers are.
        for place, path in enumerate(paths):
            with path.open("ab") as file:
                file.write(line)
            if place % 10 == 9:
                await asyncio.sleep(10 / followers)

    async def speak_for_long() -> None:
        while True:
            await speak()

    speaking = asyncio.create_task(speak_for_long())
    busy = await _used(seconds)
    for task in (speaking, *tasks):
        task.cancel()
    await asyncio.gather(speaking, *tasks, return_exceptions=True)
    reader.close()
    return silent, busy, came


async def _used(seconds: float) -> float:
    used, began = cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    return (cpu() - used) / (time.perf_counter() - began) * 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=50, help="size of the log")
    parser.add_argument("--followers", type=int, default=1000, help="logs that are followed")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look at the CPU")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "json.log"
        write(path, given.megabytes)
        least = floor(path)
        print(f"{'floor':24}{least * 1000:>10.1f} ms of CPU")
        for title, options in (
            ("whole", LogOptions()),
            ("whole, --timestamps", LogOptions(timestamps=True)),
            ("--tail=100000", LogOptions(tail_lines=100_000)),
            ("--tail=10", LogOptions(tail_lines=10)),
        ):
            took, size = reading(path, options)
            print(
                f"{title:24}{took * 1000:>10.1f} ms of CPU{took / least:>8.2f} of floor"
                f"{size / 1e6:>10.1f} MB come out",
                flush=True,
            )
        path.unlink()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            silent, busy, came = runner.run(following(Path(name), given.followers, given.seconds))
        print(f"{given.followers} followers, silent: {silent:.2f} % of a CPU")
        print(
            f"{given.followers} followers, a line a second each: {busy:.1f} % of a CPU ({came} came)"
        )


if __name__ == "__main__":
    main()
