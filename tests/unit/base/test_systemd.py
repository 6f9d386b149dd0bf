"""Readiness, as systemd's protocol has it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from base import systemd


def test_notify_reaches_a_path(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        assert systemd.notify("READY=1", environ={"NOTIFY_SOCKET": address})
        assert server.recv(100) == b"READY=1"


def test_notify_reaches_an_abstract_socket() -> None:
    name = f"podwright-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(f"\0{name}")
        assert systemd.notify("STOPPING=1", environ={"NOTIFY_SOCKET": f"@{name}"})
        assert server.recv(100) == b"STOPPING=1"


def test_nobody_listens(tmp_path: Path) -> None:
    assert not systemd.notify("READY=1", environ={})
    assert not systemd.notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "gone")})
