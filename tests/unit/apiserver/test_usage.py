"""Rates from the agents' counters."""

from typing import Any

import pytest

from control.apiserver.agents.usage import Used, reading, usage


def counters(cpu: int, memory: int) -> dict[str, Any]:
    return {"cpu": {"usageCoreNanoSeconds": cpu}, "memory": {"workingSetBytes": memory}}


def summary(node: tuple[int, int], **pods: dict[str, tuple[int, int]]) -> dict[str, Any]:
    return {
        "node": counters(*node),
        "pods": [
            {
                "podRef": {"uid": uid, "name": uid, "namespace": "default"},
                "containers": [
                    {"name": name, **counters(*pair)} for name, pair in containers.items()
                ],
            }
            for uid, containers in pods.items()
        ],
    }


def test_cpu_is_the_mean_of_the_span_and_memory_that_of_its_end() -> None:
    before = reading(summary((1000, 5), web={"c": (100, 1)}), 10.0)
    now = reading(summary((5000, 7), web={"c": (700, 3)}), 12.0)
    found = usage(before, now)
    assert found.node == Used(cpu=2000, memory=7)
    assert found.pods == {"web": {"c": Used(cpu=300, memory=3)}}
    assert found.window == 2.0


@pytest.mark.parametrize(
    "earlier",
    [summary((0, 0)), summary((0, 0), web={"c": (900, 1)}), summary((0, 0), web={"d": (1, 1)})],
)
def test_what_has_just_begun_or_began_anew_is_left_out(earlier: dict[str, Any]) -> None:
    now = reading(summary((10, 1), web={"c": (700, 3)}), 12.0)
    assert usage(reading(earlier, 10.0), now).pods == {}
