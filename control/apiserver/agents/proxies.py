"""`pods/proxy`, `services/proxy` and `nodes/proxy`: HTTP to a pod, a service or an agent through the API.

For whoever looks into a running pod (`kubectl proxy`, `kubectl get --raw`). Pods are reached through
the agent of their node, which connects from inside the pod: the API server need not be part of the
pods' network. Endpoints that are no pods, and ports of nodes other than the agent's, are connected to
from here. An agent sees us as the API server, so whoever may use `nodes/proxy` may do on that node
whatever its agent can.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from api import errors
from api.core import (
    Node,
    NodeProxyOptions,
    Pod,
    PodProxyOptions,
    Service,
    ServiceProxyOptions,
)
from api.discovery import EndpointSlice
from control.admission.chain import Operation
from control.apiserver.agents.agents import CONNECT_TIMEOUT, Agents
from control.apiserver.agents.forwarding import Destination, Streams, forward, with_query
from control.apiserver.agents.location import agent_of
from control.apiserver.agents.proxied import (
    Named,
    Place,
    check_address,
    parse_name,
    places,
    pod_port,
    port_number,
    proxy_prefix,
    rest_of_path,
    service_port_name,
)
from control.apiserver.agents.tunnel import become
from control.apiserver.http.context import ApiRequest
from control.apiserver.registry import admitting, reading
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry

_SERVICE_NAME = "kubernetes.io/service-name"
_OPTIONS: Mapping[str, type[Any]] = {
    "pods": PodProxyOptions,
    "services": ServiceProxyOptions,
    "nodes": NodeProxyOptions,
}
_DIAL_SECONDS = 40.0
"""More than an agent takes to say that its pod does not answer."""


class Proxies:
    """Handlers of the `proxy` subresources."""

    def __init__(self, registry: Registry, agents: Agents, source: random.Random) -> None:
        self._registry = registry
        self._agents = agents
        self._random = source

    async def __call__(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """Find who is meant, connect, and repeat the request there."""
        plural = kind.resource.plural
        raw_path, _, raw_query = request.http.raw_path.partition("?")
        rest = rest_of_path(raw_path, kind.resource.namespaced)
        if not rest and request.http.method in ("GET", "HEAD"):
            # Without the slash, the links of a page would lead beside the proxy.
            where = with_query(raw_path + "/", raw_query)
            return web.Response(status=301, headers={"Location": where})
        named = parse_name(plural.removesuffix("s"), request.target.name)
        await self._admit(request, kind, named.name, rest)
        destination = await {
            "pods": self._pod,
            "services": self._service,
            "nodes": self._node,
        }[plural](request, named)
        return await forward(
            request.http,
            destination,
            path=with_query(rest or "/", raw_query),
            prefix=proxy_prefix(raw_path, rest),
            audit_id=request.audit_id,
        )

    async def _admit(self, request: ApiRequest, kind: Kind[Any], name: str, path: str) -> None:
        attributes = admitting.attributes(
            kind,
            request.call,
            Operation.CONNECT,
            request.target.namespace,
            name,
            subresource="proxy",
            new=_OPTIONS[kind.resource.plural](path=path or "/"),
        )
        await self._registry.admission.admit(attributes)
        await self._registry.admission.validate(attributes)

    async def _pod(self, request: ApiRequest, named: Named) -> Destination:
        pod = await self._get(Pod, request.target.namespace, named.name)
        return self._of_pod(pod, named.scheme, pod_port(pod, named))

    def _of_pod(self, pod: Pod, scheme: str, port: int) -> Destination:
        address = pod.status.pod_ip
        if not address:
            raise errors.unavailable(f"pod {pod.metadata.name} has no address yet")
        agent = self._agents.of(pod)
        place = f"{quote(pod.metadata.namespace, safe='')}/{quote(pod.metadata.name, safe='')}"
        path = f"/dial/{place}/{port}?address={quote(address)}"

        async def dial() -> Streams:
            reader, writer = await self._agents.connect(agent)
            try:
                async with asyncio.timeout(_DIAL_SECONDS):
                    await become(reader, writer, host=f"{agent.host}:{agent.port}", path=path)
            except BaseException as error:
                writer.transport.abort()
                if isinstance(error, TimeoutError):
                    raise errors.unavailable(
                        f"the agent did not connect to pod {pod.metadata.name} in time"
                    ) from None
                raise
            return reader, writer

        return Destination(scheme, _host(address, port), dial)

    async def _service(self, request: ApiRequest, named: Named) -> Destination:
        return await self.to_service(request.target.namespace, named)

    async def to_service(self, namespace: str, named: Named) -> Destination:
        """The way to one of a Service's endpoints."""
        service = await self._get(Service, namespace, named.name)
        port = service_port_name(service, named)
        found = list(places(self._slices(namespace, named.name), port))
        if not found:
            raise errors.unavailable(f'no endpoints available for service "{named.name}"')
        place = self._random.choice(found)
        if not place.pod:
            return _direct(named.scheme, place)
        pod = await self._get(Pod, place.namespace, place.pod)
        return self._of_pod(pod, named.scheme, place.port)

    def _slices(self, namespace: str, service: str) -> list[EndpointSlice]:
        kind = self._registry.kind_of(EndpointSlice)
        return [
            kind.decode(entry.body)
            for entry in kind.cache.items(kind.resource.prefix(namespace))
            if entry.labels.get(_SERVICE_NAME) == service
        ]

    async def _node(self, request: ApiRequest, named: Named) -> Destination:
        node = await self._get(Node, "", named.name)
        agent = agent_of(node)
        port = port_number(named.port) if named.port else agent.port
        if not port:
            raise errors.bad_request(f"node {named.name}: {named.port!r} is not a port number")
        if port != agent.port:
            return _direct(named.scheme, Place(agent.host, port))

        async def dial() -> Streams:
            return await self._agents.connect(agent)

        # "http": the connection is TLS already, with both certificates checked.
        return Destination("http", _host(agent.host, agent.port), dial)

    async def _get(self, type_: type[Any], namespace: str, name: str) -> Any:
        kind = self._registry.kind_of(type_)
        found = await reading.get(self._registry, kind, namespace=namespace, name=name)
        return kind.decode(found.body)


def _direct(scheme: str, place: Place) -> Destination:
    check_address(place.address)

    async def dial() -> Streams:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await asyncio.open_connection(place.address, place.port)
        except (OSError, TimeoutError) as error:
            where = _host(place.address, place.port)
            why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror
            raise errors.unavailable(f"error trying to reach {where}: {why}") from None

    return Destination(scheme, _host(place.address, place.port), dial)


def _host(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
