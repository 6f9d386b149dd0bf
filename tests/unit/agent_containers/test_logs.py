"""The options of a log request, and where the log is cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.containers import logs
from agent.containers.fake import FakeRuntime
from agent.containers.logs import InvalidLogOptions
from agent.containers.records import Channel, ContainerCreate, LogOptions
from agent.containers.script import Script
from base.clock import FakeClock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LOG = ((Channel.STDOUT, b"one\n"), (Channel.STDERR, b"two\n"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, LogOptions()),
        ({"follow": "true", "timestamps": "1"}, LogOptions(follow=True, timestamps=True)),
        ({"tailLines": "0", "limitBytes": "5"}, LogOptions(tail_lines=0, limit_bytes=5)),
        ({"sinceSeconds": "60"}, LogOptions(since=NOW - timedelta(seconds=60))),
        ({"sinceTime": "2026-01-02T03:04:05Z"}, LogOptions(since=NOW)),
        ({"stream": "Stderr"}, LogOptions(stream=Channel.STDERR)),
        ({"stream": "All", "tailLines": "1"}, LogOptions(tail_lines=1)),
    ],
)
def test_options(query: dict[str, str], expected: LogOptions) -> None:
    assert logs.options(query, now=NOW) == expected


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"tailLines": "-1"}, "tailLines"),
        ({"tailLines": "many"}, "integer"),
        ({"sinceSeconds": "0"}, "sinceSeconds"),
        ({"limitBytes": "0"}, "limitBytes"),
        ({"follow": "maybe"}, "follow"),
        ({"stream": "stdin"}, "stream: Unsupported value"),
        ({"stream": "Stdout", "tailLines": "1"}, "mutually exclusive"),
        ({"sinceTime": "yesterday"}, "sinceTime"),
        ({"sinceTime": "2026-01-02T03:04:05Z", "sinceSeconds": "1"}, "at most one"),
    ],
)
def test_bad_options(query: dict[str, str], word: str) -> None:
    with pytest.raises(InvalidLogOptions, match=word):
        logs.options(query, now=NOW)


@pytest.mark.parametrize("limit", [1, 4, 5, 8, 100])
async def test_limit_bytes(limit: int) -> None:
    runtime = FakeRuntime(FakeClock(), scripts={"app": Script(log=LOG)}, images=["app"])
    id = await runtime.create(ContainerCreate(name="a", image="app"))
    await runtime.start(id)
    pieces = [piece async for piece in logs.read(runtime, id, LogOptions(limit_bytes=limit))]
    assert b"".join(pieces) == b"one\ntwo\n"[:limit]
