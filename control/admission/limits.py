"""What a LimitRange makes of containers, pods and claims: its defaults, and what breaks its bounds.

Serves step 1 of the pod's walk. Pure: functions over a range's items, without a chain or a cache. As
Kubernetes documents LimitRange and words its refusals; a range answers with all that is wrong, each
distinct sentence once, in the order of containers and then of resource names.

A pod is measured as it is scheduled (`api.pods`): sidecars run beside the containers, the amounts of
the pod as a whole stand where they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from api import quantity
from api.core import Container, LimitRangeItem, Pod
from api.pods import all_containers, pod_limits, pod_requests
from api.resources import quantities

ANNOTATION = "kubernetes.io/limit-ranger"
CONTAINER = "Container"
POD = "Pod"
CLAIM = "PersistentVolumeClaim"

Amounts = Mapping[str, str]


def fill_in(pod: Pod, items: Iterable[LimitRangeItem]) -> None:
    """Give containers the amounts they leave out, and note in an annotation which those were."""
    ours = [item for item in items if item.type == CONTAINER]
    told = [
        *(note for one in pod.spec.containers for note in _fill(one, "container", ours)),
        *(note for one in pod.spec.init_containers for note in _fill(one, "init container", ours)),
    ]
    if told:
        text = f"LimitRanger plugin set: {'; '.join(told)}"
        pod.metadata.annotations = {**pod.metadata.annotations, ANNOTATION: text}


def _fill(container: Container, what: str, items: Iterable[LimitRangeItem]) -> Iterator[str]:
    limits, requests = dict(container.resources.limits), dict(container.resources.requests)
    for item in items:  # the first range that has an amount gives it
        limits = {**item.default, **limits}
        requests = {**item.default_request, **requests}
    for of, before, after in (
        ("request", container.resources.requests, requests),
        ("limit", container.resources.limits, limits),
    ):
        if added := sorted(after.keys() - before.keys()):
            yield f"{', '.join(added)} {of} for {what} {container.name}"
    container.resources.limits, container.resources.requests = limits, requests


def pod_faults(pod: Pod, items: Iterable[LimitRangeItem]) -> list[str]:
    """How a pod breaks the bounds of a range, for its containers and as a whole."""
    found: list[str] = []
    for item in items:
        if item.type == CONTAINER:
            for container in all_containers(pod.spec):
                resources = container.resources
                found += _faults(item, resources.requests, resources.limits)
        elif item.type == POD:
            found += _faults(item, quantities(pod_requests(pod)), quantities(pod_limits(pod)))
    return list(dict.fromkeys(found))


def claim_faults(requests: Amounts, items: Iterable[LimitRangeItem]) -> list[str]:
    """How a claim for a volume breaks the bounds of a range; a claim has no limits that count."""
    found: list[str] = []
    for item in items:
        if item.type != CLAIM:
            continue
        for name, least in sorted(item.min.items()):
            found += _below(item.type, name, least, requests.get(name), None)
        for name, most in sorted(item.max.items()):
            found += _request_above(item.type, name, most, requests.get(name))
    return list(dict.fromkeys(found))


def _faults(item: LimitRangeItem, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in sorted(item.min.items()):
        yield from _below(item.type, name, least, requests.get(name), limits.get(name))
    for name, most in sorted(item.max.items()):
        yield from _above(item.type, name, most, requests.get(name), limits.get(name))
    for name, ratio in sorted(item.max_limit_request_ratio.items()):
        yield from _apart(item.type, name, ratio, requests.get(name), limits.get(name))


def _below(
    type_: str, name: str, least: str, request: str | None, limit: str | None
) -> Iterator[str]:
    bound = f"minimum {name} usage per {type_} is {quantity.canonical(least)}"
    if request is None:
        yield f"{bound}.  No request is specified"
    elif quantity.compare(request, least) < 0:
        yield f"{bound}, but request is {quantity.canonical(request)}"
    elif limit is not None and quantity.compare(limit, least) < 0:
        yield f"{bound}, but limit is {quantity.canonical(limit)}"


def _above(
    type_: str, name: str, most: str, request: str | None, limit: str | None
) -> Iterator[str]:
    bound = f"maximum {name} usage per {type_} is {quantity.canonical(most)}"
    if limit is None:
        yield f"{bound}.  No limit is specified"
    elif quantity.compare(limit, most) > 0:
        yield f"{bound}, but limit is {quantity.canonical(limit)}"
    elif request is not None and quantity.compare(request, most) > 0:
        yield f"{bound}, but request is {quantity.canonical(request)}"


def _request_above(type_: str, name: str, most: str, request: str | None) -> Iterator[str]:
    bound = f"maximum {name} usage per {type_} is {quantity.canonical(most)}"
    if request is None:
        yield f"{bound}.  No request is specified"
    elif quantity.compare(request, most) > 0:
        yield f"{bound}, but request is {quantity.canonical(request)}"


def _apart(
    type_: str, name: str, ratio: str, request: str | None, limit: str | None
) -> Iterator[str]:
    bound = f"{name} max limit to request ratio per {type_} is {quantity.canonical(ratio)}"
    requested = quantity.parse(request or "0").decimal
    limited = quantity.parse(limit or "0").decimal
    if not requested:
        yield f"{bound}, but no request is specified or request is 0"
    elif not limited:
        yield f"{bound}, but no limit is specified or limit is 0"
    elif limited > quantity.parse(ratio).decimal * requested:  # exact: nothing is divided
        yield f"{bound}, but provided ratio is {limited / requested:.6f}"
