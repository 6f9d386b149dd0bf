"""Pods go where their images are, if that saves something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.core import Container, ContainerImage, Node, Pod
from control.scheduler.decide import decide
from control.scheduler.images import Images, in_full
from control.scheduler.request import request_of
from control.scheduler.scores import image_locality
from control.scheduler.snapshot import Snapshot
from tests.thorough import examples
from tests.unit.scheduler import oracle
from tests.unit.scheduler.making import by_row, node, pod

MIB = 2**20
DIGEST = "sha256:" + "a" * 64


def having(name: str, sizes: dict[str, int]) -> Node:
    made = node(name)
    made.status.images = [ContainerImage(names=[n], size_bytes=size) for n, size in sizes.items()]
    return made


def using(*images: str, init: tuple[str, ...] = ()) -> Pod:
    made = pod("p")
    made.spec.containers = [Container(name=f"c{n}", image=one) for n, one in enumerate(images)]
    made.spec.init_containers = [Container(name=f"i{n}", image=one) for n, one in enumerate(init)]
    return made


@pytest.mark.parametrize(
    ("written", "reported"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"nginx@{DIGEST}"),
        ("registry.test/app", "registry.test/app:latest"),
    ],
)
def test_the_node_that_has_the_image_wins(written: str, reported: str) -> None:
    snapshot = Snapshot()
    for each in (node("a"), having("b", {reported: 900 * MIB}), node("c")):
        snapshot.set_node(each)
    decision = decide(request_of(using(written)), snapshot, lambda rows: rows[0])
    assert decision.node == "b"
    assert decision.best[0].parts["ImageLocality"] == pytest.approx(100 * 277 / 977)


def test_what_is_small_or_no_name_counts_nothing() -> None:
    snapshot = Snapshot()
    for each in (node("a"), having("b", {"nginx": 20 * MIB, "<none>:<none>": 900 * MIB})):
        snapshot.set_node(each)
    assert not np.any(image_locality(request_of(using("nginx")), snapshot, snapshot.present))
    assert in_full("<none>:<none>") == "", "it is counted for no pod"


def test_init_containers_have_images_too() -> None:
    snapshot = Snapshot()
    snapshot.set_node(having("a", {"x": 500 * MIB, "y": 300 * MIB}))
    scores = image_locality(request_of(using("x", init=("y",))), snapshot, snapshot.present)
    assert by_row(scores, snapshot)[0] == pytest.approx(100 * (800 - 23) / (2000 - 23))


def test_what_is_removed_is_forgotten() -> None:
    images = Images()
    images.set(0, [ContainerImage(names=["x", "docker.io/library/x"], size_bytes=5)])
    images.set(3, [ContainerImage(names=["x"], size_bytes=7)])
    assert images.sizes("docker.io/library/x:latest", 4).tolist() == [5, 0, 0, 7]
    images.set(0, ())
    assert images.sizes("docker.io/library/x:latest", 8).tolist() == [0, 0, 0, 7, 0, 0, 0, 0]
    assert images.nodes("docker.io/library/x:latest") == 1
    images.set(3, [ContainerImage(names=["y"], size_bytes=7)])
    assert (images.nodes("docker.io/library/x:latest"), images.statistics()) == (0, {"images": 1})


NAMES = [f"docker.io/library/{name}:latest" for name in "abc"]
SIZES = st.dictionaries(
    st.sampled_from(NAMES), st.integers(0, 1500).map(lambda size: size * MIB), max_size=3
)


@given(
    before=st.lists(SIZES, min_size=5, max_size=5),
    nodes=st.lists(SIZES, min_size=1, max_size=5),
    images=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
    init=st.lists(st.sampled_from(NAMES), max_size=2),
)
@settings(max_examples=examples(80, long=1000), deadline=None)
def test_as_the_slow_one(before: Any, nodes: Any, images: list[str], init: list[str]) -> None:
    snapshot, wanted = Snapshot(), using(*images, init=tuple(init))
    for number, sizes in enumerate(before):
        snapshot.set_node(having(f"n{number}", sizes))
        image_locality(request_of(wanted), snapshot, snapshot.present)
    for number in range(len(nodes), len(before)):
        snapshot.remove_node(f"n{number}")
    made = [having(f"n{number}", sizes) for number, sizes in enumerate(nodes)]
    for each in made:
        snapshot.set_node(each)
    scores = image_locality(request_of(wanted), snapshot, snapshot.present)
    found = by_row(scores, snapshot)
    cluster = oracle.Cluster(made)
    for each in made:
        name = each.metadata.name
        expected = oracle.locality(wanted, name, cluster)
        assert found[snapshot.index(name)] == pytest.approx(expected)
