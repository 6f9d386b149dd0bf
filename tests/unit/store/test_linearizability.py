"""The checker itself: it accepts what may happen, and finds what must not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.linearizability import Action, Operation, Result, linearizable, shortest_violation, step

OK, UNKNOWN = Result.OK, Result.UNKNOWN


def op(
    action: Action,
    called: float,
    returned: float,
    result: Result = OK,
    value: str = "",
    expected: str = "",
) -> Operation:
    return Operation(0, action, called, returned, result, value, expected)


def test_a_read_sees_the_write_that_ended_before_it() -> None:
    written = op("create", 0, 1, value="a")
    assert linearizable([written, op("get", 2, 3, value="a")])
    assert not linearizable([written, op("get", 2, 3, Result.MISSING)])


def test_a_read_beside_a_write_sees_either() -> None:
    written = op("create", 0, 5, value="a")
    assert linearizable([written, op("get", 1, 2, value="a")])
    assert linearizable([written, op("get", 1, 2, Result.MISSING)])


def test_readers_do_not_go_back() -> None:
    history = [
        op("create", 0, 1, value="a"),
        op("update", 2, 9, value="b", expected="a"),
        op("get", 3, 4, value="b"),
        op("get", 5, 6, value="a"),
    ]
    assert not linearizable(history)
    assert shortest_violation(history) == [history[0], history[2], history[3]]


def test_one_of_two_writers_under_one_version_wins() -> None:
    start = op("create", 0, 1, value="a")
    first = op("update", 2, 6, value="b", expected="a")
    assert not linearizable([start, first, op("update", 2, 6, value="c", expected="a")])
    assert linearizable([start, first, op("update", 2, 6, Result.CONFLICT, "c", "a")])
    assert not linearizable([start, op("update", 2, 6, Result.CONFLICT, "c", "a")])


def test_a_lost_answer_may_be_either() -> None:
    lost = op("create", 0, 1, UNKNOWN, value="a")
    assert linearizable([lost, op("get", 5, 6, value="a")])
    assert linearizable([lost, op("get", 5, 6, Result.MISSING)])
    late = [lost, op("get", 5, 6, Result.MISSING), op("get", 7, 8, value="a")]
    assert linearizable(late)
    undone = [lost, op("get", 5, 6, value="a"), op("get", 7, 8, Result.MISSING)]
    assert not linearizable(undone)


def test_an_acknowledged_write_is_not_lost() -> None:
    assert not linearizable([op("create", 0, 1, value="a"), op("get", 2, 3, value="b")])
    gone = op("delete", 2, 3)
    assert not linearizable([op("create", 0, 1, value="a"), gone, op("get", 4, 5, value="a")])
    assert not linearizable([op("create", 0, 1, value="a"), op("create", 2, 3, value="b")])


@given(st.data())
def test_what_one_object_answered_is_explained(data: st.DataObject) -> None:
    """Random operations, applied one at a time within overlapping calls, are always accepted."""
    state: str | None = None
    history: list[Operation] = []
    for at in range(data.draw(st.integers(0, 25))):
        action: Action = data.draw(st.sampled_from(["create", "get", "update", "delete"]))
        expected = data.draw(st.sampled_from(["", state or "", "other"]))
        value = state or "" if action == "get" else str(at)
        for result in (OK, Result.EXISTS, Result.MISSING, Result.CONFLICT):
            before, after = data.draw(st.floats(0, 3)), data.draw(st.floats(0, 3))
            tried = op(action, at - before, at + after, result, value, expected)
            possible, new = step(state, tried)
            if possible:
                break
        else:
            continue
        state = new
        if data.draw(st.integers(0, 5)) == 0 and action != "get":
            tried = op(action, tried.called, tried.returned, UNKNOWN, value, expected)
        history.append(tried)
    assert linearizable(history)
