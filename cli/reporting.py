"""How commands show what they do: live progress on a terminal, plain lines elsewhere; and tables.

A `Progress` may be told things from several threads: the nodes of a cluster start at once.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Progress:
    """Steps of a command. On a terminal the last one spins until the next begins."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._current = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._status is not None:
                self._finish(well=error is None)
                self._status.stop()
                self._status = None

    def __call__(self, step: str) -> None:
        """A step begins; the one before it is done."""
        with self._lock:
            if self._status is None:
                self._console.print(f"• {step}", markup=False)
                return
            self._finish(well=True)
            self._current, self._began = step, time.monotonic()
            self._status.update(f"{escape(step)} …")

    def say(self, text: str) -> None:
        """Something worth keeping that is not a step."""
        self._console.print(text, markup=False)

    def _finish(self, *, well: bool) -> None:
        if self._current:
            seconds = time.monotonic() - self._began
            mark = "[green]✓[/]" if well else "[red]✗[/]"
            self._console.print(f"{mark} {escape(self._current)} [dim]({seconds:.1f} s)[/]")
            self._current = ""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as kubectl aligns them: three spaces apart, nothing after the last."""
    lines = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def age(seconds: float) -> str:
    """How long, as kubectl says it: 42s, 5m, 3h, 2d."""
    whole = max(0, int(seconds))
    for unit, size, limit in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172800)):
        if whole < limit:
            return f"{whole // size}{unit}"
    return f"{whole // 86400}d"
