"""Scenarios played to their end, and what is reported of them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from cli import sim as command
from sim import report
from sim.driver import Outcome, play
from sim.reading import ScenarioError, read

ROOT = Path(__file__).resolve().parents[3]

SMALL = """
duration: 3m
nodes:
- {name: m, count: 4, zones: [a, b], capacity: {cpu: "2"}}
pods:
- {selector: app=batch, start: 1s, run: 10s, stop: 1s}
- {start: 2s, stop: 1s}
workloads:
- at: 1s
  objects:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      replicas: 6
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: c, image: "web:1", resources: {requests: {cpu: 500m}}}]}
"""

JOBS = """
- at: 10s
  every: 20s
  count: 3
  objects:
  - apiVersion: batch/v1
    kind: Job
    metadata: {name: "batch-{n}"}
    spec:
      completions: 2
      template:
        metadata: {labels: {app: batch}}
        spec: {restartPolicy: Never, containers: [{name: c, image: "work:1"}]}
"""

URGENT = """
- at: 60s
  objects:
  - {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}
  - apiVersion: v1
    kind: Pod
    metadata: {name: urgent}
    spec:
      priorityClassName: high
      containers: [{name: c, image: "urgent:1", resources: {requests: {cpu: "2"}}}]
"""

REFUSED = """
- at: 5s
  objects:
  - {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: nowhere}}
"""


FEWER = """
- at: 5s
  objects:
  - {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: -1}}
"""


def outcome_of(text: str, log: io.StringIO | None = None, seed: int | None = None) -> Outcome:
    return play(read(text.encode(), "s.yaml"), seed=seed, log=log)


def test_what_is_asked_for_is_there_in_the_end() -> None:
    outcome = outcome_of(SMALL + JOBS)
    assert all(report.short_of(one) == "" for one in outcome.last.values())
    assert sorted(outcome.last) == [
        "Deployment default/web",
        *(f"Job default/batch-{number}" for number in range(3)),
    ]
    figures = outcome.figures
    assert figures.ends == {"Succeeded": 6}
    assert len(figures.courses) == 12
    assert figures.use["cpu"].now == pytest.approx(6 * 0.5 / 8)
    assert sum(figures.zones.values()) == 6
    assert 2.0 < min(figures.latencies.started[:6]) < 2.2, "pods start as the scenario says"


def test_preemption_is_counted_and_time_weighs_utilisation() -> None:
    outcome = outcome_of(SMALL + URGENT)
    assert outcome.figures.disruptions["PreemptionByScheduler"] >= 1
    assert 0.3 < outcome.figures.use["cpu"].mean < outcome.figures.use["cpu"].peak <= 1.0


def test_lost_nodes_are_emptied_and_come_back() -> None:
    faults = "faults:\n- {kind: NodeLoss, zone: b, at: 30s, for: 90s}\n"
    log = io.StringIO()
    outcome = outcome_of(SMALL + faults, log)
    assert "node m-1 is lost" in log.getvalue()
    assert "NodeNotReady" in log.getvalue()
    assert "node m-1 is back" in log.getvalue()
    assert outcome.faults == {"NodeLoss": 1}
    assert report.short_of(outcome.last["Deployment default/web"]) == ""


def test_what_the_api_refuses_is_noted_or_ends_the_run() -> None:
    assert outcome_of(SMALL + REFUSED).figures.refused == 1
    with pytest.raises(ScenarioError, match=r"workloads\[0\].objects\[0\].spec.replicas"):
        outcome_of(SMALL.replace("replicas: 6", "replicas: -1"))
    with pytest.raises(ScenarioError, match=r"^workloads\[1\].objects\[0\]: .*spec.replicas"):
        outcome_of(SMALL + FEWER)


def test_the_report() -> None:
    told = report.text(outcome_of(SMALL + JOBS))
    assert told.startswith("3m of a cluster of 4 nodes, seed 1: ")
    assert re.search(r"\n  placed +12\n", told)
    assert re.search(r"\n  ended Succeeded +6\n", told)
    assert re.search(r"\n  node to ready +1\.0\d\d +2\.0\d\d ", told)
    assert "Workloads: 4, 4 as they were asked to be\n" in told
    assert told == report.text(outcome_of(SMALL + JOBS)), "the same to the last byte"
    assert told != report.text(outcome_of(SMALL + JOBS, seed=2))


def test_a_report_names_what_is_missing() -> None:
    told = report.text(outcome_of(SMALL.replace("replicas: 6", "replicas: 20")))
    assert "Deployment default/web: 20 of 20 updated, 16 available, 20 in all" in told
    assert re.search(r"waiting in the end +4\n", told)
    assert re.search(
        r"\nWaiting in the end\n  4: 0/\d nodes are available: \d Insufficient cpu\.", told
    )


def test_percentiles() -> None:
    values = [float(number) for number in range(1, 101)]
    found = [report.percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)]
    assert found == [1.0, 50.0, 99.0, 100.0]
    assert report.percentile([7.0], 0.5) == 7.0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, log = tmp_path / "s.yaml", tmp_path / "log"
    file.write_text(SMALL.replace("3m", "20s"))
    assert command.main([str(file), "--seed", "5", "--log", str(log)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("20s of a cluster of 4 nodes, seed 5: ")
    assert f"log: {len(log.read_text().splitlines()):,} lines" in told


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "sim").glob("*.yaml")), ids=str)
def test_examples_can_be_read(path: Path) -> None:
    read(path.read_bytes(), str(path))
