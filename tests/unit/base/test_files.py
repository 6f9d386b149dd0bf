"""Files are whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from base.files import atomic_write, make_directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_content_and_mode_are_exact_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_write(tmp_path / "public", "text\n", mode=0o644)
        atomic_write(tmp_path / "secret", b"\x00bytes", mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "public").read_text() == "text\n"
    assert mode(tmp_path / "public") == 0o644
    assert (tmp_path / "secret").read_bytes() == b"\x00bytes"
    assert mode(tmp_path / "secret") == 0o600


def test_a_reader_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, "old")
    with path.open() as reader:
        atomic_write(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    atomic_write(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_make_directory_sets_the_mode_of_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    make_directory(path)
    assert mode(path) == 0o755
    assert make_directory(path, mode=0o700) == path
    assert mode(path) == 0o700
