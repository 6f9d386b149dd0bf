"""Reading one container's log as `kubectl logs` asks for it (what a person does after step 5).

`options` turns a request's parameters into LogOptions with Kubernetes' rules; `read` streams the
bytes. Which container is meant (the present one, the previous one) is the caller's choice.

A thousand followers hold no thread. A reader that does not read holds back its own log and nothing
else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta

from agent.containers.interface import Runtime
from agent.containers.records import Channel, ContainerId, LogOptions
from api import timestamps
from base.errors import PermanentError

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_STREAMS = {"": None, "All": None, "Stdout": Channel.STDOUT, "Stderr": Channel.STDERR}
_FALSE = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})


class InvalidLogOptions(PermanentError):
    """The parameters of the request make no sense; the message says which and why."""


async def read(
    runtime: Runtime, id: ContainerId, wanted: LogOptions
) -> AsyncGenerator[bytes, None]:
    """The log in pieces as they come; with `follow` it ends when the container does. Raises
    NotFound.

    `limit_bytes` cuts in the middle of a line, as documented.
    """
    left = wanted.limit_bytes
    async with aclosing(runtime.logs(id, wanted)) as pieces:
        async for _, data in pieces:
            if left is None:
                yield data
                continue
            yield data[:left]
            left -= min(left, len(data))
            if left == 0:
                return


def options(query: Mapping[str, str], *, now: datetime) -> LogOptions:
    """From the parameters of a log request. Raises InvalidLogOptions."""
    if query.get("sinceSeconds") and query.get("sinceTime"):
        raise InvalidLogOptions("at most one of sinceTime or sinceSeconds may be specified")
    since_seconds = _number(query, "sinceSeconds", least=1)
    stream = query.get("stream", "")
    if stream not in _STREAMS:
        raise InvalidLogOptions(
            f'stream: Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
        )
    if _STREAMS[stream] is not None and query.get("tailLines"):
        raise InvalidLogOptions(
            "tailLines: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        )
    return LogOptions(
        follow=flag(query, "follow"),
        tail_lines=_number(query, "tailLines", least=0),
        since=_moment(query) if since_seconds is None else now - timedelta(seconds=since_seconds),
        timestamps=flag(query, "timestamps"),
        limit_bytes=_number(query, "limitBytes", least=1),
        stream=_STREAMS[stream],
    )


def flag(query: Mapping[str, str], name: str) -> bool:
    """A truth value as Go reads it."""
    text = query.get(name, "")
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidLogOptions(f'{name}: Invalid value: "{text}": must be true or false')


def _number(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.lstrip("+-").isdecimal():
        raise InvalidLogOptions(f'{name}: Invalid value: "{text}": must be an integer')
    if int(text) < least:
        raise InvalidLogOptions(
            f"{name}: Invalid value: {text}: must be greater than or equal to {least}"
        )
    return int(text)


def _moment(query: Mapping[str, str]) -> datetime | None:
    text = query.get("sinceTime", "")
    try:
        return timestamps.parse(text) if text else None
    except ValueError as error:
        raise InvalidLogOptions(f'sinceTime: Invalid value: "{text}": {error}') from None
