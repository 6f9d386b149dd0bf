"""What nodes and pods use, asked of the agents when somebody wants to know.

For `kubectl top` and for autoscaling (after step 5 of the pod's walk). The agents tell counters; a rate
needs two readings. While nobody asks nothing is read; whoever asks first waits a second for the second
reading, and those who ask within ten seconds get the same answer. A node that does not answer in
time is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from api import errors, nodes
from api.core import Node
from api.errors import ApiError
from base.clock import Clock
from control.admission.chain import Reader
from control.apiserver.agents.agents import Agents, body_of
from control.apiserver.agents.location import agent_of

log = logging.getLogger(__name__)

_NONSENSE = (LookupError, TypeError, ValueError, OverflowError, msgspec.MsgspecError)
"""An agent that says what nobody understands is left out, and the others are not."""
_LARGEST = 2**63
FRESH = 10.0
"""Seconds for which an answer is good."""
FORGOTTEN = 120.0
"""Seconds after which an older reading says nothing about now."""
SHORTEST = 1.0
PATIENCE = 5.0
AT_A_TIME = 50
_SUMMARY = "/stats/summary"
_LESS = {"only_cpu_and_memory": "true"}
"""Nothing else is looked at here, and it spares the agents some work."""


@dataclass(frozen=True, kw_only=True)
class Used:
    """CPU in billionths of a core over the span, memory in bytes."""

    cpu: int
    memory: int


@dataclass(frozen=True, kw_only=True)
class NodeUsage:
    """One node, and its pods' containers by the pod's UID."""

    node: Used
    pods: Mapping[str, Mapping[str, Used]] = field(default_factory=dict)
    window: float
    """Seconds."""
    at: float = 0.0
    """When the span ended (monotonic seconds)."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Counters of one node at one moment (monotonic seconds): by key CPU nanoseconds and memory.

    The key of the node is empty, that of a container `(uid, name)`.
    """

    at: float
    counters: Mapping[tuple[str, str], tuple[int, int]]


def reading(summary: Any, at: float) -> Reading:
    """From the body of an agent's `/stats/summary`."""

    def counters(of: Any) -> tuple[int, int]:
        cpu, memory = int(of["cpu"]["usageCoreNanoSeconds"]), int(of["memory"]["workingSetBytes"])
        if not (0 <= cpu < _LARGEST and 0 <= memory < _LARGEST):
            raise ValueError("a counter is out of range")
        return cpu, memory

    found = {("", ""): counters(summary["node"])}
    for pod in summary["pods"]:
        for container in pod["containers"]:
            found[pod["podRef"]["uid"], container["name"]] = counters(container)
    return Reading(at=at, counters=found)


def usage(before: Reading, now: Reading) -> NodeUsage:
    """The rates between two readings; what was not there before, or began anew, is left out, and with it
    its pod: a part of one would be taken for all that it uses."""
    span = now.at - before.at
    used = {
        key: Used(cpu=int((cpu - before.counters[key][0]) / span), memory=memory)
        for key, (cpu, memory) in now.counters.items()
        if key in before.counters and cpu >= before.counters[key][0]
    }
    partly = {uid for uid, name in now.counters if (uid, name) not in used}
    pods: dict[str, dict[str, Used]] = {}
    for (uid, name), one in used.items():
        if uid and uid not in partly:
            pods.setdefault(uid, {})[name] = one
    return NodeUsage(
        node=used.get(("", ""), Used(cpu=0, memory=now.counters["", ""][1])),
        pods=pods,
        window=span,
        at=now.at,
    )


class UsageCollector:
    """Reads the agents, at most every ten seconds."""

    def __init__(self, agents: Agents, reader: Reader, clock: Clock) -> None:
        self._agents = agents
        self._reader = reader
        self._clock = clock
        self._lock = asyncio.Lock()
        self._readings: dict[str, Reading] = {}
        self._usage: dict[str, NodeUsage] = {}
        self._at = float("-inf")

    async def by_node(self) -> Mapping[str, NodeUsage]:
        """What every node uses that answers, by name."""
        async with self._lock:
            if self._clock.monotonic() - self._at >= FRESH:
                await self._read()
                if any(name not in self._usage for name in self._readings):
                    await self._clock.sleep(SHORTEST)
                    await self._read()
                self._at = self._clock.monotonic()
            return dict(self._usage)

    async def _read(self) -> None:
        ready = [node for node in self._reader.list(Node) if nodes.is_ready(node)]
        turns = asyncio.Semaphore(AT_A_TIME)
        found = await asyncio.gather(*(self._ask(node, turns) for node in ready))
        now = {name: one for name, one in found if one is not None}
        self._usage = {
            name: usage(before, one)
            for name, one in now.items()
            if (before := self._before(name, one)) is not None
        }
        self._readings = now

    def _before(self, name: str, now: Reading) -> Reading | None:
        before = self._readings.get(name)
        if before is None or not SHORTEST * 0.9 <= now.at - before.at <= FORGOTTEN:
            return None
        return before

    async def _ask(self, node: Node, turns: asyncio.Semaphore) -> tuple[str, Reading | None]:
        name = node.metadata.name
        try:
            async with turns, asyncio.timeout(PATIENCE):
                response = await self._agents.get(agent_of(node), _SUMMARY, _LESS)
                async with response:
                    if response.status != 200:
                        raise errors.internal(f"its agent answered {response.status}")
                    body = msgspec.json.decode(await body_of(response))
            return name, reading(body, self._clock.monotonic())
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError, *_NONSENSE) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else error
            log.warning("what node %s uses is not known: %s", name, why)
            return name, None
