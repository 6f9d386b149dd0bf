from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import PermanentError
from local import state
from local.state import Description, Shape

DESCRIPTION = Description(
    name="demo", shape=Shape.NAMESPACES, nodes=["node-1"], port=20001, kubeconfig="/tmp/k"
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert state.load(folder) is None
    state.save(folder, DESCRIPTION)
    assert state.load(folder) == DESCRIPTION


def test_a_damaged_description_names_the_file(tmp_path: Path) -> None:
    (tmp_path / state.FILE).write_text("{")
    with pytest.raises(PermanentError, match=state.FILE):
        state.load(tmp_path)


def test_the_cluster_of_another_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root, who runs the tests, may read everything
    with pytest.raises(PermanentError, match="another user's"):
        state.load(tmp_path)


def test_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        state.locked(tmp_path),
        pytest.raises(PermanentError, match="another command"),
        state.locked(tmp_path),
    ):
        pass
    with state.locked(tmp_path):
        pass


def test_the_folder_may_be_removed_while_it_is_locked(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with state.locked(folder):
        (folder / state.LOCK).unlink()
        folder.rmdir()
    assert not folder.exists()
    with state.locked(folder):
        pass
