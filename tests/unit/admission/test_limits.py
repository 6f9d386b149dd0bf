"""LimitRange as tables: what containers are given, and what is said of those beyond the bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core import Container, LimitRangeItem, Pod, PodSpec, ResourceRequirements
from api.meta import ObjectMeta
from control.admission import limits

Amounts = dict[str, str]


def item_of(type_: str = limits.CONTAINER, **amounts: Amounts) -> LimitRangeItem:
    return LimitRangeItem(type=type_, **amounts)


def container(name: str = "c", *, sidecar: bool = False, **amounts: Amounts) -> Container:
    return Container(
        name=name,
        image="i",
        resources=ResourceRequirements(**amounts),
        restart_policy="Always" if sidecar else None,
    )


def pod(
    *containers: Container, init: tuple[Container, ...] = (), whole: Amounts | None = None
) -> Pod:
    resources = ResourceRequirements(requests=whole, limits=whole) if whole else None
    spec = PodSpec(containers=list(containers), init_containers=list(init), resources=resources)
    return Pod(metadata=ObjectMeta(name="p", namespace="ns"), spec=spec)


def test_containers_are_given_what_they_leave_out() -> None:
    one = pod(
        container("a"),
        container("b", requests={"cpu": "1"}, limits={"memory": "1Gi"}),
        init=(container("i", limits={"cpu": "2", "memory": "2Gi"}),),
    )
    item = item_of(
        default={"cpu": "500m", "memory": "128Mi"},
        default_request={"cpu": "100m", "memory": "64Mi"},
    )
    limits.fill_in(one, [item])
    a, b = (each.resources for each in one.spec.containers)
    assert a.limits == item.default and a.requests == item.default_request
    assert b.limits == {"cpu": "500m", "memory": "1Gi"}
    assert b.requests == {"cpu": "1", "memory": "64Mi"}
    assert one.spec.init_containers[0].resources.requests == item.default_request
    assert one.metadata.annotations == {
        "kubernetes.io/limit-ranger": (
            "LimitRanger plugin set: cpu, memory request for container a; "
            "cpu, memory limit for container a; memory request for container b; "
            "cpu limit for container b; cpu, memory request for init container i"
        )
    }


def test_the_first_range_that_has_an_amount_gives_it() -> None:
    one = pod(container())
    limits.fill_in(
        one, [item_of(default={"cpu": "1"}), item_of(default={"cpu": "2", "memory": "1Gi"})]
    )
    assert one.spec.containers[0].resources.limits == {"cpu": "1", "memory": "1Gi"}


def test_a_pod_that_needs_nothing_is_left_alone() -> None:
    one = pod(container(limits={"cpu": "1"}))
    limits.fill_in(one, [item_of(default={"cpu": "2"}), item_of("Pod", default={"memory": "1Gi"})])
    assert one.spec.containers[0].resources.limits == {"cpu": "1"}
    assert not one.metadata.annotations


@pytest.mark.parametrize(
    ("item", "amounts", "said"),
    [
        (item_of(max={"memory": "1Gi"}), {"limits": {"memory": "1Gi"}}, []),
        (
            item_of(max={"memory": "1Gi"}),
            {"limits": {"memory": "2Gi"}},
            ["maximum memory usage per Container is 1Gi, but limit is 2Gi"],
        ),
        (
            item_of(max={"memory": "1Gi"}),
            {},
            ["maximum memory usage per Container is 1Gi.  No limit is specified"],
        ),
        (
            item_of(max={"cpu": "1"}),
            {"requests": {"cpu": "1500m"}, "limits": {"cpu": "1"}},
            ["maximum cpu usage per Container is 1, but request is 1500m"],
        ),
        (
            item_of(min={"cpu": "100m"}),
            {},
            ["minimum cpu usage per Container is 100m.  No request is specified"],
        ),
        (
            item_of(min={"cpu": "100m"}),
            {"requests": {"cpu": "50m"}},
            ["minimum cpu usage per Container is 100m, but request is 50m"],
        ),
        (
            item_of(min={"cpu": "100m"}),
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "50m"}},
            ["minimum cpu usage per Container is 100m, but limit is 50m"],
        ),
        (
            item_of(max_limit_request_ratio={"cpu": "2"}),
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}},
            [],
        ),
        (
            item_of(max_limit_request_ratio={"cpu": "1500m"}),
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}},
            [
                "cpu max limit to request ratio per Container is 1500m, "
                "but provided ratio is 2.000000"
            ],
        ),
        (
            item_of(max_limit_request_ratio={"cpu": "2"}),
            {"requests": {"cpu": "0"}, "limits": {"cpu": "2"}},
            [
                "cpu max limit to request ratio per Container is 2, "
                "but no request is specified or request is 0"
            ],
        ),
        (
            item_of(max_limit_request_ratio={"cpu": "2"}),
            {"requests": {"cpu": "1"}},
            [
                "cpu max limit to request ratio per Container is 2, "
                "but no limit is specified or limit is 0"
            ],
        ),
        (
            item_of(min={"cpu": "1"}, max={"memory": "1Gi"}),
            {"requests": {"cpu": "500m"}, "limits": {"memory": "3Gi"}},
            [
                "minimum cpu usage per Container is 1, but request is 500m",
                "maximum memory usage per Container is 1Gi, but limit is 3Gi",
            ],
        ),
    ],
)
def test_containers_out_of_bounds(
    item: LimitRangeItem, amounts: dict[str, Amounts], said: list[str]
) -> None:
    assert limits.pod_faults(pod(container(**amounts)), [item]) == said


def test_init_containers_count_and_a_sentence_is_said_once() -> None:
    large = {"limits": {"memory": "2Gi"}}
    one = pod(container("a", **large), init=(container("i", **large),))
    assert limits.pod_faults(one, [item_of(max={"memory": "1Gi"})]) == [
        "maximum memory usage per Container is 1Gi, but limit is 2Gi"
    ]


def test_a_pod_is_measured_as_a_whole() -> None:
    half = {"limits": {"cpu": "500m"}}
    item = item_of("Pod", max={"cpu": "1"})
    assert not limits.pod_faults(pod(container("a", **half), container("b", **half)), [item])
    sidecar = container("s", sidecar=True, **half)
    three = pod(container("a", **half), container("b", **half), init=(sidecar,))
    assert limits.pod_faults(three, [item]) == [
        "maximum cpu usage per Pod is 1, but limit is 1500m"
    ]
    whole = pod(container("a"), whole={"cpu": "2"})
    assert limits.pod_faults(whole, [item]) == ["maximum cpu usage per Pod is 1, but limit is 2"]


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ({"storage": "5Gi"}, []),
        (
            {"storage": "512Mi"},
            ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"],
        ),
        (
            {"storage": "11Gi"},
            ["maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 11Gi"],
        ),
        (
            {},
            [
                "minimum storage usage per PersistentVolumeClaim is 1Gi.  No request is specified",
                "maximum storage usage per PersistentVolumeClaim is 10Gi.  No request is specified",
            ],
        ),
    ],
)
def test_claims(requests: Amounts, said: list[str]) -> None:
    item = item_of(limits.CLAIM, min={"storage": "1Gi"}, max={"storage": "10Gi"})
    assert limits.claim_faults(requests, [item_of(max={"storage": "1"}), item]) == said


@given(low=st.integers(1, 50), high=st.integers(50, 100))
def test_what_a_range_gives_it_accepts(low: int, high: int) -> None:
    """Defaults within the bounds never make a pod that the same range refuses."""
    item = item_of(
        min={"cpu": f"{low}m"},
        max={"cpu": f"{high}m"},
        default={"cpu": f"{high}m"},
        default_request={"cpu": f"{low}m"},
    )
    one = pod(container("a"), container("b"), init=(container("i"),))
    limits.fill_in(one, [item])
    assert not limits.pod_faults(one, [item])
