"""The API server put together from its parts: store → kinds → registry → pipeline → sockets.

The one place that knows all of them; see `control/main.py` for when they start and stop. Nothing
here runs yet: `ApiParts.start` begins the caches, `server.listen` the serving.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector

from api.apiextensions import CustomResourceDefinition
from api.core import Pod, Service
from api.flowcontrol import FlowSchema, PriorityLevelConfiguration
from api.scheme import ALTERNATES, RESOURCES, SERVED, Catalogue, resource_of
from api.scheme.resource import POSTED, SHOWN
from base import pki
from base.clock import Clock
from base.tasks import TaskGuard
from base.uuids import Uuids
from control.admission.plugins import default_chain
from control.admission.webhooks.asking import Asker, Caller
from control.admission.webhooks.hooks import Configuration, Hooks
from control.apiserver.agents.agents import Agents
from control.apiserver.agents.podstreams import PodStreams
from control.apiserver.agents.proxies import Proxies
from control.apiserver.agents.usage import UsageCollector
from control.apiserver.agents.webhooks import Webhooks
from control.apiserver.custom.controller import Definitions
from control.apiserver.custom.schema import Schemas
from control.apiserver.discovery import oidc
from control.apiserver.discovery.openapi.serving import OpenApi
from control.apiserver.discovery.paths import Check, Paths
from control.apiserver.fairness.following import Following
from control.apiserver.fairness.gate import Gate
from control.apiserver.fairness.levels import WIDE
from control.apiserver.http.aggregation import foreign
from control.apiserver.http.components import Components
from control.apiserver.http.context import ApiRequest
from control.apiserver.http.draining import Draining
from control.apiserver.http.handlers import ResourceHandlers, Subresources, Unstored
from control.apiserver.http.metrics import HttpMetrics, Objects, Statistics, WatchEvents
from control.apiserver.http.metricsapi import NodeMetricsSource, PodMetricsSource
from control.apiserver.http.pipeline import Pipeline
from control.apiserver.http.reports import ReportHandler
from control.apiserver.http.reviews import ReviewHandler, posting
from control.apiserver.http.server import ApiServer
from control.apiserver.http.shown import ShownHandler
from control.apiserver.http.subresources import SmallSubresources
from control.apiserver.http.tokens import TokenRequests
from control.apiserver.http.watches import WatchStreams
from control.apiserver.local import LocalClient
from control.apiserver.registry.allocators import ServiceAllocator
from control.apiserver.registry.kinds import make_kind
from control.apiserver.registry.metadata import Identity, random_suffix
from control.apiserver.registry.registry import CacheReader, Registry, StoreLedger
from control.apiserver.registry.versions import alternates
from control.auth.authentication import Authenticator, BootstrapTokens
from control.auth.authorization import SimpleAuthorizer
from control.auth.nodes import NodeAuthorizer, own_request
from control.auth.reviews import Reviews
from control.auth.tokens.accounts import ServiceAccountTokens
from control.auth.tokens.issuing import TokenIssuer
from control.auth.user import in_process
from control.pki import ControlKeys
from control.resources import conversions, strategy_of
from control.settings import ControlSettings
from control.store.interface import Store


@dataclass(frozen=True, kw_only=True)
class ApiParts:
    """A whole API server, not yet running."""

    registry: Registry
    server: ApiServer
    watches: WatchStreams
    openapi: OpenApi
    agents: Agents
    definitions: Definitions
    metrics: CollectorRegistry
    draining: Draining
    reports: ReportHandler
    components: Components
    following: Following
    pod_metrics: PodMetricsSource

    async def start(self, guard: TaskGuard) -> None:
        """Fill the caches; returns when they show what the store has."""
        for kind in self.registry.kinds:
            guard.start(kind.cache.run(), name=f"cache of {kind.resource.qualified_name}")
        guard.start(self.openapi.run(), name="OpenAPI documents")
        for kind in self.registry.kinds:
            await kind.cache.synced()
        self.following.start(guard)
        await self.definitions.start(guard)

    def renew(self, keys: ControlKeys) -> None:
        """Use renewed certificates; connections that are open stay."""
        self.server.renew(keys.server, keys.ca.cert_pem)
        self.agents.renew(keys.kubelet_client)

    async def close(self, grace: float) -> None:
        """Let clients go, take no more requests, and let those end that run."""
        self.draining.begin()
        self.watches.close()
        await self.server.drain()
        await self.server.close(grace)
        await self.agents.close()

    def client(self, name: str) -> LocalClient:
        """The API for a part of this process, which acts as `name`."""
        return LocalClient(self.registry, in_process(name))


class _PodsOfNode:
    """Pods by node, from the cache's index."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kind = registry.kind_of(Pod)

    async def fresh(self) -> None:
        await self._registry.fresh(self._kind)

    def bound_to(self, node: str) -> Iterable[Pod]:
        for entry in self._kind.cache.where("spec.nodeName", node):
            yield self._kind.decode(entry.body)


def build(
    *, settings: ControlSettings, store: Store, keys: ControlKeys, advertised: str, clock: Clock
) -> ApiParts:
    """Put an API server together."""
    source = random.SystemRandom()
    webhooks = Webhooks()
    registry = make_registry(
        settings=settings, store=store, clock=clock, source=source, caller=webhooks
    )
    reader = CacheReader(registry)
    watches = WatchStreams(registry, clock, source)
    agents = Agents(reader, ca_pem=keys.ca.cert_pem, pair=keys.kubelet_client)
    proxies = Proxies(registry, agents, source)
    webhooks.reach(proxies)
    openapi = OpenApi(settings.state_dir / "openapi")
    definitions = Definitions(
        registry,
        LocalClient(registry, in_process("system:apiserver")),
        CustomResourceDefinition,
        schemas=Schemas(),
        caller=webhooks,
        clock=clock,
        publish=openapi.publish,
    )
    metrics, http_metrics = CollectorRegistry(), HttpMetrics()
    gate, draining = Gate(clock), Draining()
    following = Following(
        gate,
        reader,
        LocalClient(registry, in_process("system:apiserver")),
        [registry.kind_of(type_).cache for type_ in (FlowSchema, PriorityLevelConfiguration)],
        clock,
    )
    metrics.register(http_metrics)
    paths = Paths(
        catalogue=registry.catalogue,
        checks={"ping": _well},
        ready_checks={**_ready_checks(registry), "shutdown": draining.check},
        metrics=metrics,
        server_address=f"{advertised}:{settings.port}",
        others={
            "openapi": openapi.serve,
            **oidc.handlers(keys.tokens, settings.issuers[0], _jwks_uri(settings, advertised)),
        },
    )
    accounts = ServiceAccountTokens(
        reader,
        keys.tokens,
        issuers=settings.issuers,
        audiences=settings.audiences,
        clock=clock,
    )
    bootstrap = BootstrapTokens(reader, clock, settings.audiences)
    authenticator = Authenticator([accounts, bootstrap], settings.audiences)
    issuer = TokenIssuer(
        reader,
        keys.tokens,
        issuer=settings.issuers[0],
        audiences=settings.audiences,
        clock=clock,
        identifier=lambda: str(uuid.uuid4()),
    )
    small = SmallSubresources(registry)
    subresources: Subresources = {
        **_subresources(small, PodStreams(registry, agents), proxies),
        "token": TokenRequests(registry, issuer),
    }
    authorizer = SimpleAuthorizer(
        NodeAuthorizer(_PodsOfNode(registry), reader),
        own_request=lambda access: own_request(reader, access),
    )
    reviews = ReviewHandler(Reviews(authenticator, authorizer, registry.catalogue))
    reports = ReportHandler(authorizer)
    components = Components(store=_store_check(registry))
    usage = UsageCollector(agents, reader, clock)
    pod_metrics = PodMetricsSource(usage, reader, clock)
    shown = ShownHandler(
        clock,
        (
            components,
            NodeMetricsSource(usage, reader, clock),
            pod_metrics,
        ),
    )
    posted = posting(bindings=small.bindings, reviews=reviews)
    unstored: Unstored = {POSTED: posted, SHOWN: shown, (): reports}
    pipeline = Pipeline(
        catalogue=registry.catalogue,
        resources=ResourceHandlers(registry, watches, subresources, unstored),
        paths=paths.table,
        foreign=foreign(reader),
        authenticator=authenticator,
        authorizer=authorizer,
        clock=clock,
        metrics=http_metrics,
        gate=gate,
        draining=draining,
        width=lambda request: _objects(registry, request),
        slow_request=settings.slow_request,
        max_body=settings.max_body_size,
    )
    metrics.register(gate)
    for collector in registry.admission.collectors():
        metrics.register(collector)
    metrics.register(ProcessCollector(registry=None))
    metrics.register(WatchEvents(watches.events))
    metrics.register(Objects(lambda: _counts(registry)))
    metrics.register(Statistics("store", lambda: {"": store.statistics()}))
    metrics.register(Statistics("watch", lambda: {"": watches.statistics()}))
    metrics.register(Statistics("tokens", lambda: {"": _tokens(accounts, issuer)}))
    metrics.register(Statistics("watch_cache", lambda: _caches(registry), label="resource"))
    context = pki.server_context(keys.server, ca_pem=keys.ca.cert_pem)
    server = ApiServer(pipeline, context, max_body=settings.max_body_size)
    return ApiParts(
        registry=registry,
        server=server,
        watches=watches,
        openapi=openapi,
        agents=agents,
        definitions=definitions,
        metrics=metrics,
        draining=draining,
        reports=reports,
        components=components,
        following=following,
        pod_metrics=pod_metrics,
    )


def make_registry(
    *,
    settings: ControlSettings,
    store: Store,
    clock: Clock,
    source: random.Random,
    caller: Caller,
    uids: Callable[[], str] | None = None,
) -> Registry:
    """The pipeline without HTTP. `caller`: who asks webhooks of admission."""
    registry = Registry(
        store=store,
        catalogue=Catalogue(SERVED),
        kinds=[make_kind(resource, strategy_of(resource), store) for resource in RESOURCES],
        clock=clock,
        identity=Identity(uids or Uuids(), lambda: random_suffix(source)),
    )
    for version in alternates(ALTERNATES, registry.kind_named, conversions.ALTERNATES):
        registry.add_version(version)
    registry.companions[Service] = ServiceAllocator(
        store,
        resource_of(Service),
        cidr=settings.service_cidr,
        ports=settings.node_ports,
        reserved=(settings.kubernetes_service_ip, settings.cluster_dns),
        source=source,
    )
    reader = CacheReader(registry)
    registry.admission = default_chain(
        reader,
        StoreLedger(registry),
        clock=clock,
        audiences=settings.audiences,
        suffix=lambda: random_suffix(source),
        toleration_seconds=int(settings.default_toleration),
        asker=Asker(caller, reader, lambda: str(uuid.uuid4())),
        hooks=lambda type_: _hooks(registry, type_),
        enabled=settings.enable_admission_plugins,
        disabled=settings.disable_admission_plugins,
    )
    return registry


def _hooks(registry: Registry, type_: type[Configuration]) -> Hooks:
    """The webhooks of admission that configurations of this type name."""
    hooks = Hooks(type_, registry.kind_of(type_).cache, registry.versions)
    registry.catalogue.on_change(hooks.forget)
    return hooks


def _objects(registry: Registry, request: ApiRequest) -> int:
    """How many objects a request goes through, at most."""
    target = request.target
    if request.verb not in WIDE or target.name or not target.resource.stored:
        return 1
    kind = registry.version(target.resource).kind
    namespace = target.namespace if kind.resource.namespaced else ""
    count = kind.cache.count(kind.resource.prefix(namespace))
    limit = request.query.integer("limit")
    return min(count, limit) if limit and limit > 0 else count


def _counts(registry: Registry) -> dict[str, float]:
    return {kind.resource.qualified_name: float(kind.cache.count()) for kind in registry.kinds}


def _caches(registry: Registry) -> dict[str, Mapping[str, float]]:
    return {kind.resource.qualified_name: kind.cache.statistics() for kind in registry.kinds}


def _subresources(small: SmallSubresources, streams: PodStreams, proxies: Proxies) -> Subresources:
    return {
        "binding": small.binding,
        "eviction": small.eviction,
        "scale": small.scale,
        "log": streams.log,
        "exec": streams.exec,
        "attach": streams.attach,
        "portforward": streams.portforward,
        "proxy": proxies,
    }


def _tokens(accounts: ServiceAccountTokens, issuer: TokenIssuer) -> Mapping[str, float]:
    return {**accounts.statistics(), **issuer.statistics()}


def _jwks_uri(settings: ControlSettings, advertised: str) -> str:
    host = f"[{advertised}]" if ":" in advertised else advertised
    return settings.service_account_jwks_uri or f"https://{host}:{settings.port}{oidc.JWKS}"


def _ready_checks(registry: Registry) -> dict[str, Check]:
    async def caches() -> str:
        empty = [kind.resource.plural for kind in registry.kinds if not kind.cache.revision]
        return f"not loaded yet: {', '.join(empty)}" if empty else ""

    return {"store": _store_check(registry), "watch-caches": caches}


def _store_check(registry: Registry) -> Check:
    async def store() -> str:
        return registry.write_failure

    return store


async def _well() -> str:
    return ""
