"""What pods use and request of one resource, as the formula of autoscaling takes it. Pure.

Before step 1 of a pod's walk: it decides how many set out. Amounts are in thousandths of the unit,
so that CPU and memory are counted alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from api import pods as podrules
from api import quantity, timestamps
from api.core import Container, Pod
from api.metrics import ContainerMetrics, PodMetrics


class UnknownError(Exception):
    """A number that the formula needs is not known; the text says which, in Kubernetes' words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one pod used over a span that ended at a moment."""

    value: int
    at: datetime
    window: float


def samples(
    found: Iterable[PodMetrics], resource: str, container: str, now: datetime
) -> dict[str, Sample]:
    """What each pod uses, by name. `container`: only that one counts; empty: all together.

    Raises:
        UnknownError: a pod is measured without this container.
    """
    made = {}
    for one in found:
        used = [
            each.usage[resource] for each in _measured(one, container) if resource in each.usage
        ]
        if used:
            made[one.metadata.name] = Sample(
                value=sum(quantity.milli(text) for text in used),
                at=timestamps.parse(one.timestamp) if one.timestamp else now,
                window=_seconds(one.window),
            )
    return made


def _measured(one: PodMetrics, container: str) -> Sequence[ContainerMetrics]:
    if not container:
        return one.containers
    found = [each for each in one.containers if each.name == container]
    if not found:
        metadata = one.metadata
        raise UnknownError(
            f"container {container} not present in metrics for pod "
            f"{metadata.namespace}/{metadata.name}"
        )
    return found


def _seconds(window: str) -> float:
    try:
        return float(window.removesuffix("s"))
    except ValueError:
        return 0.0


def requests(found: Iterable[Pod], resource: str, container: str) -> dict[str, int]:
    """What each pod requests, by name.

    Raises:
        UnknownError: some container requests nothing.
    """
    return {pod.metadata.name: _request(pod, resource, container) for pod in found}


def _request(pod: Pod, resource: str, container: str) -> int:
    whole = pod.spec.resources.requests if pod.spec.resources else {}
    if not container and resource in whole:
        return quantity.milli(whole[resource])
    total = 0
    for one in _running(pod):
        if container and one.name != container:
            continue
        asked = one.resources.requests.get(resource)
        if asked is None:
            raise UnknownError(
                f"missing request for {resource} in container {one.name} of Pod {pod.metadata.name}"
            )
        total += quantity.milli(asked)
    return total


def _running(pod: Pod) -> Iterator[Container]:
    """The containers that run side by side."""
    yield from pod.spec.containers
    yield from (one for one in pod.spec.init_containers if podrules.is_restartable_init(one))
