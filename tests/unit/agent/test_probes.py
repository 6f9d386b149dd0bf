"""Counting answers, asking over real loopback sockets, and keeping time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.containers.fake import FakeRuntime
from agent.containers.records import ContainerCreate, ContainerId, ExecResult
from agent.containers.script import Script
from agent.probes import hooks
from agent.probes.handlers import Target, Verdict, ask, resolve_port
from agent.probes.hooks import run_hook
from agent.probes.runner import PodProbes, Turned, Wanted, next_due
from agent.probes.state import Count, Kind, Timing, count, timing
from agent.probes.turns import HOLD, ExecTurns
from api.core import (
    ContainerPort,
    ExecAction,
    HTTPGetAction,
    HTTPHeader,
    LifecycleHandler,
    Probe,
    SleepAction,
    TCPSocketAction,
)
from base import pki
from base.clock import FakeClock
from base.tasks import TaskGuard
from tests.unit.agent.builders import container

# Counting.

SEQUENCES = [
    # answers, successes, failures, verdicts after each
    ("+", 1, 3, [True]),
    ("---", 1, 3, [None, None, False]),
    ("--+--", 1, 3, [None, None, True, True, True]),
    ("+---", 1, 3, [True, True, True, False]),
    ("+---+", 1, 3, [True, True, True, False, True]),
    ("+--+---", 1, 3, [True, True, True, True, True, True, False]),
    ("++", 2, 1, [None, True]),
    ("+-++", 2, 1, [None, False, False, True]),
    ("-", 1, 1, [False]),
]


@pytest.mark.parametrize(("answers", "successes", "failures", "verdicts"), SEQUENCES)
def test_thresholds(
    answers: str, successes: int, failures: int, verdicts: list[bool | None]
) -> None:
    times = Timing(successes=successes, failures=failures)
    counted, seen = Count(), []
    for answer in answers:
        counted = count(counted, answer == "+", times)
        seen.append(counted.verdict)
    assert seen == verdicts


def test_defaults() -> None:
    assert timing(Probe()) == Timing(initial_delay=0, period=10, timeout=1, successes=1, failures=3)


# Asking.


@asynccontextmanager
async def serving(
    answer: Callable[[bytes], bytes | None], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback; yields its port and the requests it got."""
    requests: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        requests.append(request)
        body = answer(request)
        if body is None:
            await asyncio.Event().wait()
        else:
            writer.write(body)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()


def status(code: int, headers: str = "", body: str = "body") -> Callable[[bytes], bytes]:
    text = f"HTTP/1.1 {code} Words\r\n{headers}\r\n{body}"
    return lambda request: text.encode()


async def http(port: int | str, *, timeout: float = 60.0, **fields: object) -> Verdict:
    action = HTTPGetAction(**{"path": "/healthz", "port": port, **fields})  # type: ignore[arg-type]
    target = Target(container=container(), id=ContainerId("x"), ip="127.0.0.1")
    return await ask(Probe(http_get=action), target, FakeRuntime(FakeClock()), timeout=timeout)


STATUSES = [
    (200, True, "body"),
    (204, True, ""),
    (299, True, "body"),
    (304, True, ""),
    (399, True, "body"),
    (400, False, "HTTP probe failed with statuscode: 400 (GET {url} answered: body)"),
    (404, False, "HTTP probe failed with statuscode: 404 (GET {url} answered: body)"),
    (500, False, "HTTP probe failed with statuscode: 500 (GET {url} answered: body)"),
    (503, False, "HTTP probe failed with statuscode: 503 (GET {url} answered: body)"),
]


@pytest.mark.parametrize(("code", "passed", "message"), STATUSES)
async def test_http_statuses(code: int, passed: bool, message: str) -> None:
    async with serving(status(code)) as (port, _):
        expected = message.format(url=f"http://127.0.0.1:{port}/healthz")
        assert await http(port) == Verdict(passed=passed, message=expected)


async def test_of_a_long_answer_only_the_beginning_is_told_and_in_one_line() -> None:
    async with serving(status(500, body="no\nroom " + "x" * 1000)) as (port, _):
        verdict = await http(port)
    assert "answered: no room xxx" in verdict.message and len(verdict.message) < 320
    async with serving(status(500, body="")) as (port, _):
        verdict = await http(port)
    assert verdict.message.endswith(f"statuscode: 500 (GET http://127.0.0.1:{port}/healthz)")


async def test_the_request() -> None:
    headers = [HTTPHeader(name="X-A", value="1"), HTTPHeader(name="Host", value="web.example")]
    async with serving(status(200)) as (port, requests):
        await http(port, path="ready?x=1", http_headers=headers)
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /ready?x=1 HTTP/1.1"
    assert "Host: web.example" in lines and "X-A: 1" in lines
    assert "Connection: close" in lines
    assert not any(line.lower().startswith("cookie") for line in lines)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/a b?c=d e", "/a%20b?c=d%20e"),
        ("/a\r\nX-Evil: 1", "/a%0D%0AX-Evil:%201"),
        ("/é", "/%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a#part", "/a"),
        ("/\ud800", "/?"),
        ("/a;b=(c),[d]@e~f", "/a;b=(c),[d]@e~f"),
    ],
)
async def test_paths_as_a_request_can_carry_them(path: str, line: str) -> None:
    async with serving(status(200)) as (port, requests):
        assert (await http(port, path=path)).passed
    assert requests[0].decode().split("\r\n")[0] == f"GET {line} HTTP/1.1"
    assert b"X-Evil: 1\r\n" not in requests[0]


@pytest.mark.parametrize(
    ("values", "host"),
    [([""], "127.0.0.1:{port}"), (["", "a"], "a"), (["a", "b"], "a"), (["a\r\nX: y"], "a  X: y")],
)
async def test_the_host_that_is_asked_for(values: list[str], host: str) -> None:
    headers = [HTTPHeader(name="host", value=value) for value in values]
    async with serving(status(200)) as (port, requests):
        await http(port, http_headers=headers)
    lines = requests[0].decode().split("\r\n")
    assert [line for line in lines if line.lower().startswith("host:")] == [
        f"Host: {host.format(port=port)}"
    ]


async def test_headers_may_be_repeated_and_ours_replaced_or_taken_away() -> None:
    given = [("X-A", "1"), ("x-a", "2"), ("user-agent", "mine"), ("Accept", ""), ("X-Empty", "")]
    headers = [HTTPHeader(name=name, value=value) for name, value in given]
    async with serving(status(200)) as (port, requests):
        await http(port, http_headers=headers)
        await http(port)
    first, second = (request.decode().split("\r\n") for request in requests)
    assert first[1:-2] == [
        f"Host: 127.0.0.1:{port}", "Connection: close", "X-A: 1", "x-a: 2", "user-agent: mine",
        "X-Empty: ",
    ]  # fmt: skip
    assert second[2:4] == ["User-Agent: kube-probe/1.34", "Accept: */*"]


def certificate() -> ssl.SSLContext:
    """Of somebody whom nobody knows, for another name."""
    ca = pki.create_ca("unknown", clock=FakeClock())
    pair = pki.issue(ca, common_name="elsewhere", server=True, clock=FakeClock())
    return pki.server_context(pair, ca_pem=ca.cert_pem)


async def test_https_asks_whoever_answers_and_checks_no_certificate() -> None:
    async with serving(status(200), certificate()) as (port, requests):
        assert (await http(port, scheme="HTTPS")).passed
        verdict = await http(port)
    assert requests[0].startswith(b"GET /healthz HTTP/1.1")
    assert not verdict.passed and verdict.message.startswith('Get "http://127.0.0.1')
    async with serving(status(200)) as (port, _):
        verdict = await http(port, scheme="HTTPS", timeout=1)  # waits for a greeting
    assert not verdict.passed and 'Get "https://127.0.0.1' in verdict.message


async def test_a_named_port() -> None:
    async with serving(status(200)) as (port, _):
        named = container(ports=[ContainerPort(name="web", container_port=port)])
        target = Target(container=named, id=ContainerId("x"), ip="127.0.0.1")
        probe = Probe(http_get=HTTPGetAction(path="/", port="web"))
        assert (await ask(probe, target, FakeRuntime(FakeClock()), timeout=60)).passed


async def test_nobody_listens() -> None:
    async with serving(status(200)) as (port, _):
        pass
    verdict = await http(port)
    assert verdict == Verdict(
        passed=False,
        message=f'Get "http://127.0.0.1:{port}/healthz": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused",
    )


async def test_no_answer_in_time() -> None:
    async with serving(lambda request: None) as (port, _):
        verdict = await http(port, timeout=0.5)
    assert verdict.message == (
        f'Get "http://127.0.0.1:{port}/healthz": '
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200"]
)
async def test_no_http(answer: bytes) -> None:
    async with serving(lambda request: answer) as (port, _):
        verdict = await http(port)
    assert not verdict.passed and verdict.message.startswith('Get "http://127.0.0.1')


async def test_lines_may_end_in_a_bare_newline_as_cgi_scripts_write_them() -> None:
    text = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\n\nhello\n"
    async with serving(lambda request: text) as (port, _):
        assert (await http(port)).passed


async def test_redirects_on_the_same_host_are_followed() -> None:
    def answer(request: bytes) -> bytes:
        if request.startswith(b"GET /healthz"):
            return status(302, "Location: /broken\r\n")(request)
        return status(500)(request)

    async with serving(answer) as (port, requests):
        verdict = await http(port)
    assert f"statuscode: 500 (GET http://127.0.0.1:{port}/broken answered: body)" in verdict.message
    assert len(requests) == 2


async def test_redirects_to_another_host_pass() -> None:
    elsewhere = status(302, "Location: http://elsewhere.example/\r\n")
    async with serving(elsewhere) as (port, requests):
        verdict = await http(port)
    assert verdict.passed and verdict.warning and len(requests) == 1
    assert verdict.message == "Probe terminated redirects, Response body: body"


async def test_a_host_is_the_same_in_small_letters() -> None:
    def answer(request: bytes) -> bytes:
        return status(302 if b"/healthz" in request else 204, "Location: /there\r\n")(request)

    async with serving(answer) as (port, requests):
        verdict = await http(port, host="LOCALHOST")
    assert verdict == Verdict(passed=True) and len(requests) == 2


@pytest.mark.parametrize(
    ("location", "host"),
    [("/there", "web.example"), ("http://127.0.0.1:{port}/there", "127.0.0.1:{port}")],
)
async def test_the_host_that_is_asked_for_after_a_redirect(location: str, host: str) -> None:
    opened: list[int] = []

    def answer(request: bytes) -> bytes:
        if b"/there" in request:
            return status(200)(request)
        return status(302, f"Location: {location.format(port=opened[0])}\r\n")(request)

    headers = [HTTPHeader(name="Host", value="web.example"), HTTPHeader(name="X-A", value="1")]
    async with serving(answer) as (port, requests):
        opened.append(port)
        assert (await http(port, http_headers=headers)).passed
    assert f"Host: {host.format(port=port)}\r\n" in requests[1].decode()
    assert b"X-A: 1\r\n" in requests[1]


async def test_endless_redirects_fail() -> None:
    async with serving(status(302, "Location: /healthz\r\n")) as (port, _):
        verdict = await http(port)
    assert "stopped after 10 redirects" in verdict.message


@pytest.mark.parametrize("location", ["http://[", "http://127.0.0.1:99999/", "http://127.0.0.1:x/"])
async def test_a_broken_redirect_is_a_failure_and_not_the_end_of_the_agent(location: str) -> None:
    async with serving(status(302, f"Location: {location}\r\n")) as (port, _):
        verdict = await http(port)
    assert not verdict.passed
    assert "failed to parse Location header" in verdict.message


@pytest.mark.parametrize("host", ["a..b", "x" * 70, ".", "\ud800"])
async def test_hosts_that_are_none(host: str) -> None:
    assert not (await http(80, host=host)).passed
    probe = Probe(tcp_socket=TCPSocketAction(port=80, host=host))
    target = Target(container=container(), id=ContainerId("x"), ip="127.0.0.1")
    verdict = await ask(probe, target, FakeRuntime(FakeClock()), timeout=60)
    assert not verdict.passed


async def test_a_large_body_is_not_read_to_its_end() -> None:
    async with serving(status(200, body="x" * 1_000_000)) as (port, _):
        verdict = await http(port)
    assert verdict.passed and len(verdict.message) <= 1024


async def tcp(port: int) -> Verdict:
    target = Target(container=container(), id=ContainerId("x"), ip="127.0.0.1")
    probe = Probe(tcp_socket=TCPSocketAction(port=port))
    return await ask(probe, target, FakeRuntime(FakeClock()), timeout=60)


async def test_tcp() -> None:
    async with serving(status(200)) as (port, _):
        assert (await tcp(port)).passed
    assert await tcp(port) == Verdict(
        passed=False, message=f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )


PORTS = [
    (80, 80),
    ("80", 80),
    ("http", 8080),
    ("nobody", None),
    (0, None),
    (70000, None),
]


@pytest.mark.parametrize(("port", "expected"), PORTS)
def test_ports_by_name(port: int | str, expected: int | None) -> None:
    spec = container(ports=[ContainerPort(name="http", container_port=8080)])
    assert resolve_port(port, spec) == expected


async def test_a_port_that_is_not_named_says_nothing_about_the_container() -> None:
    verdict = await http("nobody")
    assert verdict.message == 'couldn\'t find port: "nobody" in pod' and verdict.unknown
    probe = Probe(tcp_socket=TCPSocketAction(port="nobody"))
    target = Target(container=container(), id=ContainerId("x"), ip="127.0.0.1")
    assert (await ask(probe, target, FakeRuntime(FakeClock()), timeout=60)).unknown


async def inside(script: Script) -> tuple[FakeRuntime, Target, FakeClock]:
    clock = FakeClock()
    runtime = FakeRuntime(clock, scripts={"web": script}, images=["app"])
    id = await runtime.create(ContainerCreate(name="web", image="app"))
    await runtime.start(id)
    return runtime, Target(container=container(), id=id, ip="127.0.0.1"), clock


EXECS = [
    (ExecResult(exit_code=0, output=b"fine"), Verdict(passed=True, message="fine")),
    (
        ExecResult(exit_code=1, output=b"bad\n"),
        Verdict(passed=False, message='bad (command "check it" exited with 1)'),
    ),
    (
        ExecResult(exit_code=2, output=b""),
        Verdict(passed=False, message='command "check it" exited with 2'),
    ),
    (
        ExecResult(exit_code=-1, output=b"so far", timed_out=True),
        Verdict(passed=False, message='command "check it" timed out, having said: so far'),
    ),
    (
        ExecResult(exit_code=-1, output=b"", timed_out=True),
        Verdict(passed=False, message='command "check it" timed out'),
    ),
]


@pytest.mark.parametrize(("result", "verdict"), EXECS)
async def test_exec(result: ExecResult, verdict: Verdict) -> None:
    runtime, target, _ = await inside(Script(exec=lambda argv: result))
    probe = Probe(exec=ExecAction(command=["check", "it"]))
    assert await ask(probe, target, runtime, timeout=1) == verdict


async def test_exec_into_a_container_that_is_gone_says_nothing() -> None:
    runtime, target, _ = await inside(Script(run_for=0))
    verdict = await ask(Probe(exec=ExecAction(command=["x"])), target, runtime, timeout=1)
    assert verdict.unknown


# Hooks.


async def test_a_sleeping_hook() -> None:
    runtime, target, clock = await inside(Script())
    hook = LifecycleHandler(sleep=SleepAction(seconds=5))
    sleeping = asyncio.create_task(run_hook(hook, target, runtime, timeout=30, clock=clock))
    await clock.run_for(4)
    assert not sleeping.done()
    await clock.run_for(2)
    assert (await sleeping).passed


async def test_a_hook_that_connects() -> None:
    runtime, target, clock = await inside(Script())
    target = replace(target, ip="127.0.0.1")
    async with serving(status(200)) as (port, _):
        hook = LifecycleHandler(tcp_socket=TCPSocketAction(port=port))
        assert (await run_hook(hook, target, runtime, timeout=None, clock=clock)).passed
    verdict = await run_hook(hook, target, runtime, timeout=60, clock=clock)
    assert verdict.message == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


async def test_a_hook_that_asks_a_server() -> None:
    runtime, target, clock = await inside(Script())
    target = replace(target, ip="127.0.0.1")
    headers = [HTTPHeader(name="X-A", value="1")]
    async with serving(status(204)) as (port, requests):
        ask_for = HTTPGetAction(path="/drain", port=port, http_headers=headers)
        hook = LifecycleHandler(http_get=ask_for)
        assert (await run_hook(hook, target, runtime, timeout=60, clock=clock)).passed
    assert requests[0].startswith(b"GET /drain HTTP/1.1\r\n") and b"X-A: 1\r\n" in requests[0]
    verdict = await run_hook(LifecycleHandler(), target, runtime, timeout=60, clock=clock)
    assert verdict.message == "invalid handler: it names nothing to do"


@pytest.mark.parametrize("code", [200, 302, 399, 400, 404, 500, 503])
async def test_a_hook_that_was_answered_has_passed(code: int) -> None:
    """A probe asks how a program is; a hook only tells it something."""
    runtime, target, clock = await inside(Script())
    async with serving(status(code, body="not here\n")) as (port, _):
        hook = LifecycleHandler(http_get=HTTPGetAction(path="/drain", port=port))
        verdict = await run_hook(hook, target, runtime, timeout=60, clock=clock)
    url = f"http://127.0.0.1:{port}/drain"
    told = f"answered with statuscode: {code} (GET {url} answered: not here)"
    refused = code >= 400
    message = told if refused else ""
    assert verdict == Verdict(passed=True, message=message, warning=refused)


async def test_a_hook_that_reaches_nobody_has_failed() -> None:
    runtime, target, clock = await inside(Script())
    async with serving(status(200)) as (port, _):
        pass
    hook = LifecycleHandler(http_get=HTTPGetAction(path="/drain", port=port))
    verdict = await run_hook(hook, target, runtime, timeout=60, clock=clock)
    words = f'Get "http://127.0.0.1:{port}/drain": dial tcp 127.0.0.1:{port}: connect:'
    assert verdict == Verdict(passed=False, message=f"{words} connection refused")
    nobody = LifecycleHandler(http_get=HTTPGetAction(port="nobody"))
    assert not (await run_hook(nobody, target, runtime, timeout=60, clock=clock)).passed


@pytest.mark.parametrize("answer", [b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 ok\r\n\r\n", b"\r\n\r\n"])
async def test_whatever_a_server_answers_a_hook_is_the_answer_of_one_pod(answer: bytes) -> None:
    runtime, target, clock = await inside(Script())
    target = replace(target, ip="127.0.0.1")
    async with serving(lambda request: answer) as (port, _):
        hook = LifecycleHandler(http_get=HTTPGetAction(path="/", port=port))
        verdict = await run_hook(hook, target, runtime, timeout=5, clock=clock)
    url = f"http://127.0.0.1:{port}/"
    assert verdict == Verdict(
        passed=False, message=f'Get "{url}": net/http: malformed HTTP response'
    )


async def test_what_nobody_expected_of_a_hook_is_the_failure_of_one_pod(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime, target, clock = await inside(Script())

    async def odd(*args: object, **more: object) -> Verdict:
        raise IndexError("odd")

    monkeypatch.setattr(hooks, "ask_tcp", odd)
    hook = LifecycleHandler(tcp_socket=TCPSocketAction(port=1))
    verdict = await run_hook(hook, target, runtime, timeout=5, clock=clock)
    assert verdict.message == "the agent failed unexpectedly: IndexError: odd"


async def test_a_failing_hook_says_what_it_ran() -> None:
    runtime, target, clock = await inside(
        Script(exec=lambda argv: ExecResult(exit_code=2, output=b"oops\n"))
    )
    hook = LifecycleHandler(exec=ExecAction(command=["a", "b"]))
    verdict = await run_hook(hook, target, runtime, timeout=None, clock=clock)
    assert verdict.message == (
        'Exec lifecycle hook ([a b]) failed: oops (command "a b" exited with 2)'
    )


# Keeping time.


class Watch:
    """A pod's probes over a fake container whose health the test decides."""

    def __init__(self) -> None:
        self.healthy = True
        self.asked: list[float] = []
        self.turned: list[Turned] = []
        self.complaints = 0

    async def start(
        self,
        probe: Probe,
        *,
        kind: Kind = Kind.LIVENESS,
        started_ago: float = 0.0,
        adopted: bool = False,
    ) -> Callable[[float], Awaitable[None]]:
        def check(argv: object) -> ExecResult:
            self.asked.append(self.clock.monotonic())
            return ExecResult(exit_code=0 if self.healthy else 1, output=b"")

        self.runtime, self.target, self.clock = await inside(Script(exec=check))
        self.guard = TaskGuard("test")
        self.probes = PodProbes(
            self.runtime,
            pod="uid",
            turns=ExecTurns(clock=self.clock, guard=self.guard),
            clock=self.clock,
            guard=self.guard,
            tell=self.turned.append,
            complain=lambda kind, target, verdict: self._complained(),
            jitter=lambda: 0.5,
        )
        self.wanted = Wanted(
            probe=probe, target=self.target, started_ago=started_ago, adopted=adopted
        )
        self.probes.sync({(self.target.id, kind): self.wanted})
        return self.clock.run_for

    def _complained(self) -> None:
        self.complaints += 1


def exec_probe(**fields: int) -> Probe:
    return Probe(exec=ExecAction(command=["check"]), **fields)


TIMES = [
    (exec_probe(period_seconds=10), 0.0, False, [0, 9.5, 19.5]),
    (exec_probe(period_seconds=5, initial_delay_seconds=7), 0.0, False, [7, 11.75, 16.75, 21.75]),
    (exec_probe(period_seconds=10, initial_delay_seconds=30), 25.0, False, [5, 14.5]),
    (exec_probe(period_seconds=10), 1000.0, True, [5, 15]),
]


@pytest.mark.parametrize(("probe", "started_ago", "adopted", "moments"), TIMES)
async def test_when_a_probe_asks(
    probe: Probe, started_ago: float, adopted: bool, moments: list[float]
) -> None:
    watch = Watch()
    run = await watch.start(probe, started_ago=started_ago, adopted=adopted)
    await run(24)
    assert watch.asked == pytest.approx(moments)
    await watch.guard.close()


async def test_only_turns_are_told() -> None:
    watch = Watch()
    run = await watch.start(exec_probe(period_seconds=1), kind=Kind.READINESS)
    await run(10)
    assert [t.passed for t in watch.turned] == [True]
    watch.healthy = False
    await run(10)
    assert [t.passed for t in watch.turned] == [True, False]
    assert watch.complaints == 10
    watch.healthy = True
    await run(1)
    assert [t.passed for t in watch.turned] == [True, False, True]
    await watch.guard.close()


@pytest.mark.parametrize("kind", [Kind.LIVENESS, Kind.STARTUP])
async def test_a_container_that_is_ended_for_its_answers_is_asked_no_more(kind: Kind) -> None:
    watch = Watch()
    watch.healthy = False
    run = await watch.start(exec_probe(period_seconds=1, failure_threshold=2), kind=kind)
    await run(5)
    watch.probes.sync({(watch.target.id, kind): watch.wanted})
    await run(5)
    assert (len(watch.asked), watch.complaints) == (2, 2)
    assert [t.passed for t in watch.turned] == [False]
    await watch.guard.close()


async def test_a_probe_that_is_not_wanted_stops() -> None:
    watch = Watch()
    run = await watch.start(exec_probe(period_seconds=1))
    await run(3)
    watch.probes.stop()
    asked = len(watch.asked)
    await run(10)
    assert len(watch.asked) == asked
    assert len(watch.probes) == 0
    await watch.guard.close()


async def test_syncing_again_does_not_restart_a_probe() -> None:
    watch = Watch()
    run = await watch.start(exec_probe(period_seconds=10))
    await run(5)
    watch.probes.sync({(watch.target.id, Kind.LIVENESS): watch.wanted})
    await run(4)
    assert len(watch.asked) == 1
    await watch.guard.close()


DUE = [
    # due, now, period, next
    (0.0, 0.0, 10.0, 10.0),
    (0.0, 3.0, 10.0, 10.0),
    (20.0, 20.4, 1.0, 21.0),
    (20.0, 20.95, 1.0, 22.0),  # an answer that came late: never back to back
    (20.0, 23.5, 1.0, 24.0),  # what came due meanwhile is left out
    (0.0, 25.0, 10.0, 30.0),
]


@pytest.mark.parametrize(("due", "now", "period", "expected"), DUE)
def test_the_distance_is_a_whole_number_of_periods(
    due: float, now: float, period: float, expected: float
) -> None:
    assert next_due(due, now, period) == pytest.approx(expected)


async def test_answers_are_counted_by_what_they_were() -> None:
    watch = Watch()
    run = await watch.start(exec_probe(period_seconds=1))
    await run(3)
    watch.healthy = False
    await run(2)
    results = watch.probes.tally.results
    assert results == {
        ("web", Kind.LIVENESS, "successful"): 4,
        ("web", Kind.LIVENESS, "failed"): 2,
    }
    (durations,) = watch.probes.tally.durations.values()
    assert sum(durations.buckets) == watch.probes.tally.asked == 6
    await watch.guard.close()


# Turns.


class Queue:
    """Exec probes of several pods; each begins when the turns let it, and ends when the test says."""

    def __init__(self, places: int) -> None:
        self.clock, self.guard = FakeClock(), TaskGuard("test")
        self.turns = ExecTurns(clock=self.clock, guard=self.guard, places=places)
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    def ask(self, pod: str, name: str) -> asyncio.Task[None]:
        self.ends[name] = asyncio.Event()
        return self.guard.start(self._ask(pod, name), name=name)

    async def _ask(self, pod: str, name: str) -> None:
        async with self.turns.turn(pod):
            self.begun.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.clock.run_for(0)


async def test_execs_are_few_at_a_time_and_pods_take_turns() -> None:
    queue = Queue(places=1)
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.ask(name[0], name)
    await queue.clock.run_for(0)
    assert queue.begun == ["a1"] and len(queue.turns) == 5
    for name in ("a1", "a2", "b1", "c1", "a3"):
        await queue.end(name)
    assert queue.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]
    await queue.guard.close()


async def test_a_command_that_hangs_gives_its_place_on() -> None:
    queue = Queue(places=2)
    for name in ("a1", "a2", "b1"):
        queue.ask(name[0], name)
    await queue.clock.run_for(HOLD - 0.1)
    assert queue.begun == ["a1", "a2"]
    await queue.clock.run_for(0.2)
    assert queue.begun == ["a1", "a2", "b1"]
    for name in queue.begun:
        await queue.end(name)
    # No place was given back twice: two begin, the third waits.
    for name in ("d1", "e1", "f1"):
        queue.ask(name[0], name)
    await queue.clock.run_for(0)
    assert queue.begun[3:] == ["d1", "e1"]
    await queue.guard.close()


async def test_who_does_not_wait_any_more_is_passed_over() -> None:
    queue = Queue(places=1)
    tasks = {name: queue.ask(name[0], name) for name in ("a1", "b1", "c1")}
    await queue.clock.run_for(0)
    tasks["b1"].cancel()
    await queue.clock.run_for(0)
    await queue.end("a1")
    assert queue.begun == ["a1", "c1"]
    await queue.end("c1")
    queue.ask("d", "d1")
    await queue.clock.run_for(0)
    assert queue.begun[-1] == "d1"
    await queue.guard.close()


async def test_what_execs_cost_is_told() -> None:
    queue = Queue(places=1)
    queue.ask("a", "a1")
    queue.ask("b", "b1")
    await queue.clock.run_for(0.5)
    await queue.end("a1")
    await queue.clock.run_for(0.25)
    await queue.end("b1")
    told = queue.turns.statistics()
    assert told["execs"] == 2 and told["execs_waiting"] == 0
    assert told["exec_seconds"] == pytest.approx(0.75)
    assert told["exec_waited_seconds"] == pytest.approx(0.5)
    assert told["exec_waited_longest_seconds"] == pytest.approx(0.5)
    await queue.guard.close()
