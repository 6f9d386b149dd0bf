"""Readiness and inherited sockets, as systemd's protocols have them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
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


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert systemd.inherited_sockets(environ={}) == []
    assert systemd.inherited_sockets(environ={"LISTEN_FDS": "1", "LISTEN_PID": "1"}) == []


def test_a_listener_is_inherited(tmp_path: Path) -> None:
    child = (
        "from base.systemd import inherited_sockets as f\n"
        "s, = f()\n"
        "c, _ = s.accept()\n"
        "c.sendall(b'hello')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        # The child takes the listener as its descriptor 3, as a service manager would arrange it.
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os; os.dup2({server.fileno()}, 3)\n{child}"],
            env={**os.environ, "LISTEN_FDS": "1"},
            pass_fds=[server.fileno()],
            cwd=Path(__file__).resolve().parents[3],
        )
        with socket.create_connection(server.getsockname(), timeout=20) as client:
            assert client.recv(100) == b"hello"
        assert process.wait(20) == 0
