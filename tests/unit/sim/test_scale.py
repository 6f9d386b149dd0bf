"""A thousand nodes on one core, in reasonable time and memory."""

from __future__ import annotations

import time

from sim import report
from sim.driver import play
from sim.reading import read

THOUSAND = """
duration: 1m
nodes:
- {name: m, count: 1000, zones: [a, b, c]}
workloads:
- at: 2s
  every: 100ms
  count: 50
  objects:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: "web-{n}"}
    spec:
      replicas: 10
      selector: {matchLabels: {app: "web-{n}"}}
      template:
        metadata: {labels: {app: "web-{n}"}}
        spec: {containers: [{name: c, image: "web:1", resources: {requests: {cpu: "2"}}}]}
faults:
- {kind: ControlKill, at: 4s, for: 1s}
"""
SECONDS = 60.0
"""Of one core; on the machine this was written on it takes a fifth of that."""


def test_a_thousand_nodes() -> None:
    begun = time.process_time()
    outcome = play(read(THOUSAND.encode(), "s.yaml"))
    took = time.process_time() - begun
    assert len(outcome.figures.nodes) == 1000
    assert {
        name: short for name, one in outcome.last.items() if (short := report.short_of(one))
    } == {}
    assert outcome.violations == []
    assert max(outcome.figures.on_node.values()) == 1, "there is a free node for each of 500 pods"
    assert took < SECONDS, f"{took:.1f} s"
