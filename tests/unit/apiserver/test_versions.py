"""One stored kind in two served versions: fields, bytes, and events that are converted once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from api.core import ConfigMap
from api.errors import ApiError
from api.meta import ObjectMeta
from api.scheme import SERVED, Catalogue, Resource, resource_of
from api.scheme.catalogue import version_order
from api.struct import ApiStruct, type_meta
from control.apiserver.registry import patching
from control.apiserver.registry.call import Call
from control.apiserver.registry.codecs import Typed
from control.apiserver.registry.kinds import head_facts
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.versions import Pure, Version, as_stored
from control.auth.user import in_process
from control.store.cached import render
from control.store.interface import KeyValue
from control.store.subscription import CachedEvent, EventType


class Settings(ApiStruct, kw_only=True):
    """ConfigMap, as another version might spell it."""

    api_version: str = type_meta("v2")
    kind: str = type_meta("ConfigMap")
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    values: dict[str, str] = {}


ROW = Resource("", "v2", "ConfigMap", "configmaps", Settings, True, "configmap", stored_as="v1")


def to_served(obj: ConfigMap) -> Settings:
    return Settings(metadata=obj.metadata, values=obj.data)


def to_stored(obj: Settings) -> ConfigMap:
    return ConfigMap(metadata=obj.metadata, data=obj.values)


@pytest.fixture
def version(registry: Registry) -> Version:
    kind = registry.kind_of(ConfigMap)
    codec = Typed(Settings)
    pure = Pure(kind.codec, codec, to_served=to_served, to_stored=to_stored)
    made = Version(ROW, kind, codec=codec, conversion=pure, fields={"here": "metadata.name"})
    registry.add_version(made)
    return made


def stored(name: str) -> bytes:
    return msgspec.json.encode(ConfigMap(metadata=ObjectMeta(name=name), data={"a": name}))


async def test_objects_are_shown_in_the_served_version(version: Version) -> None:
    shown = await version.to_served([stored("x"), stored("y")])
    assert [msgspec.json.decode(body)["values"] for body in shown] == [{"a": "x"}, {"a": "y"}]
    assert all(msgspec.json.decode(body)["apiVersion"] == "v2" for body in shown)


async def test_the_stored_version_shows_the_very_bytes(registry: Registry) -> None:
    bodies = [stored("x")]
    assert await as_stored(registry.kind_of(ConfigMap)).to_served(bodies) is bodies


async def test_patches_are_of_the_served_version(version: Version) -> None:
    call = Call(user=in_process("test"))
    body = b'{"values": {"b": "2"}}'
    change = patching.patcher(version, call, body, "application/merge-patch+json")
    current = ConfigMap(metadata=ObjectMeta(name="x", namespace="ns"), data={"a": "1"})
    patched = await change(current)
    assert isinstance(patched, ConfigMap)
    assert patched.data == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("here=x", "metadata.name=x"),
        ("metadata.namespace!=y,here=x", "metadata.namespace!=y,metadata.name=x"),
    ],
)
def test_field_selectors_have_names_of_their_own(
    version: Version, text: str, expected: str
) -> None:
    assert version.stored_selector(text) == expected


def test_other_fields_are_refused(version: Version) -> None:
    with pytest.raises(ApiError, match=r"field label not supported: data.a \(those of configmaps"):
        version.stored_selector("data.a=x")


class Counting:
    """A conversion that takes its time, counts, and may fail."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False
        self.go = asyncio.Event()

    def needed(self, body: bytes) -> bool:
        return True

    async def to_served(self, bodies: Sequence[bytes]) -> Sequence[bytes]:
        self.calls += 1
        await self.go.wait()
        if self.fails:
            raise ValueError("no")
        return [b"converted " + body for body in bodies]

    async def to_stored(self, obj: Any, old: Any | None) -> Any:
        return obj


def event(name: str) -> CachedEvent:
    value = b'{"metadata":{"name":"%b"}}' % name.encode()
    return CachedEvent(EventType.ADDED, render(KeyValue("k", value, 1, 1), head_facts), None)


def converted(name: str) -> bytes:
    return b"converted " + event(name).entry.body


async def test_watchers_share_a_conversion(registry: Registry) -> None:
    kind, counting = registry.kind_of(ConfigMap), Counting()
    version = Version(ROW, kind, codec=kind.codec, conversion=counting)
    events = [event("1"), event("2")]
    watchers = [asyncio.create_task(version.of_events(events)) for _ in range(3)]
    await asyncio.sleep(0)
    counting.go.set()
    for found in await asyncio.gather(*watchers):
        assert found == [converted("1"), converted("2")]
    assert counting.calls == 1


async def test_a_watcher_that_leaves_takes_no_conversion_with_it(registry: Registry) -> None:
    kind, counting = registry.kind_of(ConfigMap), Counting()
    version = Version(ROW, kind, codec=kind.codec, conversion=counting)
    events = [event("1")]
    first = asyncio.create_task(version.of_events(events))
    await asyncio.sleep(0)
    second = asyncio.create_task(version.of_events(events))
    await asyncio.sleep(0)
    first.cancel()
    counting.go.set()
    assert await second == [converted("1")]
    assert counting.calls == 2


async def test_a_failure_is_each_watchers_own(registry: Registry) -> None:
    kind, counting = registry.kind_of(ConfigMap), Counting()
    version = Version(ROW, kind, codec=kind.codec, conversion=counting)
    counting.fails = True
    counting.go.set()
    events = [event("1")]
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await version.of_events(events)
    counting.fails = False
    assert await version.of_events(events) == [converted("1")]


def test_the_catalogue_follows_what_comes_and_goes() -> None:
    catalogue = Catalogue(SERVED)
    told: list[int] = []
    catalogue.on_change(lambda: told.append(len(catalogue.group_versions())))
    before = len(catalogue.group_versions())
    catalogue.replace((), [ROW])
    assert catalogue.find("", "v2", "configmaps") is ROW
    assert catalogue.by_kind("v2", "ConfigMap") is ROW
    assert catalogue.stored_by_kind("v2", "ConfigMap") is resource_of(ConfigMap)
    assert ROW not in list(catalogue.stored())
    catalogue.replace([ROW], ())
    assert catalogue.find("", "v2", "configmaps") is None
    assert not catalogue.of_version("", "v2")
    assert told == [before + 1, before]


def test_versions_in_the_order_of_preference() -> None:
    names = [
        "v1alpha1",
        "foo10",
        "v11beta2",
        "v10",
        "v3beta1",
        "foo1",
        "v1",
        "v12alpha1",
        "v10beta3",
    ]
    assert sorted(names, key=version_order) == [
        "v10", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v1alpha1", "foo1", "foo10",
    ]  # fmt: skip
