"""The agent's web server: the kubelet's HTTP paths behind TLS with client certificates.

Serves a pod after step 5 of its walk. All handlers run on the agent's event loop; those that last
(logs with follow, exec, attach, port-forward) end with their client, with the container, or when the server
closes.

Invariants: nothing is answered before `gate.py` has let the client in. Errors are Status objects, so
that the API server can pass them on as they are.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from agent.containers import logs
from agent.containers.errors import EngineUnavailable, NotFound, NotRunning, RuntimeFailure
from agent.containers.interface import Runtime, Stream
from agent.containers.logs import InvalidLogOptions
from agent.server import (
    handshake,
    healthz,
    interface,
    portforward,
    rawdial,
    remotecommand,
    spdyexec,
    usage,
)
from agent.server.dial import Dial, dialler
from agent.server.gate import Gate
from agent.server.interface import (
    Deaths,
    DiskUse,
    Machine,
    Page,
    PodLookup,
    Statistics,
    UsageSource,
)
from agent.server.metrics import CONTENT_TYPE, Metrics
from agent.server.nodelogs import NodeLogs
from agent.server.remotecommand import Wanted
from api import errors
from api.core import Pod
from api.errors import ApiError
from api.meta import Status
from base.clock import Clock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DEFAULT_PORT = 10250
_MAX_URL = 128 * 1024
"""The words of a command stand in it: all that the API server reads of one must fit."""
CLOSE_SECONDS = 2.0
"""Time that running streams get to end when the server closes."""


class AgentServer:
    """Serves the kubelet's paths for one node."""

    def __init__(
        self,
        *,
        node_name: str,
        runtime: Runtime,
        pods: PodLookup,
        usage_source: UsageSource,
        statistics: Mapping[str, Statistics],
        clock: Clock,
        machine: Callable[[], Machine] = Machine,
        disks: Callable[[], Mapping[str, DiskUse]] = dict,
        pages: Mapping[str, Page] | None = None,
        deaths: Deaths = lambda namespace, pod: (),
        gate: Gate | None = None,
        node_logs: NodeLogs | None = None,
    ) -> None:
        """Without a `gate` nobody is let in but the API server and administrators."""
        self._node_name = node_name
        self._runtime = runtime
        self._pods = pods
        self._usage_source = usage_source
        self._clock = clock
        self._machine = machine
        self._disks = disks
        self._pages = dict(pages or {})
        self._deaths = deaths
        self._gate = gate or Gate(node_name, None, clock)
        self._node_logs = node_logs
        self._rates = usage.Rates()
        self._runner: web.AppRunner | None = None
        self._requests = 0
        self._streams = 0
        own = {"server": self.statistics, "gate": self._gate.statistics}
        self._metrics = Metrics({**statistics, **own})

    @property
    def port(self) -> int:
        """Where it listens; useful when it was started on port 0."""
        assert self._runner is not None, "not started"
        return int(self._runner.addresses[0][1])

    def statistics(self) -> dict[str, float]:
        return {"requests": float(self._requests), "streams": float(self._streams)}

    async def start(self, *, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Listen. `tls` must verify client certificates where shown (`CERT_OPTIONAL`)."""
        self._runner = web.AppRunner(
            self.application(),
            access_log=None,
            # Else a follower who left would be noticed only at the container's next line.
            handler_cancellation=True,
            shutdown_timeout=CLOSE_SECONDS,
            max_line_size=_MAX_URL,
            max_field_size=_MAX_URL,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls).start()

    async def close(self) -> None:
        """Stop listening and end what runs. May be called twice."""
        if self._runner is not None:
            await self._runner.cleanup()

    def application(self) -> web.Application:
        app = web.Application(
            middlewares=[self._count, _answer_errors, self._let_in, self._only_that_pod]
        )
        app.add_routes(
            [
                *healthz.routes(),
                *(web.get(path, self._list_pods) for path in ("/pods", "/pods/")),
                *(web.get(path, self._list_running) for path in ("/runningpods", "/runningpods/")),
                web.get("/stats/summary", self._summary),
                web.get("/metrics", self._render_metrics),
                *(web.get(path, self._page) for path in self._pages if path != "/metrics"),
                web.get("/containerLogs/{namespace}/{pod}/{container}", self._logs),
                *(
                    web.route(method, path, handler)
                    for what, last, handler in (
                        ("exec", "/{container}", self._exec),
                        ("attach", "/{container}", self._attach),
                        ("portForward", "", self._port_forward),
                    )
                    for path in (
                        f"/{what}/{{namespace}}/{{pod}}{last}",
                        f"/{what}/{{namespace}}/{{pod}}/{{uid}}{last}",
                    )
                    for method in ("GET", "POST")
                ),
                web.post("/checkpoint/{namespace}/{pod}/{container}", self._checkpoint),
                web.get("/deaths/{namespace}/{pod}", self._list_deaths),
                web.get("/dial/{namespace}/{pod}/{port}", self._dial),
            ]
        )
        if (node_logs := self._node_logs) is not None:
            app.add_routes(
                [web.get(path, node_logs.serve) for path in ("/logs", "/logs/{path:.*}")]
            )
        return app

    async def _list_pods(self, request: web.Request) -> web.Response:
        return _pod_list(self._pods.pods())

    async def _list_running(self, request: web.Request) -> web.Response:
        """The pods of which something runs, whoever wants them, as far as the engine knows them."""
        return _pod_list(self._pods.running())

    async def _checkpoint(self, request: web.Request) -> web.Response:
        """Answered as the kubelet does whose runtime has no checkpoints ("Kubelet Checkpoint API")."""
        self._pods.find_running(*_target(request))
        raise errors.internal("the container runtime does not implement checkpoints of containers")

    async def _list_deaths(self, request: web.Request) -> web.Response:
        """Why containers of the pod died, for `podwright why`; no kubelet has this."""
        match = request.match_info
        return _json({"deaths": self._deaths(match["namespace"], match["pod"])})

    async def _summary(self, request: web.Request) -> web.Response:
        """With `only_cpu_and_memory` without what takes more files to read, as a kubelet has it."""
        less = request.query.get("only_cpu_and_memory", "") == "true"
        return _json(
            usage.summary(
                self._node_name,
                self._usage_source.node(),
                self._usage_source.pods(facts=not less),
                rates=self._rates,
                now=self._clock.now(),
                at=self._clock.monotonic(),
                machine=None if less else self._machine(),
                disks=None if less else self._disks(),
            )
        )

    async def _render_metrics(self, request: web.Request) -> web.Response:
        """The agent's own numbers, and below them those that it has in common with every kubelet."""
        body, common = self._metrics.render(), self._pages.get("/metrics")
        if common is not None:
            body += common.render()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def _page(self, request: web.Request) -> web.Response:
        page = self._pages[request.path]
        return web.Response(body=page.render(), headers={"Content-Type": page.content_type})

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        try:
            options = logs.options(request.query, now=self._clock.now())
            previous = logs.flag(request.query, "previous")
        except InvalidLogOptions as error:
            raise errors.bad_request(error.message) from error
        id = self._pods.find(*_target(request), previous=previous)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        async with aclosing(logs.read(self._runtime, id, options)) as pieces:
            # The engine's refusal comes with the first piece, while a status can still be sent; but
            # who follows a silent container must not wait for its first line to hear from us.
            first = b"" if options.follow else await anext(pieces, b"")
            await response.prepare(request)
            if first:
                await response.write(first)
            async for data in pieces:
                await response.write(data)
        await response.write_eof()
        return response

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        wanted = Wanted.of(request)
        command = request.query.getall("command", [])
        if not command:
            raise errors.bad_request("you must specify at least one command for the container")
        id = self._pods.find_running(*_target(request))

        async def connect() -> Stream:
            return await self._runtime.exec_stream(
                id,
                command,
                stdin=wanted.stdin,
                stdout=wanted.stdout,
                stderr=wanted.stderr,
                tty=wanted.tty,
            )

        return await self._converse(request, wanted, connect)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        wanted = Wanted.of(request)
        id = self._pods.find_running(*_target(request))

        async def connect() -> Stream:
            return await self._runtime.attach_stream(
                id, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr
            )

        return await self._converse(request, wanted, connect)

    async def _converse(
        self, request: web.Request, wanted: Wanted, connect: Callable[[], Awaitable[Stream]]
    ) -> web.StreamResponse:
        if handshake.is_spdy(request):
            return await spdyexec.serve(request, wanted, connect, self._clock)
        protocol = remotecommand.negotiate(request)
        return await remotecommand.serve(request, wanted, protocol, connect, self._clock)

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        return await portforward.serve(request, self._dialler(request), self._clock)

    async def _dial(self, request: web.Request) -> web.StreamResponse:
        return await rawdial.serve(request, self._dialler(request, _address(request)))

    def _dialler(self, request: web.Request, address: str = "") -> Dial:
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        self._pods.find_sandbox(namespace, pod)  # a refusal is only possible before the upgrade

        async def pid() -> int:
            # Each time anew: the sandbox may have been replaced, and its number be another's.
            record = await self._runtime.inspect(self._pods.find_sandbox(namespace, pod))
            if not record.pid:
                raise interface.pod_not_running(pod, "Unknown")
            return record.pid

        return dialler(pod, pid, address)

    @web.middleware
    async def _let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        certificate = request.get_extra_info("peercert")
        await self._gate.admit(certificate, request.headers, request.method, request.path)
        return await handler(request)

    @web.middleware
    async def _only_that_pod(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A path with a uid means no other pod of the same name."""
        if uid := request.match_info.get("uid"):
            named = request.match_info["namespace"], request.match_info["pod"]
            metas = [pod.metadata for pod in self._pods.pods()]
            if not any((m.namespace, m.name) == named and m.uid == uid for m in metas):
                raise interface.pod_missing(*named)
        return await handler(request)

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._requests += 1
        self._streams += 1
        try:
            return await handler(request)
        finally:
            self._streams -= 1


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Our errors as Status objects with their code."""
    try:
        return await handler(request)
    except ApiError as error:
        return _status(error)
    except NotFound as error:
        return _status(_failure(404, "NotFound", error.message))
    except NotRunning as error:
        return _status(errors.bad_request(error.message))
    except EngineUnavailable as error:
        return _status(errors.unavailable(error.message))
    except RuntimeFailure as error:
        return _status(errors.internal(error.message))
    except web.HTTPException as error:
        return _status(_failure(error.status, error.reason.replace(" ", ""), error.reason))


def _address(request: web.Request) -> str:
    text = request.query.get("address", "")
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise errors.bad_request(f"address: {text!r} is not an IP address") from None


def _target(request: web.Request) -> tuple[str, str, str]:
    """(namespace, pod, container)"""
    match = request.match_info
    return match["namespace"], match["pod"], match["container"]


def _pod_list(pods: Sequence[Pod]) -> web.Response:
    return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})


def _json(body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _status(error: ApiError) -> web.Response:
    response = _json(error.status)
    response.set_status(error.code)
    return response


def _failure(code: int, reason: str, message: str) -> ApiError:
    return ApiError(Status(status="Failure", message=message, reason=reason, code=code))
