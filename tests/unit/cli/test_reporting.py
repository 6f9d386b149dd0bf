from __future__ import annotations

import io

import pytest

from cli import reporting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172800, "2d"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    assert reporting.age(seconds) == text


def test_a_table_aligns_and_leaves_no_trailing_blanks() -> None:
    text = reporting.table(("NAME", "X"), [("a", ""), ("longer", "y")])
    assert text == "NAME     X\na\nlonger   y"


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with reporting.Progress(stream) as progress:
        progress("starting [one]")
        progress.say("  done")
    assert stream.getvalue() == "• starting [one]\n  done\n"
