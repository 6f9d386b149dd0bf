"""Ports for servers that tests start in processes of their own, and which have to be told theirs.

A port that the kernel chooses is of those that it also gives to outgoing connections: between the choice
and the start of the server one of the many connections of other tests may get it. These lie below that
range (`ip_local_port_range`), and below those of Services. Processes that run tests side by side have
different ones.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST = 20_000
OF_A_PROCESS = 100
PROCESSES = 100

_numbers = itertools.count()


def free_port() -> int:
    """A port of loopback where nobody listens; none is given out twice in a row."""
    first = FIRST + os.getpid() % PROCESSES * OF_A_PROCESS
    for _ in range(OF_A_PROCESS):
        port = first + next(_numbers) % OF_A_PROCESS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all ports from {first} on are taken")
