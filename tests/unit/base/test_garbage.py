"""What survives is set aside, and still found when it has become garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from base.garbage import Garbage


class Node:
    other: Node | None = None


def cycle() -> tuple[Node, weakref.ref[Node]]:
    one, two = Node(), Node()
    one.other, two.other = two, one
    return one, weakref.ref(one)


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    made = Garbage()
    made.install()
    yield made
    made.remove()


def test_what_survives_is_not_looked_at_again(garbage: Garbage) -> None:
    one, found = cycle()
    gc.collect()
    assert gc.get_freeze_count() > 0
    del one
    gc.collect()
    assert found() is not None, "it was looked at again"
    garbage.collect()
    assert found() is None


def test_new_cycles_are_found_as_ever(garbage: Garbage) -> None:
    gc.collect()
    one, found = cycle()
    del one
    gc.collect()
    assert found() is None


def test_what_is_set_aside_goes_when_nobody_refers_to_it(garbage: Garbage) -> None:
    one, found = Node(), None
    found = weakref.ref(one)
    gc.collect()
    del one
    assert found() is None


def test_removed_it_leaves_nothing_behind() -> None:
    made = Garbage()
    made.install()
    made.remove()
    gc.collect()
    assert gc.get_freeze_count() == 0
