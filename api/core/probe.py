"""Probes and hooks: how the agent asks a container for its health, and what it does around its life.

Made in steps 4, 5 and 7 of the pod's walk.
"""

from typing import Annotated, ClassVar

from api.struct import LIST_ATOMIC, ApiStruct, Inline, Int32, Int64, IntOrString, enum, pb

URIScheme = Annotated[str, enum("HTTP", "HTTPS")]
Signal = Annotated[
    str,
    enum(
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGRTMIN",
        "SIGRTMIN+1",
        "SIGRTMIN+2",
        "SIGRTMIN+3",
        "SIGRTMIN+4",
        "SIGRTMIN+5",
        "SIGRTMIN+6",
        "SIGRTMIN+7",
        "SIGRTMIN+8",
        "SIGRTMIN+9",
        "SIGRTMIN+10",
        "SIGRTMIN+11",
        "SIGRTMIN+12",
        "SIGRTMIN+13",
        "SIGRTMIN+14",
        "SIGRTMIN+15",
        "SIGRTMAX-14",
        "SIGRTMAX-13",
        "SIGRTMAX-12",
        "SIGRTMAX-11",
        "SIGRTMAX-10",
        "SIGRTMAX-9",
        "SIGRTMAX-8",
        "SIGRTMAX-7",
        "SIGRTMAX-6",
        "SIGRTMAX-5",
        "SIGRTMAX-4",
        "SIGRTMAX-3",
        "SIGRTMAX-2",
        "SIGRTMAX-1",
        "SIGRTMAX",
    ),
]


class ExecAction(ApiStruct, kw_only=True):
    """Runs a command inside the container. Exit code 0 means success."""

    command: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """The program and its arguments. There is no shell unless you name one."""


class HTTPHeader(ApiStruct, kw_only=True):
    """One header of a request."""

    name: Annotated[str, pb(1)]
    """Name of the header."""
    value: Annotated[str, pb(2)]
    """Its value."""


class HTTPGetAction(ApiStruct, kw_only=True):
    """Sends an HTTP GET. Status codes from 200 to 399 mean success."""

    path: Annotated[str, pb(1)] = ""
    """Path to ask for. Default: `/`."""
    port: Annotated[IntOrString, pb(2)]
    """Port number, or the name of one of the container's ports."""
    host: Annotated[str, pb(3)] = ""
    """Host to connect to. Default: the pod's address."""
    scheme: Annotated[URIScheme, pb(4)] = ""
    """`HTTP` or `HTTPS`; certificates are not verified. Default: HTTP."""
    http_headers: Annotated[list[HTTPHeader], pb(5), LIST_ATOMIC] = []
    """Headers to send; the same name may occur more than once."""


class TCPSocketAction(ApiStruct, kw_only=True):
    """Opens a TCP connection. Success means that it is accepted."""

    port: Annotated[IntOrString, pb(1)]
    """Port number, or the name of one of the container's ports."""
    host: Annotated[str, pb(2)] = ""
    """Host to connect to. Default: the pod's address."""


class GRPCAction(ApiStruct, kw_only=True):
    """Asks the gRPC health service. `SERVING` means success."""

    port: Annotated[Int32, pb(1)]
    """Port number."""
    service: Annotated[str | None, pb(2)]
    """Service name to ask about. Default: empty, the server as a whole."""


class ProbeHandler(ApiStruct, kw_only=True):
    """How a probe asks. Exactly one way must be chosen."""

    exec: Annotated[ExecAction | None, pb(1)] = None
    """Run a command in the container."""
    http_get: Annotated[HTTPGetAction | None, pb(2)] = None
    """Send an HTTP request to the container."""
    tcp_socket: Annotated[TCPSocketAction | None, pb(3)] = None
    """Open a connection to the container."""
    grpc: Annotated[GRPCAction | None, pb(4)] = None
    """Ask the container's gRPC health service."""


class Probe(ProbeHandler, kw_only=True):
    """A check that is repeated while the container runs."""

    __inline__: ClassVar[Inline] = {1: ProbeHandler}
    initial_delay_seconds: Annotated[Int32, pb(2)] = 0
    """Seconds from the start of the container to the first check. Default: 0."""
    timeout_seconds: Annotated[Int32, pb(3)] = 0
    """Seconds after which a check without answer counts as failed. Default: 1."""
    period_seconds: Annotated[Int32, pb(4)] = 0
    """Seconds between checks. Default: 10."""
    success_threshold: Annotated[Int32, pb(5)] = 0
    """Successes in a row that end a failure. Must be 1 for liveness and startup. Default: 1."""
    failure_threshold: Annotated[Int32, pb(6)] = 0
    """Failures in a row that count as failed. Default: 3."""
    termination_grace_period_seconds: Annotated[Int64 | None, pb(7)] = None
    """Seconds that the container gets to stop when this probe has failed. Default: the pod's. Not
    for readiness probes."""


class SleepAction(ApiStruct, kw_only=True):
    """Waits before the container is stopped."""

    seconds: Annotated[Int64, pb(1)]
    """Seconds to wait; not longer than the grace period."""


class LifecycleHandler(ApiStruct, kw_only=True):
    """What a lifecycle hook does. Exactly one way must be chosen."""

    exec: Annotated[ExecAction | None, pb(1)] = None
    """Run a command in the container."""
    http_get: Annotated[HTTPGetAction | None, pb(2)] = None
    """Send an HTTP request to the container."""
    tcp_socket: Annotated[TCPSocketAction | None, pb(3)] = None
    """Not supported in hooks; kept because the field exists."""
    sleep: Annotated[SleepAction | None, pb(4)] = None
    """Wait for a while."""


class Lifecycle(ApiStruct, kw_only=True):
    """What to do around the start and the end of a container."""

    post_start: Annotated[LifecycleHandler | None, pb(1)] = None
    """Runs right after the container has started, at the same time as its command. If it fails, the
    container is stopped."""
    pre_stop: Annotated[LifecycleHandler | None, pb(2)] = None
    """Runs before the container gets the stop signal. Its time counts towards the grace period."""
    stop_signal: Annotated[Signal | None, pb(3)] = None
    """Signal that asks the container to stop. Needs `spec.os.name`. Default: the image's, or
    SIGTERM."""
