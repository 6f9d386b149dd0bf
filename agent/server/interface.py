"""What the agent's web server needs of the rest of the agent.

The pod workers implement these; the server neither knows nor changes pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.containers.records import ContainerId
from api import errors
from api.core import Pod
from api.errors import ApiError
from api.meta import Status

Statistics = Callable[[], Mapping[str, float]]


class PodLookup(Protocol):
    """Finds what a request means. `container` may be empty when the pod has only one.

    Raises ApiError with the words below.
    """

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        """The container whose log is meant: the present one, or the one before it."""

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        """The container to exec into or attach to."""

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        """The running container that holds the pod's network namespace."""

    def pods(self) -> Sequence[Pod]:
        """All pods of this node with their status."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a cgroup has used; `cpu_nanoseconds` counts from its beginning."""

    cpu_nanoseconds: int
    memory: int
    """Bytes charged, file cache included."""
    working_set: int
    """Bytes that cannot be reclaimed at once: what eviction looks at."""


@dataclass(frozen=True, kw_only=True)
class PodUsage:
    namespace: str
    name: str
    uid: str
    started: datetime
    usage: Usage
    containers: Mapping[str, Usage]


class UsageSource(Protocol):
    """Reads cgroups when asked."""

    def node(self) -> Usage: ...

    def pods(self) -> Sequence[PodUsage]: ...


# The kubelet's words. Each is an answer that kubectl shows to a person as it stands.


def pod_missing(namespace: str, pod: str) -> ApiError:
    return _failure(404, "NotFound", f'pod "{pod}" does not exist on this node in "{namespace}"')


def container_missing(pod: str, container: str) -> ApiError:
    return errors.bad_request(f"container {container} is not valid for pod {pod}")


def container_unnamed(pod: str, names: Sequence[str]) -> ApiError:
    return errors.bad_request(
        f"a container name must be specified for pod {pod}, choose one of: [{' '.join(names)}]"
    )


def waiting_to_start(pod: str, container: str, reason: str) -> ApiError:
    """`reason` is that of `state.waiting`; the kubelet adds the message for images that failed."""
    return errors.bad_request(
        f'container "{container}" in pod "{pod}" is waiting to start: {reason}'
    )


def previous_missing(pod: str, container: str) -> ApiError:
    return errors.bad_request(
        f'previous terminated container "{container}" in pod "{pod}" not found'
    )


def not_running(container: str) -> ApiError:
    return _failure(404, "NotFound", f'container not found ("{container}")')


def pod_not_running(pod: str, phase: str) -> ApiError:
    return errors.bad_request(
        f'unable to forward port because pod "{pod}" is not running. Current status={phase}'
    )


def _failure(code: int, reason: str, message: str) -> ApiError:
    return ApiError(Status(status="Failure", message=message, reason=reason, code=code))
