"""UUIDs are random, of version 4, and fetched many at a time."""

from __future__ import annotations

import random
import uuid

from base.uuids import Uuids, spelled


def test_they_are_what_the_standard_library_makes_of_the_same_bits() -> None:
    source = random.Random(7)
    for bits in (0, 2**128 - 1, *(source.getrandbits(128) for _ in range(200))):
        assert spelled(bits) == str(uuid.UUID(int=bits, version=4))


def test_all_of_the_randomness_is_used_once() -> None:
    asked: list[int] = []

    def read(count: int) -> bytes:
        asked.append(count)
        return random.Random(len(asked)).randbytes(count)

    made = Uuids(read)
    found = {made() for _ in range(1000)}
    assert len(found) == 1000
    assert sum(asked) < 2 * 1000 * 16


def test_two_sources_do_not_agree() -> None:
    assert not {Uuids()() for _ in range(100)} & {Uuids()() for _ in range(100)}
