"""`pods/log`, `exec`, `attach` and `portforward`: handlers that pass the request on to the pod's agent.

For whoever looks into a running pod. Parameters are checked here as far as the pod's spec goes; what
only the node can know, such as a container that is not running, the agent says, and its words are
passed on.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import web

from api import errors
from api.core import Pod, PodAttachOptions, PodExecOptions, PodPortForwardOptions
from api.struct import ApiStruct
from control.admission.chain import Operation
from control.apiserver.agents import logoptions, logsockets
from control.apiserver.agents.agents import Agents, body_of
from control.apiserver.agents.location import Agent, choose_container
from control.apiserver.agents.tunnel import tunnel
from control.apiserver.http import responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.registry import admitting, reading
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry

_LOG_OPTIONS = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
)
_STREAMS = ("stdin", "stdout", "stderr", "tty")


class PodStreams:
    """Handlers of the subresources that reach into containers."""

    def __init__(self, registry: Registry, agents: Agents) -> None:
        self._registry = registry
        self._agents = agents

    async def log(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """What a container printed, as plain text or WebSocket messages, followed if asked."""
        pod = await self._pod(request, kind)
        container = choose_container(pod, request.query.text("container"))
        agent = self._agents.of(pod)
        protocol = logsockets.negotiate(request.http)
        options = {
            name: request.query.text(name) for name in _LOG_OPTIONS if request.query.has(name)
        }
        if found := logoptions.problems(options):
            kind_name = "PodLogOptions"
            raise errors.invalid_kind("", kind_name, kind_name, pod.metadata.name, found)
        path = f"/containerLogs/{_place(pod, container)}"
        verify = not request.query.flag("insecureSkipTLSVerifyBackend")
        answer = await self._agents.get(agent, path, options, verify=verify)
        async with answer:
            if answer.status != 200:
                return responses.json_response(
                    await body_of(answer),
                    code=answer.status,
                    content_type=answer.headers.get("Content-Type", "application/json"),
                )
            if protocol is not None:
                return await logsockets.send(request.http, answer, protocol)
            return await _stream(request, answer)

    async def exec(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """A command in a container."""
        command = request.query.many("command")
        if not command:
            raise errors.bad_request("you must specify at least one command for the container")
        parameters = [("command", word) for word in command]
        options = PodExecOptions(command=command, **_options(request))
        return await self._upgrade(request, kind, "exec", parameters, options)

    async def attach(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """The streams of a container's own process."""
        options = PodAttachOptions(**_options(request))
        return await self._upgrade(request, kind, "attach", [], options)

    async def portforward(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        """Connections to ports of a pod. Only WebSocket names them here; SPDY does in its streams."""
        pod = await self._pod(request, kind)
        ports = [int(port) for port in request.query.many("ports") if port.isdecimal()]
        await self._admit(request, kind, pod, "portforward", PodPortForwardOptions(ports=ports))
        agent = self._agents.of(pod)
        _check_upgrade(request.http, "portforward")
        query = urlencode([("ports", port) for port in request.query.many("ports")])
        place = _quoted(pod.metadata.namespace, pod.metadata.name)
        return await self._tunnel(request, agent, f"/portForward/{place}?{query}")

    async def _upgrade(
        self,
        request: ApiRequest,
        kind: Kind[Any],
        what: str,
        parameters: list[tuple[str, str]],
        options: ApiStruct,
    ) -> web.StreamResponse:
        pod = await self._pod(request, kind)
        await self._admit(request, kind, pod, what, options)
        container = choose_container(pod, request.query.text("container"))
        asked = [name for name in _STREAMS if request.query.flag(name)]
        if not set(asked) & {"stdin", "stdout", "stderr"}:
            raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        agent = self._agents.of(pod)
        # Last: kubectl tries again with SPDY after any refusal, and shows only the second one.
        _check_upgrade(request.http, what)
        query = urlencode([*parameters, *((name, "true") for name in asked)])
        return await self._tunnel(request, agent, f"/{what}/{_place(pod, container)}?{query}")

    async def _tunnel(self, request: ApiRequest, agent: Agent, path: str) -> web.StreamResponse:
        reader, writer = await self._agents.connect(agent)
        host = f"{agent.host}:{agent.port}"
        return await tunnel(request.http, reader, writer, host=host, path=path)

    async def _pod(self, request: ApiRequest, kind: Kind[Any]) -> Pod:
        target = request.target
        found = await reading.get(
            self._registry, kind, namespace=target.namespace, name=target.name
        )
        pod: Pod = kind.decode(found.body)
        return pod

    async def _admit(
        self, request: ApiRequest, kind: Kind[Any], pod: Pod, what: str, options: ApiStruct
    ) -> None:
        target = request.target
        attributes = admitting.attributes(
            kind,
            request.call,
            Operation.CONNECT,
            target.namespace,
            target.name,
            subresource=what,
            new=options,
            old=pod,
        )
        await self._registry.admission.admit(attributes)
        await self._registry.admission.validate(attributes)


def _options(request: ApiRequest) -> dict[str, Any]:
    """What exec and attach are asked for alike, as admission is shown it."""
    query = request.query
    return {"container": query.text("container"), **{name: query.flag(name) for name in _STREAMS}}


def _check_upgrade(http: web.BaseRequest, what: str) -> None:
    if http.headers.get("Upgrade", "").lower() not in ("websocket", "spdy/3.1"):
        raise errors.bad_request(f"Upgrade request required: {what} is a WebSocket or SPDY/3.1")


def _place(pod: Pod, container: str) -> str:
    return _quoted(pod.metadata.namespace, pod.metadata.name, container)


def _quoted(*names: str) -> str:
    return "/".join(quote(name, safe="") for name in names)


async def _stream(request: ApiRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/plain",
            "Audit-Id": request.audit_id,
            "Cache-Control": "no-cache, private",
        }
    )
    await response.prepare(request.http)
    try:
        async for piece in answer.content.iter_any():
            await response.write(piece)
    except aiohttp.ClientError:
        # The agent is gone in the middle. A chunked answer that does not end says so.
        if request.http.transport is not None:
            request.http.transport.abort()
        return response
    await response.write_eof()
    return response
