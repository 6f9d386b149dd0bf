"""Logs: both formats show the same facts, and neither what could be replayed."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from base import log
from base.clock import SystemClock
from base.pki import create_ca


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text(stream: io.StringIO) -> None:
    log.configure("info", "text", stream=stream)
    logging.getLogger("agent.pod").info("started %s", "web", extra={"pod": "default/web"})
    line = stream.getvalue()
    assert line.endswith(" INFO agent.pod: started web (pod=default/web)\n")
    assert line.split()[0].endswith("Z")


def test_json(stream: io.StringIO) -> None:
    log.configure("debug", "json", stream=stream)
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("control").exception("failed", extra={"key": "default/web", "n": 3})
    entry = json.loads(stream.getvalue())
    assert entry["level"] == "error"
    assert entry["logger"] == "control"
    assert entry["message"] == "failed"
    assert (entry["key"], entry["n"]) == ("default/web", 3)
    assert "ValueError: bad" in entry["exception"]


def test_extras_never_replace_the_message(stream: io.StringIO) -> None:
    log.configure("info", "json", stream=stream)
    logging.getLogger("x").info("real", extra={"level": "forged", "logger": "forged"})
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["logger"]) == ("info", "x")


def test_a_message_stays_on_one_json_line(stream: io.StringIO) -> None:
    log.configure("info", "json", stream=stream)
    logging.getLogger("x").info("two\nlines")
    assert stream.getvalue().count("\n") == 1


def test_the_level_is_kept(stream: io.StringIO) -> None:
    log.configure("warning", stream=stream)
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


KEY = create_ca("test", clock=SystemClock()).key_pem.decode()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-ghi/0123==", "abc.def-ghi/0123=="),
        ("token abcdef.0123456789abcdef used", "0123456789abcdef"),
        ("jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0xxx.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        (f"key {KEY}", KEY.splitlines()[1]),
    ],
    ids=["a bearer's", "of a join", "of an account", "a key"],
)
@pytest.mark.parametrize("format", ["text", "json"])
def test_what_could_be_replayed_is_masked(
    stream: io.StringIO, format: log.Format, text: str, secret: str
) -> None:
    log.configure("info", format, stream=stream)
    logging.getLogger("x").info(text, extra={"fact": text})
    assert secret not in stream.getvalue()
    assert "(masked)" in stream.getvalue()


def test_ordinary_words_are_left_alone() -> None:
    text = "pod default/web-7d4b9c.example on node-1 took 12.345 s, image sha256:0123456789abcdef"
    assert log.mask(text) == text
