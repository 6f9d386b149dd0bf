"""Puts an answer together: the pod, its events, and what the scheduler remembers of it.

The one place of this package with effects: it reads the API, as any client could, asks the scheduler of
its process, and the agent of the pod's node how containers died. What the asking user may not read by
other ways is left out: log lines, events, claims, how nodes are, names of other namespaces' pods.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol

from api import pods
from api.client import Client
from api.core import Event, Node, PersistentVolumeClaim, Pod
from api.errors import ApiError, is_not_found
from api.meta import ObjectMeta
from api.objects import controller_of
from api.why import Death, Explanation, Finding
from base.clock import Clock
from control.scheduler.journal import Entry
from control.why import placing, running
from control.why.around import REFUSED, of_claims, of_node, of_owner
from control.why.events import told, told_of_missing


class Records(Protocol):
    """What the scheduler can tell about a pod."""

    def last_decision(self, pod: Pod) -> Entry | None: ...

    def remedies(self, pod: Pod, *, strangers: bool) -> list[str]: ...


class May(Protocol):
    """Whether whoever asks may do this (`get`, `list`) with that resource (`pods/log`) of the pod's
    namespace, or of all namespaces.
    """

    def __call__(
        self, verb: str, resource: str, *, everywhere: bool = False
    ) -> Awaitable[bool]: ...


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

    async def explain(self, namespace: str, name: str, may: May) -> Explanation:
        """Why a pod is as it is, as far as whoever asks may know.

        Raises:
            ApiError: there is no such pod, and nothing is known of one that was.
        """
        answer = Explanation(metadata=ObjectMeta(name=name, namespace=namespace))
        try:
            pod = await self._client.get(Pod, name, namespace)
        except ApiError as error:
            if not is_not_found(error):
                raise
            answer.findings = await self._missing(namespace, name, may)
            if not answer.findings:
                raise
            first = answer.findings[0].message
            answer.summary = f"pod {namespace}/{name} does not exist: {first}"
            return answer
        answer.metadata.uid = pod.metadata.uid
        entry = self._records.last_decision(pod)
        answer.findings = [*running.findings(pod), *await self._node(pod, may)]
        strangers = await may("list", "pods", everywhere=True)
        remedies = self._records.remedies(pod, strangers=strangers) if _is_stuck(pod, entry) else []
        now = self._clock.now()
        placing.explain(answer, pod, entry, remedies, self._schedulers, now, strangers=strangers)
        if not pods.is_scheduled(pod):
            answer.findings += await self._claims(pod, may)
        if await may("list", "events"):
            answer.findings += told(await self._events(namespace, pod.metadata.uid))
            if (owner := controller_of(pod)) is not None:
                answer.findings += of_owner(pod, await self._events(namespace, owner.uid))
        answer.deaths = await self._deaths(pod)
        if not await may("get", "pods/log"):
            for death in answer.deaths:
                death.last_lines = []
        answer.summary = summary(pod, answer.findings)
        return answer

    async def _events(self, namespace: str, uid: str) -> list[Event]:
        selector = f"involvedObject.uid={uid}"
        return (await self._client.list(Event, namespace, field_selector=selector)).items

    async def _missing(self, namespace: str, name: str, may: May) -> list[Finding]:
        """What events tell of a pod that is not there."""
        if not await may("list", "events"):
            return []
        own, others = [
            (await self._client.list(Event, namespace, field_selector=selector)).items
            for selector in (
                f"involvedObject.kind=Pod,involvedObject.name={name}",
                f"reason={REFUSED}",
            )
        ]
        return told_of_missing(name, own, others)

    async def _node(self, pod: Pod, may: May) -> list[Finding]:
        name = pod.spec.node_name
        if not name or pods.is_terminal(pod) or not await may("get", "nodes"):
            return []
        try:
            return [*of_node(pod, await self._client.get(Node, name))]
        except ApiError as error:
            if is_not_found(error):
                return [*of_node(pod, None)]
            raise

    async def _claims(self, pod: Pod, may: May) -> list[Finding]:
        if not any(pods.claims(pod)) or not await may("list", "persistentvolumeclaims"):
            return []
        namespace = pod.metadata.namespace
        claims = await self._client.list(PersistentVolumeClaim, namespace)
        selector = "involvedObject.kind=PersistentVolumeClaim"
        events = await self._client.list(Event, namespace, field_selector=selector)
        return [*of_claims(pod, claims.items, events.items)]


def _is_stuck(pod: Pod, entry: Entry | None) -> bool:
    """Whether something would help the pod onto a node: it was refused, or nobody may try it yet."""
    if pods.is_scheduled(pod) or pod.metadata.deletion_timestamp:
        return False
    return bool(pod.spec.scheduling_gates) or (entry is not None and entry.decision.node is None)


def summary(pod: Pod, findings: Iterable[Finding]) -> str:
    """One sentence: what the pod is, and the first thing that explains it."""
    name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    state = "Terminating" if pod.metadata.deletion_timestamp else pod.status.phase or "Pending"
    if state == "Running":
        state = "Running and ready" if pods.is_ready(pod) else "Running but not ready"
    first = next(iter(findings), None)
    return f"{name} is {state}" + (f": {first.message}" if first else "")
