"""What must never happen: looked for in runs full of trouble, and found where it does happen."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from control.controllers.expectations import Expectations
from control.controllers.workloads import stateful
from control.controllers.workloads.jobs import counting
from control.scheduler.snapshot import Snapshot
from sim import report
from sim.driver import Outcome, play
from sim.reading import read
from tests.thorough import LONG

ROOT = Path(__file__).resolve().parents[3]
TROUBLE = ROOT / "examples" / "sim" / "trouble.yaml"
SEEDS = range(1, 101 if LONG else 4)
LOSSES = """
  - {kind: LostCalls, requests: 0.05, answers: 0.05, for: 3m20s}
  - {kind: NodeLoss, nodes: 2, at: 1m, every: 1m, count: 2, for: 30s..70s}
  - {kind: APIOutage, at: 40s, every: 40s..70s, count: 3, for: 2s..5s}
"""
"""More of what can go wrong, for the end of the scenario."""


def run(seed: int, text: str | None = None) -> Outcome:
    return play(read((text or TROUBLE.read_text()).encode(), str(TROUBLE)), seed=seed)


@cache
def sound(seed: int) -> Outcome:
    """Of the scenario as it is, and of controllers as they are."""
    return run(seed)


OTHERWISE = (
    (
        "maxSurge: 2\n              maxUnavailable: 1",
        "maxSurge: 0\n              maxUnavailable: 30%",
    ),
    ("replicas: 10\n", "replicas: 10\n          minReadySeconds: 2\n"),
    ("serviceName: db\n", "podManagementPolicy: Parallel\n          minReadySeconds: 1\n"),
    (
        "spec:\n          selector:\n            matchLabels:\n              app: log\n",
        "spec:\n          updateStrategy: {rollingUpdate: {maxSurge: 50%, maxUnavailable: 0}}\n"
        "          selector:\n            matchLabels:\n              app: log\n",
    ),
)
"""The same workloads with other settings: what is written, and what instead."""


def check(outcome: Outcome) -> None:
    assert outcome.control_planes > 5, "nobody was killed: the run proves nothing"
    assert [str(one) for one in outcome.violations] == []
    settled = {name: report.short_of(one) for name, one in outcome.last.items()}
    short = {name: told for name, told in settled.items() if told and "Job" not in name}
    assert not short, "everything that stays gets there once the trouble is over"


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_must_never_happen_happens(seed: int) -> None:
    """Killed in the middle of writes and blind for seconds, and yet: every bound at every step."""
    check(sound(seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS[: len(SEEDS) // 2])
def test_nor_where_calls_and_nodes_are_lost(seed: int) -> None:
    outcome = run(seed, TROUBLE.read_text() + LOSSES.lstrip("\n"))
    assert outcome.faults.keys() >= {"APIOutage", "LostCalls", "NodeLoss"}
    check(outcome)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS[: len(SEEDS) // 2])
def test_nor_with_other_settings(seed: int) -> None:
    text = TROUBLE.read_text()
    for written, instead in OTHERWISE:
        assert written in text
        text = text.replace(written, instead, 1)
    check(run(seed, text))


def test_trouble_is_the_same_in_every_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "sim", str(TROUBLE), "--seed=1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    assert "SHA-256" in done.stdout
    assert done.stdout == report.text(sound(1)), "the hash seed of this process is another"


def test_controllers_that_forget_what_they_wrote_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Expectations, "met", lambda self, owner: True)
    told = " ".join(str(one) for one in run(1).violations)
    assert "Deployment default/web: 1" in told and "where there may be 12" in told
    assert "DaemonSet default/log: 2 pods on node-" in told


def test_a_scheduler_that_counts_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Snapshot, "add_pod", lambda self, request, node: None)
    text = TROUBLE.read_text().replace("    count: 6\n", "    capacity: {cpu: 500m}\n", 1)
    assert any("of cpu given, of 500" in one.what for one in run(1, text).violations)


def test_a_stateful_set_in_a_hurry_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stateful, "_most_missing", lambda owner: 99)
    text = TROUBLE.read_text().replace("serviceName: db", "podManagementPolicy: Parallel", 1)
    told = " ".join(one.what for one in run(1, text).violations)
    assert "StatefulSet default/db: 2 pods available, where there must be 3" in told


def test_a_job_that_counts_too_early_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = counting.settle
    monkeypatch.setattr(counting, "settle", lambda status, held: settle(status, ()))
    told = " ".join(one.what for one in run(1).violations)
    assert "pods counted as succeeded, where" in told
