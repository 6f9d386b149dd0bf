"""Reading the engine's log files: what is wanted of them, and rotations at every moment."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.containers import logfiles
from agent.containers.logfiles import LogCursor
from agent.containers.records import Channel, LogOptions

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Engine:
    """Writes a log as the engine's json-file driver does."""

    def __init__(self, path: Path, *, size: int = 1 << 40, keep: int = 5, compress: bool = False):
        self.path = path
        self.size = size
        self.keep = keep
        self.compress = compress
        self.written = 0
        self.serial = 0
        self.rotations = 0
        self._file = path.open("ab", buffering=0)

    def write(self, text: str, stream: str = "stdout") -> None:
        """One piece of output, a second later than the one before."""
        moment = (START + timedelta(seconds=self.serial)).strftime("%Y-%m-%dT%H:%M:%S.")
        self.serial += 1
        entry = {"log": text, "stream": stream, "time": f"{moment}{self.serial % 1000:03}5Z"}
        raw = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if self.written + len(raw) > self.size:
            self.rotate()
        self._file.write(raw)
        self.written += len(raw)

    def lines(self, *texts: str) -> None:
        for text in texts:
            self.write(f"{text}\n")

    def rotate(self) -> None:
        self._file.close()
        suffix = ".gz" if self.compress else ""
        for number in range(self.keep - 1, 1, -1):
            before = self._at(number - 1, suffix)
            if before.exists():
                before.rename(self._at(number, suffix))
        self.path.rename(self._at(1, ""))
        self._file = self.path.open("ab", buffering=0)
        self.written = 0
        self.rotations += 1
        if self.compress:
            with self._at(1, "").open("rb") as plain, gzip.open(self._at(1, ".gz"), "wb") as packed:
                shutil.copyfileobj(plain, packed)
            self._at(1, "").unlink()

    def cut(self) -> None:
        """What `max-file=1` does, and logrotate's copytruncate after its copy."""
        self._file.truncate(0)
        self.written = 0

    def _at(self, number: int, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{suffix}")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "id-json.log")
    yield engine
    engine._file.close()


def rest(cursor: LogCursor) -> bytes:
    """All that there is for now."""
    found = b""
    while (pieces := cursor.read()) is not None:
        found += b"".join(data for _, data in pieces)
    return found


def read(engine: Engine, **options: object) -> str:
    cursor = LogCursor(engine.path, LogOptions(**options))  # type: ignore[arg-type]
    try:
        return rest(cursor).decode()
    finally:
        cursor.close()


def test_a_whole_log_in_the_order_in_which_it_was_written(engine: Engine) -> None:
    engine.write("one\n")
    engine.write("two\n", "stderr")
    engine.write('"three" ä\u2028\x00\n')
    assert read(engine) == 'one\ntwo\n"three" ä\u2028\x00\n'
    assert read(engine, stream=Channel.STDERR) == "two\n"
    assert read(engine, stream=Channel.STDOUT) == 'one\n"three" ä\u2028\x00\n'


def test_streams_are_told_apart_and_neighbours_come_in_one_piece(engine: Engine) -> None:
    engine.write("a\n")
    engine.write("b\n")
    engine.write("c\n", "stderr")
    cursor = LogCursor(engine.path, LogOptions())
    assert cursor.read() == [(Channel.STDOUT, b"a\nb\n"), (Channel.STDERR, b"c\n")]
    cursor.close()


def test_all_files_are_read_compressed_ones_too(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "log", compress=True)
    for number in range(3):
        engine.lines(f"{number}a", f"{number}b")
        engine.rotate()
    engine.lines("last")
    assert (tmp_path / "log.3.gz").exists()
    assert read(engine) == "0a\n0b\n1a\n1b\n2a\n2b\nlast\n"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("tail", range(9))
def test_tail_reaches_back_over_rotations(tmp_path: Path, tail: int, compress: bool) -> None:
    engine = Engine(tmp_path / "log", compress=compress)
    texts = [f"line {number}\n" for number in range(7)]
    for number, text in enumerate(texts):
        if number in (2, 5):
            engine.rotate()
        engine.write(text)
    assert read(engine, tail_lines=tail) == "".join(texts[7 - min(tail, 7) :])


def test_tail_counts_lines_not_pieces(engine: Engine) -> None:
    engine.lines("one")
    for piece in ("a" * 16384, "b" * 16384, "c\n"):
        engine.write(piece)
    assert read(engine, tail_lines=1) == "a" * 16384 + "b" * 16384 + "c\n"
    assert read(engine, tail_lines=2) == "one\n" + "a" * 16384 + "b" * 16384 + "c\n"
    engine.write("the beginning of a line")
    assert read(engine, tail_lines=1) == "the beginning of a line"
    assert read(engine, tail_lines=0) == ""


def test_tail_of_a_long_file_reads_little_of_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.lines(*(f"line {number}" for number in range(20_000)))
    asked: list[bytes] = []
    monkeypatch.setattr(logfiles, "parse", _counted(logfiles.parse, asked))
    assert read(engine, tail_lines=3) == "line 19997\nline 19998\nline 19999\n"
    assert len(asked) < 10


def _counted(
    parse: Callable[[bytes], logfiles.Entry | None], asked: list[bytes]
) -> Callable[[bytes], logfiles.Entry | None]:
    def counted(raw: bytes) -> logfiles.Entry | None:
        asked.append(raw)
        return parse(raw)

    return counted


@pytest.mark.parametrize("seconds", [0, 1, 2, 5, 6, 7])
def test_since_begins_in_the_file_of_the_moment(engine: Engine, seconds: int) -> None:
    texts = [f"{number}\n" for number in range(7)]
    for number, text in enumerate(texts):
        if number in (2, 4):
            engine.rotate()
        engine.write(text)
    since = START + timedelta(seconds=seconds)
    assert read(engine, since=since) == "".join(texts[seconds:])
    assert read(engine, since=since, tail_lines=2) == "".join(texts[max(5, seconds) :])


def test_timestamps_stand_before_lines_with_nine_decimals(engine: Engine) -> None:
    engine.write("one\n")
    engine.write("tw")
    engine.write("err\n", "stderr")
    engine.write("o\n")
    assert read(engine, timestamps=True) == (
        "2026-01-02T03:04:05.001500000Z one\n"
        "2026-01-02T03:04:06.002500000Z tw"
        "2026-01-02T03:04:07.003500000Z err\n"
        "o\n"
    )


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000000Z"),
        ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100000000Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
    ],
)
def test_times(time: str, expected: str) -> None:
    assert logfiles.fixed(time) == expected


def test_half_an_object_spoils_nothing_behind_it(engine: Engine) -> None:
    engine.lines("one")
    engine._file.write(b'{"log":"the engine was ki')
    engine.lines("two")
    engine._file.write(b"\0\0\0\0\n" + b"no object\n" + b"[]\n")
    engine.lines("three")
    cursor = LogCursor(engine.path, LogOptions())
    assert rest(cursor) == b"one\ntwo\nthree\n"
    assert cursor.malformed == 3
    cursor.close()
    assert read(engine, tail_lines=2) == "two\nthree\n"


def test_an_object_that_is_being_written_is_waited_for(engine: Engine) -> None:
    raw = b'{"log":"one\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}\n'
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    engine._file.write(raw[:20])
    assert rest(cursor) == b""
    engine._file.write(raw[20:])
    assert rest(cursor) == b"one\n"
    cursor.close()


def test_a_line_without_end_takes_no_memory(engine: Engine) -> None:
    engine._file.write(b"x" * (4 * logfiles.PIECE_LIMIT))
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    while cursor.read() is not None:
        assert len(cursor._rest) <= logfiles.PIECE_LIMIT
    engine._file.write(b"\n")
    engine.lines("after")
    assert rest(cursor) == b"after\n"
    cursor.close()
    assert read(engine, tail_lines=1) == "after\n"


def test_without_follow_the_end_is_where_it_was_at_the_beginning(engine: Engine) -> None:
    engine.lines("one", "two")
    cursor = LogCursor(engine.path, LogOptions())
    found = cursor.read()
    engine.lines("three")
    engine.rotate()
    engine.lines("four")
    assert found == [(Channel.STDOUT, b"one\ntwo\n")]
    assert rest(cursor) == b""
    cursor.close()


def test_no_log_yet(tmp_path: Path) -> None:
    cursor = LogCursor(tmp_path / "log", LogOptions(follow=True))
    assert cursor.read() is None
    Engine(tmp_path / "log").lines("one")
    assert rest(cursor) == b"one\n"
    cursor.close()
    assert cursor.read() is None


@pytest.mark.parametrize("compress", [False, True])
def test_a_follower_goes_from_file_to_file(tmp_path: Path, compress: bool) -> None:
    engine = Engine(tmp_path / "log", compress=compress)
    engine.lines("one")
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    assert rest(cursor) == b"one\n"
    engine.lines("two")
    engine.rotate()
    assert rest(cursor) == b"two\n"
    engine.lines("three")
    engine.rotate()
    engine.lines("four")
    engine.rotate()
    engine.lines("five")
    assert rest(cursor) == b"three\nfour\nfive\n"
    assert cursor.gaps == 0
    cursor.close()


def test_a_file_that_was_renamed_and_not_replaced_yet(engine: Engine) -> None:
    engine.lines("one")
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    assert rest(cursor) == b"one\n"
    engine.path.rename(engine.path.with_name("id-json.log.1"))
    engine.lines("two")
    assert rest(cursor) == b"two\n"
    engine._file = engine.path.open("ab", buffering=0)
    engine.lines("three")
    assert rest(cursor) == b"three\n"
    cursor.close()


def test_a_reader_that_was_too_slow_goes_on_with_the_oldest_and_knows(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "log", keep=3)
    engine.lines("one")
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    assert rest(cursor) == b"one\n"
    for text in ("two", "three", "four", "five"):
        engine.rotate()
        engine.lines(text)
    assert rest(cursor) == b"three\nfour\nfive\n"
    assert cursor.gaps == 1
    cursor.close()


def test_a_file_that_is_emptied(engine: Engine) -> None:
    engine.lines("one")
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    assert rest(cursor) == b"one\n"
    engine.cut()
    assert rest(cursor) == b""
    engine.lines("two", "three and more than was there before")
    assert rest(cursor) == b"two\nthree and more than was there before\n"
    cursor.close()


def test_a_file_that_is_copied_and_emptied(engine: Engine) -> None:
    engine.lines("one")
    cursor = LogCursor(engine.path, LogOptions(follow=True))
    assert rest(cursor) == b"one\n"
    engine.lines("two")
    shutil.copy(engine.path, engine.path.with_name("id-json.log.1"))
    engine.cut()
    engine.lines("three")
    assert rest(cursor) == b"two\nthree\n"
    assert cursor.gaps == 0
    cursor.close()


@pytest.mark.parametrize("compress", [False, True])
def test_rotation_under_load_loses_and_repeats_nothing(tmp_path: Path, compress: bool) -> None:
    engine = Engine(tmp_path / "log", size=20_000, keep=200, compress=compress)
    count, done = 20_000, threading.Event()

    def write() -> None:
        for number in range(count):
            engine.lines(str(number))
        done.set()

    followers = [LogCursor(engine.path, LogOptions(follow=True)) for _ in range(2)]
    writer = threading.Thread(target=write)
    found = [b"", b""]
    writer.start()
    while not done.is_set():
        found = [seen + rest(cursor) for seen, cursor in zip(found, followers, strict=True)]
        # One who begins in the middle of it sees what was there, without a hole.
        numbers = [int(line) for line in read(engine, tail_lines=1500).split()]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        time.sleep(0.001)
    writer.join()
    for seen, cursor in zip(found, followers, strict=True):
        assert (seen + rest(cursor)).split() == [b"%d" % number for number in range(count)]
        assert (cursor.gaps, cursor.malformed) == (0, 0)
        cursor.close()
    assert engine.rotations > 20


STEPS = st.lists(
    st.sampled_from(["line", "piece", "rotate", "read", "tail", "half", "copy"]), max_size=40
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.booleans())
def test_whatever_happens_in_whatever_order(steps: list[str], compress: bool) -> None:
    """A follower sees all that was written once, and a reader of the end sees the end."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder) / "log", keep=100, compress=compress)
        cursor = LogCursor(engine.path, LogOptions(follow=True))
        written, seen = "", b""
        for number, step in enumerate(steps):
            match step:
                case "line":
                    engine.write(f"{number}\n")
                    written += f"{number}\n"
                case "piece":
                    engine.write(f"{number} ")
                    written += f"{number} "
                case "rotate":
                    engine.rotate()
                case "read" if (pieces := cursor.read()) is not None:
                    seen += b"".join(data for _, data in pieces)
                case "tail":
                    lines = written.splitlines(keepends=True)
                    for tail in (0, 1, 2, 5):
                        expected = "".join(lines[len(lines) - min(tail, len(lines)) :])
                        assert read(engine, tail_lines=tail) == expected
                case "half":  # an engine that was killed, and the next one
                    engine._file.write(b'{"log":"ha')
                case "copy" if not compress:  # somebody looks into the folder meanwhile
                    shutil.copy(engine.path, Path(folder) / "log.copy")
        assert (seen + rest(cursor)).decode() == written
        assert cursor.gaps == 0
        cursor.close()
        assert read(engine) == written
