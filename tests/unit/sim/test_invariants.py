"""What must never happen: looked for in runs full of trouble, and found where it does happen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from control.controllers.expectations import Expectations
from control.scheduler.snapshot import Snapshot
from sim import report
from sim.driver import Outcome, play
from sim.reading import read

ROOT = Path(__file__).resolve().parents[3]
TROUBLE = ROOT / "examples" / "sim" / "trouble.yaml"
LONG = bool(os.environ.get("PODWRIGHT_TEST_LONG"))
SEEDS = range(1, 101 if LONG else 4)


def run(seed: int, text: str | None = None) -> Outcome:
    return play(read((text or TROUBLE.read_text()).encode(), str(TROUBLE)), seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_must_never_happen_happens(seed: int) -> None:
    """Killed in the middle of writes and blind for seconds, and yet: every bound at every step."""
    outcome = run(seed)
    assert outcome.control_planes > 5, "nobody was killed: the run proves nothing"
    assert [str(one) for one in outcome.violations] == []
    settled = {name: report.short_of(one) for name, one in outcome.last.items()}
    short = {name: told for name, told in settled.items() if told and "Job" not in name}
    assert not short, "everything that stays gets there once the trouble is over"


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
