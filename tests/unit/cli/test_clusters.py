from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from base.errors import PermanentError
from cli import clusters, node, token
from local.state import FILE


def parsed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    clusters.add_arguments(parser)
    return parser.parse_args(argv)


def test_a_name_is_a_folder_below_the_state_folder(tmp_path: Path) -> None:
    assert clusters.folder_of(parsed("--state-dir", str(tmp_path))) == tmp_path
    named = parsed("--state-dir", str(tmp_path), "--name", "lab")
    assert clusters.folder_of(named) == tmp_path / "lab"
    assert clusters.name_of(named) == "lab"
    assert clusters.name_of(parsed()) == "podwright"


@pytest.mark.parametrize("name", ["..", "a/b", "control", "node-1", "logs", "UPPER"])
def test_a_name_that_would_collide_or_escape_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError):
        clusters.folder_of(parsed("--state-dir", str(tmp_path), "--name", name))


def test_a_cluster_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / FILE).write_text("{}")
    with pytest.raises(PermanentError) as caught:
        clusters.existing(parsed("--state-dir", str(tmp_path)))
    assert "--name lab" in caught.value.hint


@pytest.mark.parametrize("argv", [["explode", "x"], ["cut"], []])
def test_a_wrong_call_is_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        node.main(argv)
    assert caught.value.code == 2
    assert "usage: podwright node" in capsys.readouterr().err


def test_a_ttl_that_is_none_is_named() -> None:
    with pytest.raises(PermanentError, match="--ttl: expected a duration"):
        token._seconds("soon")
    assert token._seconds("0") is None
    assert token._seconds("2h") == 7200
