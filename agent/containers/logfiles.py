"""A container's log as the engine's json-file driver keeps it (what a person reads after step 5).

The engine writes one JSON object per piece of output, at most 16 KiB of it; a piece that ends a line
ends in a newline. When the file has reached its size it becomes NAME.1, what was NAME.1 becomes NAME.2,
and so on; the last one goes, and where the engine is set so, those with a number are compressed.

`LogCursor` reads such a log once, forward, through any number of rotations:
- a file that is open stays readable whatever it is called by now, or when it is no more;
- which file comes after it is found by looking for it among those that are there: by its inode, and, as
  a compressed copy has another, by its first piece, which carries the moment it was written at;
- it is read to its end once more after its renaming was seen, since the engine writes to it until then.
So no line is lost or repeated, unless a reader is so slow that what comes next was removed: such a gap
is counted.

Memory is bounded by one chunk and one piece. Nothing here waits: `read` says when there is nothing
more for now. All of it blocks on the disk, so it runs in a thread, one call at a time per cursor.
"""

from __future__ import annotations

import gzip
import os
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agent.containers.records import Channel, LogOptions

CHUNK = 64 * 1024
PIECE_LIMIT = 1024 * 1024
"""Bytes of JSON that one piece may have: ten times what an engine writes."""
_BEGIN = b'{"log":"'
_TIME = re.compile(rb'"time":"([^"]+)"')
_LOOKS = 20
"""How often the folder is listed until it stands still."""

Pieces = list[tuple[Channel, bytes]]


class Entry(msgspec.Struct, frozen=True):
    """One object of the file; what else it holds (labels, variables) is of no use here."""

    log: str
    stream: str = "stdout"
    time: str = ""

    @property
    def channel(self) -> Channel:
        return Channel.STDERR if self.stream == "stderr" else Channel.STDOUT

    @property
    def ends_line(self) -> bool:
        return self.log.endswith("\n")


_decoder = msgspec.json.Decoder(Entry)


def parse(raw: bytes) -> Entry | None:
    """One line of the file; None when it is none of the driver's.

    An engine that was killed leaves half an object, and the next one's stands behind it in the line.
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        begin = raw.rfind(_BEGIN)
        return parse(raw[begin:]) if begin > 0 else None


def fixed(time: str) -> str:
    """The engine's time with nine decimals, as `--timestamps` shows it and as it can be compared."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"


def moment(since: datetime) -> str:
    """A moment in the same form."""
    return since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class LogFile:
    """One file of a log, open."""

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number
        """0 for the one that is written to."""
        self._raw = path.open("rb", buffering=0)
        self.compressed = path.suffix == ".gz"
        self._plain = gzip.GzipFile(fileobj=self._raw) if self.compressed else self._raw
        stat = os.fstat(self._raw.fileno())
        self.inode = (stat.st_dev, stat.st_ino)
        self.first = self._first()
        """Its first line, which no two files share: it tells the moment to the nanosecond."""

    def __repr__(self) -> str:
        return f"LogFile({self.path.name})"

    @property
    def size(self) -> int:
        return os.fstat(self._raw.fileno()).st_size

    @property
    def since(self) -> str:
        """When its first piece was written; empty when it has none."""
        found = _TIME.findall(self.first)
        return fixed(found[-1].decode()) if found else ""

    def is_same(self, other: LogFile) -> bool:
        """Whether they are one file, or one a copy of the other."""
        if self.first and other.first:
            return self.first == other.first
        return self.inode == other.inode

    def was_cut(self) -> bool:
        """Whether it was emptied and begun anew, as is done where only one file is kept."""
        self.recognise()
        return bool(self.first) and not self.compressed and self._first() != self.first

    def recognise(self) -> None:
        """Look for the first line of a file that was opened before it had one."""
        self.first = self.first or self._first()

    def read(self, size: int) -> bytes:
        try:
            return self._plain.read(size) or b""
        except (EOFError, OSError, zlib.error):
            return b""  # compressed by an engine that was killed meanwhile: this is what there is

    def seek(self, offset: int) -> None:
        self._plain.seek(offset)

    def backwards(self) -> Iterator[tuple[int, bytes]]:
        """Complete lines from the last to the first, each with the offset just after it."""
        at, rest = self.size, b""
        behind: int | None = None
        while at > 0:
            step = min(CHUNK, at)
            at -= step
            block = os.pread(self._raw.fileno(), step, at) + rest
            rest, *lines = block.split(b"\n")
            end = at + len(block)
            for line in reversed(lines):
                if behind is not None:
                    yield behind, line
                end -= len(line)
                behind = end  # just after the newline that ends the line before
                end -= 1
            if len(rest) > PIECE_LIMIT:
                rest = b""
        if rest and behind is not None:
            yield behind, rest

    def close(self) -> None:
        self._plain.close()
        self._raw.close()

    def _first(self) -> bytes:
        """The first line; empty while it is not complete."""
        size = 1024
        while True:
            if self.compressed:
                begin = self.read(size)
                self.seek(0)
            else:
                begin = os.pread(self._raw.fileno(), size, 0)
            line, newline, _ = begin.partition(b"\n")
            if newline or len(begin) < size or size >= PIECE_LIMIT:
                return line if newline else b""
            size *= 8


def files(path: Path) -> list[LogFile]:
    """All files of a log, open, the newest first. While files are renamed it looks again."""
    for _ in range(_LOOKS):
        names = _names(path)
        found: list[LogFile] = []
        try:
            for number, name in names:
                found.append(LogFile(path.parent / name, number))
        except OSError:
            _close(found)
            continue
        if _names(path) == names and all(_is_at(file) for file in found):
            return found
        _close(found)
    return []


def _names(path: Path) -> list[tuple[int, str]]:
    """(number, name) of each file; of one that is being compressed only the whole one."""
    found: dict[int, str] = {}
    pattern = re.compile(re.escape(path.name) + r"(?:\.(\d+)(?:\.gz)?)?")
    try:
        names = sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return []
    for name in names:
        if match := pattern.fullmatch(name):
            found.setdefault(int(match[1] or 0), name)
    return sorted(found.items())


def _is_at(file: LogFile) -> bool:
    return inode(file.path) == file.inode


def inode(path: Path) -> tuple[int, int] | None:
    """What lies at a path."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _close(several: list[LogFile]) -> None:
    for file in several:
        file.close()


@dataclass(frozen=True)
class Start:
    """Where to begin: a file (by its place in the list), an offset, and line ends to pass."""

    file: int
    offset: int = 0
    skip: int = 0


def beginning(several: list[LogFile], options: LogOptions) -> Start:
    """The oldest place where something wanted may stand."""
    start = Start(len(several) - 1)
    if options.tail_lines is not None:
        start = _tail(several, options.tail_lines)
    if options.since is not None:
        since = moment(options.since)
        for place in range(start.file):
            if several[place].since and several[place].since <= since:
                return Start(place)  # what was written before it is older still
    return start


def _tail(several: list[LogFile], wanted: int) -> Start:
    """Where the last `wanted` lines begin. A last line that is not complete counts, too."""
    ends, last = 0, True
    for place, file in enumerate(several):
        if file.compressed:
            there, unended = _count(file)
            there += last and unended
            last = last and not there
            if ends + there > wanted:
                return Start(place, 0, there - (wanted - ends))
            ends += there
            continue
        for offset, raw in file.backwards():
            entry = parse(raw)
            if entry is None or not (entry.ends_line or last):
                continue
            last = False
            if ends == wanted:
                return Start(place, offset)
            ends += 1
    return Start(len(several) - 1)


def _count(file: LogFile) -> tuple[int, bool]:
    """How many lines end in a compressed file, and whether another one begins and does not."""
    ends, unended = 0, False
    for raw in _forward(file):
        if (entry := parse(raw)) is not None:
            ends += entry.ends_line
            unended = not entry.ends_line
    file.seek(0)
    return ends, unended


def _forward(file: LogFile) -> Iterator[bytes]:
    rest = b""
    while data := file.read(CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
        if len(rest) > PIECE_LIMIT:
            rest = b""


class LogCursor:
    """A reader of one log. `read` and `close` may be called from different threads."""

    def __init__(self, path: Path, options: LogOptions) -> None:
        self._path = path
        self._options = options
        self._since = "" if options.since is None else moment(options.since)
        self._lock = threading.Lock()
        self._file: LogFile | None = None
        self._started = False
        self._closed = False
        self._offset = 0
        self._rest = b""
        self._skip = 0
        self._waited = False
        self._complete = False
        """The engine has turned to another file, and this one was read since."""
        self._newest = ""
        """When what was read last, or passed over at the beginning, was written."""
        self._within: set[Channel] = set()
        """Streams whose last piece did not end its line."""
        self._last: tuple[LogFile, int] | None = None
        """File and offset at which to end without `follow`: else a busy container would never let its
        reader go."""
        self.gaps = 0
        """How often files had gone before they could be read."""
        self.malformed = 0

    def read(self) -> Pieces | None:
        """What comes next; empty when it was nothing that is wanted, None when there is nothing more
        for now."""
        with self._lock:
            if self._closed:
                return None
            if not self._started:
                self._start()
            if self._file is None:
                return None
            if self._waited and self._file.was_cut():
                self._follow_cut(self._file)
            data = self._file.read(self._left())
            self._offset += len(data)
            self._waited = not data and not self._advance()
            return None if self._waited else self._pieces(data)

    def close(self) -> None:
        """May be called twice."""
        with self._lock:
            self._closed = True
            _close(self._held())
            self._file = self._last = None

    def _start(self) -> None:
        there = files(self._path)
        if not there:
            return
        self._started = True
        start = beginning(there, self._options)
        if not self._options.follow and not there[0].compressed:
            self._last = (there[0], there[0].size)
        self._turn_to(there[start.file], start.offset)
        self._skip = start.skip
        self._newest = next((file.since for file in there[start.file :] if file.since), "")
        _close([file for file in there if file not in self._held()])

    def _held(self) -> list[LogFile]:
        """The files that have to stay open; while one is, its inode is nobody else's."""
        held = [] if self._file is None else [self._file]
        return held if self._last is None else [*held, self._last[0]]

    def _turn_to(self, file: LogFile, offset: int) -> None:
        before, self._file, self._complete = self._file, file, False
        if before is not None and before not in self._held():
            before.close()
        file.seek(offset)
        self._offset = offset

    def _left(self) -> int:
        """How much to read at most."""
        if self._last is None or self._file is None or not self._file.is_same(self._last[0]):
            return CHUNK
        return max(0, min(CHUNK, self._last[1] - self._offset))

    def _advance(self) -> bool:
        """At the end of a file: whether there may be more to read now."""
        file = self._file
        if file is None or (self._last is not None and file.is_same(self._last[0])):
            return False
        return inode(self._path) != file.inode and self._follow_rename(file)

    def _follow_rename(self, file: LogFile) -> bool:
        file.recognise()
        there = files(self._path)
        place = next((n for n, other in enumerate(there) if other.is_same(file)), None)
        if not there or place == 0:  # the next file is not made yet
            _close(there)
            return False
        if not self._complete:
            _close(there)
            self._complete = True
            return True
        if place is None:
            self.gaps += bool(file.first)
            after = self._unread(there)
        else:
            after = there[place - 1]
        self._rest = b""
        self._turn_to(after, 0)
        _close([other for other in there if other not in self._held()])
        return True

    def _unread(self, there: list[LogFile]) -> LogFile:
        """The oldest file that begins after what was read last."""
        later = [file for file in there if not file.since or file.since > self._newest]
        return later[-1] if later else there[0]

    def _follow_cut(self, file: LogFile) -> None:
        """It was emptied: what is left of it stands in the copy that was made before, if one was."""
        there = files(self._path)
        copies = [other for other in there if other.inode != file.inode and other.is_same(file)]
        if copies:
            self._turn_to(copies[0], self._offset)
        elif there:
            self.gaps += 1
            self._rest = b""
            self._turn_to(there[0], 0)
        _close([other for other in there if other not in self._held()])

    def _pieces(self, data: bytes) -> Pieces:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > PIECE_LIMIT:
            self._rest = b""
            self.malformed += 1
        found: Pieces = []
        channel, texts = Channel.STDOUT, list[str]()
        entry: Entry | None = None
        for raw in lines:
            entry = parse(raw)
            if entry is None:
                self.malformed += 1
            elif self._skip:
                self._skip -= entry.ends_line
            elif self._is_wanted(entry):
                if entry.channel is not channel and texts:
                    found.append((channel, _joined(texts)))
                    texts = []
                channel = entry.channel
                texts.append(self._text(entry, channel))
        if texts:
            found.append((channel, _joined(texts)))
        if entry is not None:
            self._newest = fixed(entry.time)
        return found

    def _is_wanted(self, entry: Entry) -> bool:
        if self._options.stream is not None and entry.channel is not self._options.stream:
            return False
        return not self._since or fixed(entry.time) >= self._since

    def _text(self, entry: Entry, channel: Channel) -> str:
        """What is shown of a piece; only the first one of a line has its moment before it."""
        begins = channel not in self._within
        if entry.ends_line:
            self._within.discard(channel)
        else:
            self._within.add(channel)
        return (
            f"{fixed(entry.time)} {entry.log}" if begins and self._options.timestamps else entry.log
        )


def _joined(texts: list[str]) -> bytes:
    return "".join(texts).encode("utf-8", "replace")
