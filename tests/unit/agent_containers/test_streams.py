"""The engine's frames, however they are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.containers.records import Channel
from agent.containers.streams import HEADER, Demultiplexer

outputs = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(outputs, st.lists(st.integers(0, 30), max_size=20))
def test_any_cut_gives_the_same_bytes(frames: list[tuple[int, bytes]], sizes: list[int]) -> None:
    wire = b"".join(HEADER.pack(channel, len(data)) + data for channel, data in frames)
    demultiplexer = Demultiplexer()
    pieces = [piece for part in cut(wire, sizes) for piece in demultiplexer.feed(part)]
    for channel in (Channel.STDOUT, Channel.STDERR):
        expected = b"".join(data for number, data in frames if number == channel)
        assert b"".join(data for found, data in pieces if found is channel) == expected


def test_a_long_frame_is_passed_on_before_its_end() -> None:
    demultiplexer = Demultiplexer()
    assert list(demultiplexer.feed(HEADER.pack(1, 10**9) + b"begin")) == [
        (Channel.STDOUT, b"begin")
    ]


def test_the_engines_own_errors_are_stderr() -> None:
    assert list(Demultiplexer().feed(HEADER.pack(3, 4) + b"oops")) == [(Channel.STDERR, b"oops")]
