"""What claims get from their class: the default one, and leave to grow."""

from __future__ import annotations

from typing import Any

import pytest

from api.client import PatchType
from api.core import PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements
from api.errors import ApiError
from api.meta import ObjectMeta
from api.storage import StorageClass
from base.clock import FakeClock
from control.apiserver.local import LocalClient

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
GROWING = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}


def claim(name: str = "data", **spec: Any) -> PersistentVolumeClaim:
    annotations = spec.pop("annotations", {})
    return PersistentVolumeClaim(
        metadata=ObjectMeta(name=name, namespace="ns", annotations=annotations),
        spec=PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            resources=VolumeResourceRequirements(requests={"storage": "1Gi"}),
            **spec,
        ),
    )


async def make_class(client: LocalClient, name: str, **more: Any) -> None:
    annotations = more.pop("annotations", {})
    metadata = ObjectMeta(name=name, annotations=annotations)
    await client.create(StorageClass(metadata=metadata, provisioner="example.com/nfs", **more))


async def class_given(client: LocalClient, made: PersistentVolumeClaim) -> str | None:
    return (await client.create(made)).spec.storage_class_name


async def test_the_newest_default_is_given(client: LocalClient, clock: FakeClock) -> None:
    await make_class(client, "old", annotations=DEFAULT)
    await clock.run_for(2)
    await make_class(client, "new-b", annotations=DEFAULT)
    await make_class(client, "new-a", annotations=DEFAULT)
    await make_class(client, "other")
    assert await class_given(client, claim()) == "new-a"


async def test_none_is_given_where_none_is_the_default(client: LocalClient) -> None:
    await make_class(client, "other", annotations={**DEFAULT, **dict.fromkeys(DEFAULT, "false")})
    assert await class_given(client, claim()) is None


@pytest.mark.parametrize("said", ["", "other"])
async def test_what_the_claim_says_stands(client: LocalClient, said: str) -> None:
    await make_class(client, "standard", annotations=DEFAULT)
    assert await class_given(client, claim(storage_class_name=said)) == said


async def test_the_annotation_of_old_is_a_word_too(client: LocalClient) -> None:
    await make_class(client, "standard", annotations=DEFAULT)
    annotated = claim(annotations={"volume.beta.kubernetes.io/storage-class": "other"})
    assert await class_given(client, annotated) is None


async def bind(client: LocalClient) -> None:
    bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    await client.patch(PersistentVolumeClaim, "data", "ns", bound, subresource="status")


async def grow(client: LocalClient) -> str:
    """Ask for more; what was said against it."""
    try:
        await client.patch(PersistentVolumeClaim, "data", "ns", GROWING, patch_type=PatchType.MERGE)
    except ApiError as error:
        assert error.code == 403
        return str(error)
    return ""


async def test_only_a_bound_claim_may_grow(client: LocalClient) -> None:
    await make_class(client, "fast", allow_volume_expansion=True)
    await client.create(claim(storage_class_name="fast"))
    with pytest.raises(ApiError, match="spec is immutable after creation"):
        await client.patch(PersistentVolumeClaim, "data", "ns", GROWING)
    await bind(client)
    assert await grow(client) == ""


@pytest.mark.parametrize("name", ["", "fixed", "gone"])
async def test_only_where_its_class_allows_it(client: LocalClient, name: str) -> None:
    await make_class(client, "fixed")
    await client.create(claim(storage_class_name=name))
    await bind(client)
    assert "the storageclass that provisions the pvc must support resize" in await grow(client)


async def test_claims_and_volumes_are_born_protected(client: LocalClient) -> None:
    made = claim()
    made.metadata.finalizers = ["example.com/mine"]
    created = await client.create(made)
    assert created.metadata.finalizers == ["example.com/mine", "kubernetes.io/pvc-protection"]
    again = claim("again")
    again.metadata.finalizers = ["kubernetes.io/pvc-protection"]
    assert (await client.create(again)).metadata.finalizers == again.metadata.finalizers
