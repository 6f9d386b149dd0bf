"""`/metrics` of the agent: what every long-lived part says of itself, in Prometheus' text format.

Made from `statistics()` at each request, so that nothing is counted twice and parts need not know
Prometheus. The process' own numbers have the names that Prometheus' client libraries give them.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Mapping
from pathlib import Path

from agent.node import machine
from agent.server.interface import Statistics
from agent.server.pages.exposition import CONTENT_TYPE as CONTENT_TYPE
from agent.server.pages.exposition import Exposition

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Metrics:
    """Renders the statistics of named parts, and those of this process."""

    def __init__(self, parts: Mapping[str, Statistics]) -> None:
        self._parts = dict(parts)

    def render(self) -> bytes:
        page = Exposition()
        for part, statistics in sorted(self._parts.items()):
            for name, value in statistics().items():
                full = _metric_name(part, name)
                page.declare(full, "gauge", f"{name.replace('_', ' ')} of {part}")
                page.add(full, value)
        _process(page)
        return page.render()


def _process(page: Exposition) -> None:
    own = Path("/proc/self")
    words = (own / "stat").read_text().rpartition(")")[2].split()
    found = (
        (
            "cpu_seconds_total",
            "counter",
            "CPU time used",
            (int(words[11]) + int(words[12])) / _TICKS,
        ),
        ("virtual_memory_bytes", "gauge", "Size of the address space", int(words[20])),
        ("resident_memory_bytes", "gauge", "Memory in use", int(words[21]) * _PAGE),
        ("open_fds", "gauge", "Open files", len(list((own / "fd").iterdir()))),
        (
            "max_fds",
            "gauge",
            "Files that may be open",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        ),
    )
    for name, type_, help_, value in found:
        page.declare(f"process_{name}", type_, help_)
        page.add(f"process_{name}", value)
    if (booted := machine.booted()) is not None:
        page.declare("process_start_time_seconds", "gauge", "Start, in seconds since 1970")
        started = booted.timestamp() + int(words[19]) / _TICKS
        page.add("process_start_time_seconds", started)


def _metric_name(part: str, name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", f"podwright_agent_{part}_{name}")
