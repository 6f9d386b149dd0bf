"""What came of a scenario, as text for a person. The same outcome gives the same text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from api.apps import DaemonSet, Deployment, StatefulSet
from api.batch import Job
from sim.driver import Outcome
from sim.figures import Figures

SHOWN = 10
"""Workloads that are named when they are not as they were asked to be, and reasons of waiting."""

_SHARES = (0.5, 0.9, 0.99, 1.0)


def text(outcome: Outcome) -> str:
    """The whole report."""
    figures = outcome.figures
    blocks = [
        _head(outcome),
        _pods(figures),
        _waiting(figures),
        _latency(figures),
        _placement(figures),
        _utilisation(figures),
        _trouble(outcome),
        _workloads(outcome.last),
        _violations(outcome),
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of sorted values that so large a share of them does not exceed."""
    return values[max(0, math.ceil(len(values) * share) - 1)]


def _head(outcome: Outcome) -> list[str]:
    return [
        f"{_span(outcome.seconds)} of a cluster of {len(outcome.figures.nodes)} nodes, "
        f"seed {outcome.seed}: {outcome.changes:,} changes, {outcome.writes:,} writes",
        f"log: {outcome.log_lines:,} lines, SHA-256 {outcome.log_digest}",
    ]


def _pods(figures: Figures) -> list[str]:
    courses = list(figures.courses.values())
    return [
        "Pods",
        *_rows(
            [
                ("created", f"{len(courses):,}"),
                ("placed", f"{len(figures.latencies.placed):,}"),
                ("became ready", f"{len(figures.latencies.ready):,}"),
                *((f"ended {phase}", f"{n:,}") for phase, n in sorted(figures.ends.items())),
                ("deleted", f"{figures.deleted:,}"),
                ("on nodes in the end", f"{sum(figures.on_node.values()):,}"),
                ("waiting in the end", f"{figures.waiting.total():,}"),
            ]
        ),
    ]


def _waiting(figures: Figures) -> list[str]:
    """What pods that have no node say of it, the most frequent first."""
    found = figures.waiting
    reasons = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"  {n:,}: {why or 'they have not been tried yet'}" for why, n in reasons[:SHOWN]]
    if len(reasons) > SHOWN:
        lines.append(f"  and {len(reasons) - SHOWN} reasons more")
    return ["Waiting in the end", *lines] if lines else []


def _latency(figures: Figures) -> list[str]:
    found = figures.latencies
    rows: list[tuple[str, ...]] = [("Latency, seconds", "median", "90 %", "99 %", "worst")]
    for name, values in (
        ("creation to node", found.placed),
        ("node to ready", found.started),
        ("creation to ready", found.ready),
    ):
        if values:
            ordered = sorted(values)
            rows.append((name, *(f"{percentile(ordered, share):.3f}" for share in _SHARES)))
    return _rows(rows, indent="", body="  ") if len(rows) > 1 else []


def _placement(figures: Figures) -> list[str]:
    counts = sorted(figures.on_node[name] for name in figures.nodes)
    if not counts:
        return []
    rows = [
        (
            "pods per node in the end",
            f"fewest {counts[0]}, median {percentile(counts, 0.5)}, most {counts[-1]}",
        ),
        ("nodes without pods", str(counts.count(0))),
        *((f"pods in zone {zone}", str(n)) for zone, n in sorted(figures.zones.items())),
    ]
    return ["Placement", *_rows(rows)]


def _utilisation(figures: Figures) -> list[str]:
    rows = [("Utilisation", "mean", "peak", "in the end")]
    rows += [
        (name, f"{use.mean:.1%}", f"{use.peak:.1%}", f"{use.now:.1%}")
        for name, use in figures.use.items()
    ]
    return _rows(rows, indent="", body="  ")


def _trouble(outcome: Outcome) -> list[str]:
    preempted = outcome.figures.disruptions.get("PreemptionByScheduler", 0)
    others = {
        reason: count
        for reason, count in sorted(outcome.figures.disruptions.items())
        if reason != "PreemptionByScheduler"
    }
    rows = [
        ("preemptions", str(preempted)),
        *((f"pods that had to go: {reason}", str(count)) for reason, count in others.items()),
        *((f"faults: {kind}", str(n)) for kind, n in sorted(outcome.faults.items())),
        ("lives of the control plane", str(outcome.control_planes)),
        ("objects that were refused", str(outcome.figures.refused)),
    ]
    return ["Disruptions", *_rows(rows)]


def _workloads(last: Mapping[str, Any]) -> list[str]:
    unfinished = [f"{name}: {told}" for name, one in last.items() if (told := short_of(one))]
    lines = [f"Workloads: {len(last):,}, {len(last) - len(unfinished):,} as they were asked to be"]
    lines += [f"  {line}" for line in unfinished[:SHOWN]]
    if len(unfinished) > SHOWN:
        lines.append(f"  and {len(unfinished) - SHOWN:,} more")
    return lines


def _violations(outcome: Outcome) -> list[str]:
    found = outcome.violations
    if not found:
        return ["Nothing happened that must never happen"]
    lines = [f"{len(found):,} things happened that must never happen"]
    lines += [f"  {violation}" for violation in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN:,} more (the log has them, as NEVER)")
    return lines


def short_of(one: Any) -> str:
    """What a workload has of what it was asked for; empty when that is all."""
    return _SHORT[type(one)](one)


def _replicated(one: Deployment | StatefulSet) -> str:
    wanted, status = one.spec.replicas or 0, one.status
    has = (status.updated_replicas or 0, status.available_replicas or 0)
    if has == (wanted, wanted) and (status.replicas or 0) == wanted:
        return ""
    return f"{has[0]} of {wanted} updated, {has[1]} available, {status.replicas or 0} in all"


def _daemons(one: DaemonSet) -> str:
    wanted, has = one.status.desired_number_scheduled, one.status.number_available or 0
    return "" if wanted == has else f"{has} of {wanted} available"


def _job(one: Job) -> str:
    if any(c.type == "Complete" and c.status == "True" for c in one.status.conditions):
        return ""
    for condition in one.status.conditions:
        if condition.type == "Failed" and condition.status == "True":
            return f"failed: {condition.reason}"
    return f"{one.status.succeeded or 0} of {one.spec.completions or 1} succeeded"


_SHORT: dict[type[Any], Callable[[Any], str]] = {
    DaemonSet: _daemons,
    Deployment: _replicated,
    Job: _job,
    StatefulSet: _replicated,
}


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" * bool(hours), f"{minutes}m" * bool(minutes), f"{rest}s" * bool(rest)]
    return "".join(parts) or "0s"


def _rows(rows: Sequence[Sequence[str]], indent: str = "  ", body: str | None = None) -> list[str]:
    """Columns: the first to the left, the others to the right under each other."""
    return list(_columns(rows, indent, indent if body is None else body))


def _columns(rows: Sequence[Sequence[str]], head: str, body: str) -> Iterator[str]:
    indented = [
        ((head if number == 0 else body) + row[0], *row[1:]) for number, row in enumerate(rows)
    ]
    widths = [max(len(row[column]) for row in indented) for column in range(len(rows[0]))]
    for row in indented:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "   ".join(cells).rstrip()
