"""Puts an answer together: the pod, its events, and what the scheduler remembers of it.

The one place of this package with effects: it reads the API, as any client could, asks the scheduler of
its process, and the agent of the pod's node how containers died.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol

from api import pods
from api.client import Client
from api.core import Event, Pod
from api.meta import ObjectMeta
from api.why import Death, Explanation, Finding
from base.clock import Clock
from control.scheduler.journal import Entry
from control.why import placing, running

EVENTS = 6
_TOLD_ELSEWHERE = frozenset({"FailedScheduling", "Scheduled"})


class Records(Protocol):
    """What the scheduler can tell about a pod."""

    def last_decision(self, pod: Pod) -> Entry | None: ...

    def remedies(self, pod: Pod) -> list[str]: ...


Deaths = Callable[[Pod], Awaitable[list[Death]]]
"""How a pod's containers died, as far as its node can tell."""


class Explainer:
    """Explains pods; `schedulers` are the names under which `records` are made."""

    def __init__(
        self,
        client: Client,
        records: Records,
        schedulers: Collection[str],
        deaths: Deaths,
        clock: Clock,
    ) -> None:
        self._client = client
        self._deaths = deaths
        self._records = records
        self._schedulers = schedulers
        self._clock = clock

    async def explain(self, namespace: str, name: str) -> Explanation:
        """Why a pod is as it is.

        Raises:
            ApiError: there is no such pod.
        """
        pod = await self._client.get(Pod, name, namespace)
        events = await self._client.list(
            Event, namespace, field_selector=f"involvedObject.uid={pod.metadata.uid}"
        )
        entry = self._records.last_decision(pod)
        tried = not pods.is_scheduled(pod) and entry is not None and entry.decision.node is None
        remedies = self._records.remedies(pod) if tried else []
        answer = Explanation(
            metadata=ObjectMeta(name=name, namespace=namespace, uid=pod.metadata.uid)
        )
        answer.findings = list(running.findings(pod))
        placing.explain(answer, pod, entry, remedies, self._schedulers, self._clock.now())
        answer.findings += told(events.items)
        answer.deaths = await self._deaths(pod)
        answer.summary = summary(pod, answer.findings)
        return answer


def told(events: Iterable[Event]) -> list[Finding]:
    """The latest warnings, the last first."""
    warnings = [
        event for event in events if event.type == "Warning" and event.reason not in _TOLD_ELSEWHERE
    ]
    warnings.sort(key=_last, reverse=True)
    return [
        Finding(
            topic="Event",
            message=f"{event.reason}: {event.message}"
            + (f" ({event.count} times)" if event.count > 1 else ""),
            since=_last(event) or None,
        )
        for event in warnings[:EVENTS]
    ]


def _last(event: Event) -> str:
    return event.last_timestamp or event.event_time or event.metadata.creation_timestamp or ""


def summary(pod: Pod, findings: Iterable[Finding]) -> str:
    """One sentence: what the pod is, and the first thing that explains it."""
    name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    state = "Terminating" if pod.metadata.deletion_timestamp else pod.status.phase or "Pending"
    if state == "Running":
        state = "Running and ready" if pods.is_ready(pod) else "Running but not ready"
    first = next(iter(findings), None)
    return f"{name} is {state}" + (f": {first.message}" if first else "")
