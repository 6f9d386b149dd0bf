"""Talking to the process that started a daemon: readiness (sd_notify) and inherited sockets.

Both protocols are a few lines, and useful without systemd as well: a local cluster waits for
READY=1 on a socket of its own, and opens the API's loopback listener in the root namespace to hand
it to a control plane that lives in another. See sd_notify(3) and sd_listen_fds(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

_FIRST_FD = 3  # SD_LISTEN_FDS_START


def notify(state: str, *, environ: Mapping[str, str] | None = None) -> bool:
    """Send a state such as "READY=1" or "STOPPING=1". False when nobody asked to be told."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect(address)
            sock.sendall(state.encode())
        except OSError:  # whoever wanted to know is gone; the daemon goes on
            return False
    return True


def inherited_sockets(*, environ: Mapping[str, str] | None = None) -> list[socket.socket]:
    """The listening sockets this process was started with, in order."""
    environ = os.environ if environ is None else environ
    count = int(environ.get("LISTEN_FDS", "0"))
    # Without LISTEN_PID the sockets are taken as ours: a parent that sets the variables before the
    # fork cannot know the pid.
    if count <= 0 or environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()):
        return []
    sockets = []
    for handle in range(_FIRST_FD, _FIRST_FD + count):
        os.set_inheritable(handle, False)
        sockets.append(socket.socket(fileno=handle))
    return sockets
