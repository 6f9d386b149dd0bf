"""Logs: one line per event on stderr, as text for people or as JSON for collectors.

Modules use `logging.getLogger(__name__)` and pass facts as `extra={"pod": ...}`, which both formats
show. Secrets are kept out of logs by not logging them; as a second net, whatever looks like a
bearer token, a bootstrap token or a private key is masked before a line is written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Format = Literal["text", "json"]
LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MASK = "(masked)"
_SECRETS = (
    re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
    ),
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{6,}"),
    re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"),  # a JWT
    re.compile(r"(?<=\b[a-z0-9]{6}\.)[a-z0-9]{16}\b"),  # the secret half of a bootstrap token
)


def configure(
    level: str = "info", format: Format = "text", *, stream: TextIO | None = None
) -> None:
    """Send all logs of this process to `stream` (stderr when None)."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries that report every request at INFO or DEBUG would drown what we say.
    for name in ("aiohttp.access", "asyncio", "docker", "urllib3", "pyroute2"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def mask(text: str) -> str:
    """`text` without anything that could be replayed."""
    for pattern in _SECRETS:
        text = pattern.sub(_MASK, text)
    return text


class TextFormatter(logging.Formatter):
    """`2026-11-20T23:07:53.123Z INFO agent.pod.worker: message (pod=default/web)`"""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        if extra := _extra(record):
            text += " (" + ", ".join(f"{name}={value}" for name, value in extra.items()) + ")"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return mask(text)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, the extras, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        for name, value in _extra(record).items():
            entry.setdefault(name, mask(value) if isinstance(value, str) else value)
        if record.exc_info:
            entry["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(entry, default=lambda value: mask(str(value)), ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
