"""docs/compatibility.md says what the code does: page, tables and the agent's own lists agree."""

from __future__ import annotations

import re
from pathlib import Path

from agent.spec.refusals import REFUSALS
from agent.volumes.registry import TYPES
from cli import compatibility
from control.resources.compatibility import MOUNTABLE, POD_SPEC

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"
REGENERATE = (
    "docs/compatibility.md is out of date; bring it up to date: "
    ".venv/bin/python -m cli.compatibility > docs/compatibility.md"
)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == compatibility.page(), REGENERATE


def test_volume_types_are_those_of_the_agent() -> None:
    assert set(MOUNTABLE) == {kind.wire for kind in TYPES}


def test_no_field_is_both_refused_and_without_effect() -> None:
    refused = {rule.field.removeprefix("spec.") for rule in REFUSALS}
    ignored = {row.path for row in POD_SPEC if not row.when}
    assert not refused & ignored


def test_tables_are_whole() -> None:
    """Each row has as many cells as its head, and no text breaks the table."""
    for table in re.findall(r"(?:^\|.*\n)+", compatibility.page(), re.MULTILINE):
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1, table
