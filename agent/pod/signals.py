"""Signals: those that end containers, and those that ask them to (steps 5 and 7 of the pod's walk). Pure.

An image names its signal as it likes (`STOPSIGNAL 3`, `quit`, `SIGQUIT`); the API knows one spelling.
"""

from __future__ import annotations

import signal
from typing import get_args

from api.core import Signal

_KNOWN = frozenset(get_args(Signal)[1].values)
_NAMES = {one.value: one.name for one in signal.Signals}
_NUMBERED = {
    **{signal.SIGRTMIN + more: f"SIGRTMIN+{more}" for more in range(1, 16)},
    **{signal.SIGRTMAX - less: f"SIGRTMAX-{less}" for less in range(1, 15)},
    **_NAMES,
}


def behind(exit_code: int) -> int:
    """The signal behind an exit code; 0 for what is no signal's number, which a program may return as it
    likes."""
    number = exit_code - 128
    return number if number in _NAMES else 0


def told(exit_code: int) -> str:
    """The name of the signal behind an exit code; empty when there is none."""
    return _NAMES.get(behind(exit_code), "")


def name(text: str) -> str | None:
    """As the API spells a signal; None for what is none."""
    if text.isascii() and text.isdigit():
        spelled = _NUMBERED.get(int(text), "")
    else:
        spelled = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    return spelled if spelled in _KNOWN else None
