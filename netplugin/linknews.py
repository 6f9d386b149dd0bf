"""Whether any link of the namespace has changed, without reading them all.

A node's links are its pods', and to read a hundred of them takes 40 ms of CPU, which an idle node has
better uses for twice in a minute. The kernel announces each change of a link to whoever listens
(rtnetlink(7), group RTNLGRP_LINK): that there was one is all that is asked here, not which.

Concurrency: belongs to the thread that made it, and to the namespace in which that thread then was.
Invariant: what is not surely quiet counts as changed.
"""

from __future__ import annotations

import socket

_GROUP_LINK = 1  # RTMGRP_LINK, the mask of RTNLGRP_LINK
_BUFFER = 64 * 1024


class LinkNews:
    """Counts the times that changes were found."""

    def __init__(self) -> None:
        self._listener = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._listener.bind((0, _GROUP_LINK))
        self._listener.setblocking(False)
        self._version = 1

    def close(self) -> None:
        self._listener.close()

    def version(self) -> int:
        """Another number than before: links have changed since, or announcements were lost."""
        changed = False
        while True:
            try:
                self._listener.recv(_BUFFER)
            except BlockingIOError:
                self._version += changed
                return self._version
            except OSError:  # ENOBUFS: more was announced than the socket holds
                pass
            changed = True
