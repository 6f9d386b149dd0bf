"""Telling the process that started a daemon how it is: sd_notify(3), which is a few lines.

Useful without systemd as well: whoever starts a daemon may open the socket and wait for READY=1.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


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
