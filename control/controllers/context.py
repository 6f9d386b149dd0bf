"""What controllers are given: the client, one shared informer per kind, events, clock, settings."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, TypeVar

from api.client import Client
from api.events import EventRecorder
from api.informer import Informer
from api.metrics import PodMetrics
from api.scheme import SERVED, Catalogue
from api.struct import ApiStruct
from base.clock import Clock
from base.pki import KeyPair
from base.tasks import TaskGuard
from control.auth.tokens.keys import TokenKeys
from control.scheduler.profile import Configuration

T = TypeVar("T", bound=ApiStruct)

EVENTS_AT_ONCE = 32
"""The store makes those durable together that wait at the same time."""


class Informers:
    """One informer per kind, shared by everything in the process and started together."""

    def __init__(
        self, client: Client, clock: Clock, jitter: Callable[[], float] = random.random
    ) -> None:
        self._client = client
        self._clock = clock
        self._jitter = jitter
        self._informers: dict[tuple[type[ApiStruct], str], Informer[Any]] = {}

    def of(self, type_: type[T]) -> Informer[T]:
        """The informer of a kind. Ask before `start`; subscribe at once."""
        return self.some(type_, "")

    def some(self, type_: type[T], field_selector: str) -> Informer[T]:
        """As `of`, for whoever needs few of very many objects."""
        informer = self._informers.get((type_, field_selector))
        if informer is None:
            informer = Informer(
                self._client,
                type_,
                field_selector=field_selector,
                clock=self._clock,
                jitter=self._jitter,
            )
            self._informers[type_, field_selector] = informer
        return informer

    def another(self, type_: type[Any]) -> Informer[Any]:
        """An informer of a kind that came at run time, and may go: run by whoever asks for it."""
        return Informer(self._client, type_, clock=self._clock, jitter=self._jitter)

    def start(self, guard: TaskGuard) -> None:
        """Run every informer that was asked for."""
        for (type_, which), informer in self._informers.items():
            guard.start(informer.run(), name=f"informer {type_.__name__} {which}".rstrip())

    async def synced(self) -> None:
        """Wait until every informer has its first list."""
        for informer in self._informers.values():
            await informer.synced()

    def behind(self, *types: type[ApiStruct]) -> str:
        """Why some of these kinds (of all, if none is named) are not seen as they are; "" if not."""
        blind = {
            type_.__name__
            for (type_, _), informer in self._informers.items()
            if (not types or type_ in types)
            and (not informer.has_synced or informer.statistics()["failures_in_a_row"])
        }
        return f"cannot see what becomes of: {', '.join(sorted(blind))}" if blind else ""

    def statistics(self) -> dict[str, float]:
        """Objects held per kind."""
        held: dict[str, float] = {}
        for (type_, _), informer in self._informers.items():
            objects = informer.statistics()["objects"]
            held[type_.__name__] = held.get(type_.__name__, 0.0) + objects
        return held


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """How nodes are numbered, how long they may be silent (seconds), and how fast they lose pods.

    Rates count nodes per second and zone; what they mean stands in `nodes.zones`.
    """

    cluster_cidr: IPv4Network = field(default_factory=lambda: IPv4Network("10.244.0.0/16"))
    node_cidr_mask_size: int = 24
    monitor_period: float = 5.0
    monitor_grace: float = 40.0
    eviction_rate: float = 0.1
    secondary_eviction_rate: float = 0.01
    unhealthy_share: float = 0.55
    large_zone: int = 50


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything a controller may use.

    `ca` signs node certificates, `tokens` those that lie in Secrets; `catalogue` names the kinds
    there are, those of definitions included, for controllers that act on every kind. `chance`
    decides between equals.
    """

    client: Client
    informers: Informers
    clock: Clock
    ca: KeyPair
    guard: TaskGuard
    tokens: TokenKeys | None = None
    catalogue: Catalogue = field(default_factory=lambda: Catalogue(SERVED))
    nodes: NodeSettings = field(default_factory=NodeSettings)
    event_ttl: float = 3600.0
    """Seconds that an event is kept after it was told last; 0: for ever."""
    scheduling: Configuration = field(default_factory=Configuration)
    pod_usage: Callable[[str], Awaitable[Sequence[PodMetrics]]] | None = None
    """What the pods of a namespace use at the moment; None where nobody measures."""
    chance: random.Random = field(default_factory=random.Random)

    def recorder(self, component: str) -> EventRecorder:
        """An event recorder that speaks as `component`, delivering in the background."""
        recorder = EventRecorder(self.client, component, clock=self.clock, at_once=EVENTS_AT_ONCE)
        self.guard.start(recorder.run(), name=f"events of {component}")
        return recorder
