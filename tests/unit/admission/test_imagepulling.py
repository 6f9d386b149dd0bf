"""AlwaysPullImages: which policies become Always, and what is left as it is."""

from __future__ import annotations

from typing import Any

import pytest

from api.core import (
    Container,
    EphemeralContainer,
    ImageVolumeSource,
    Pod,
    PodSpec,
    ServiceAccount,
    Volume,
)
from api.errors import ApiError
from api.scheme import resource_of
from control.admission.chain import Attributes, Operation
from control.admission.imagepulling import AlwaysPullImages
from control.auth.user import User

PLUGIN = AlwaysPullImages()


def pod(image: str = "i", policy: str = "IfNotPresent", **spec: Any) -> Pod:
    container = Container(name="c", image=image, image_pull_policy=policy)
    return Pod(spec=PodSpec(containers=[container], **spec))


def request(new: Pod, old: Pod | None = None, subresource: str = "") -> Attributes:
    return Attributes(
        user=User("somebody"),
        operation=Operation.CREATE if old is None else Operation.UPDATE,
        resource=resource_of(Pod),
        subresource=subresource,
        namespace="ns",
        name="p",
        object=new,
        old=old,
    )


async def test_every_container_pulls() -> None:
    made = pod(
        init_containers=[Container(name="i", image="j", image_pull_policy="Never")],
        ephemeral_containers=[EphemeralContainer(name="e", image="k")],
        volumes=[
            Volume(name="v", image=ImageVolumeSource(reference="x", pull_policy="Never")),
            Volume(name="w"),
        ],
    )
    await PLUGIN.admit(request(made))
    spec = made.spec
    each = [*spec.init_containers, *spec.containers, *spec.ephemeral_containers]
    assert {one.image_pull_policy for one in each} == {"Always"}
    assert spec.volumes[0].image is not None and spec.volumes[0].image.pull_policy == "Always"
    await PLUGIN.validate(request(made))


async def test_what_a_webhook_undoes_is_refused() -> None:
    with pytest.raises(ApiError, match="imagePullPolicy must be Always.* in: c") as caught:
        await PLUGIN.validate(request(pod()))
    assert caught.value.code == 403


async def test_an_update_counts_when_it_brings_an_image() -> None:
    same = pod()
    await PLUGIN.admit(request(same, pod()))
    await PLUGIN.validate(request(same, pod()))
    assert same.spec.containers[0].image_pull_policy == "IfNotPresent"
    other = pod("other")
    await PLUGIN.admit(request(other, pod()))
    assert other.spec.containers[0].image_pull_policy == "Always"


@pytest.mark.parametrize(
    ("operation", "subresource", "expected"),
    [
        (Operation.CREATE, "", True), (Operation.UPDATE, "", True), (Operation.DELETE, "", False),
        (Operation.UPDATE, "ephemeralcontainers", True), (Operation.UPDATE, "status", False),
    ],
)  # fmt: skip
def test_which_requests(operation: Operation, subresource: str, expected: bool) -> None:
    assert PLUGIN.handles(resource_of(Pod), operation, subresource) == expected
    assert not PLUGIN.handles(resource_of(ServiceAccount), operation, "")
