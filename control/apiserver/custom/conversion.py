"""From one version of a defined kind to another: by its name alone, or by a webhook.

Serves steps 1 and 2 of the pod's walk for custom resources. With the strategy None only apiVersion
changes, and what the other version's schema does not know is dropped. With a webhook, objects go out
in one ConversionReview; what comes back must be the same objects under another version: their
identity may not change, and of their metadata only labels and annotations count (API documentation,
"Versions in CustomResourceDefinitions").
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from api import errors
from api.custom import Custom
from api.errors import ApiError
from api.scheme import Resource
from base.errors import PodwrightError
from control.apiserver.custom.codec import CustomCodec

TIMEOUT = 30.0
"""Seconds a webhook may take for one review."""

_REVIEW = "apiextensions.k8s.io/v1"
_BATCH = 500  # objects in one review, and in one turn of the loop

Tree = dict[str, Any]


class Caller(Protocol):
    """Who asks webhooks; see `control.apiserver.agents.webhooks`."""

    async def post(self, config: Mapping[str, Any], body: bytes, *, timeout: float) -> bytes: ...


class Converter(Protocol):
    """Turns objects of some version into another one."""

    async def __call__(self, trees: Sequence[Tree], codec: CustomCodec) -> Sequence[Tree]: ...


async def rename(trees: Sequence[Tree], codec: CustomCodec) -> Sequence[Tree]:
    """The strategy None."""
    return [renamed(tree, codec) for tree in trees]


def renamed(tree: Tree, codec: CustomCodec) -> Tree:
    made = {**tree, "apiVersion": codec.api_version}
    codec.rules.prune(made)
    return made


class Hook:
    """The strategy Webhook."""

    def __init__(self, webhook: Mapping[str, Any], caller: Caller) -> None:
        self._config: Mapping[str, Any] = webhook.get("clientConfig") or {}
        self._versions: Sequence[str] = webhook.get("conversionReviewVersions") or ()
        self._caller = caller

    async def __call__(self, trees: Sequence[Tree], codec: CustomCodec) -> Sequence[Tree]:
        converted: list[Tree] = []
        for start in range(0, len(trees), _BATCH):
            batch = trees[start : start + _BATCH]
            try:
                answer = await self._review(batch, codec.api_version)
                converted += accepted(batch, answer, codec.api_version)
            except ApiError:
                raise
            except (PodwrightError, ValueError, msgspec.MsgspecError) as error:
                raise _failed(batch[0], error) from None
        for tree in converted:
            codec.rules.prune(tree)
        return converted

    async def _review(self, trees: Sequence[Tree], api_version: str) -> Sequence[Any]:
        if "v1" not in self._versions:
            raise ValueError("it does not accept ConversionReview of version v1")
        uid = str(uuid.uuid4())
        review = {
            "apiVersion": _REVIEW,
            "kind": "ConversionReview",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": trees},
        }
        body = msgspec.json.encode(review)
        answer = await self._caller.post(self._config, body, timeout=TIMEOUT)
        return answered(msgspec.json.decode(answer), uid)


def answered(review: Any, uid: str) -> Sequence[Any]:
    """The objects of a ConversionReview's response. Raises ValueError for what is none."""
    if not isinstance(review, dict):
        raise ValueError("expected a ConversionReview")
    names = review.get("apiVersion"), review.get("kind")
    if names != (_REVIEW, "ConversionReview"):
        raise ValueError(f"expected {_REVIEW}, Kind=ConversionReview, got {names[0]}, {names[1]}")
    response = review.get("response")
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    if response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        why = result.get("message") or f"status {result.get('status')!r} without a message"
        raise ValueError(why)
    found = response.get("convertedObjects")
    return found if isinstance(found, list) else []


def accepted(sent: Sequence[Tree], received: Sequence[Any], api_version: str) -> list[Tree]:
    """The converted objects with the metadata they had. Raises ValueError for another object."""
    if len(sent) != len(received):
        raise ValueError(
            f"webhook returned {len(received)} objects, expected {len(sent)} (converted objects)"
        )
    return [
        _same(number, old, new, api_version)
        for number, (old, new) in enumerate(zip(sent, received, strict=True))
    ]


def _same(number: int, old: Tree, new: Any, api_version: str) -> Tree:
    where = f"invalid converted object at index {number}"
    if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
        raise ValueError(f"{where}: it has no metadata")
    if new.get("apiVersion") != api_version:
        raise ValueError(
            f"{where}: invalid apiVersion: {new.get('apiVersion')}, want {api_version}"
        )
    if new.get("kind") != old["kind"]:
        raise ValueError(f"{where}: must have the same kind: {new.get('kind')} != {old['kind']}")
    before, after = old["metadata"], new["metadata"]
    for field, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if before.get(field, "") != after.get(field, ""):
            raise ValueError(
                f"{where}: must have the same {word}: "
                f"{after.get(field, '')} != {before.get(field, '')}"
            )
    metadata = {**before}
    for field in ("labels", "annotations"):
        metadata.pop(field, None)
        if after.get(field):
            metadata[field] = after[field]
    rest = {name: new[name] for name in new if name not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": api_version, "kind": old["kind"], "metadata": metadata, **rest}


def _failed(tree: Tree, why: Exception) -> ApiError:
    return errors.internal(
        f"conversion webhook for {tree.get('apiVersion')}, Kind={tree.get('kind')} failed: {why}"
    )


class BetweenVersions:
    """`registry.versions.Conversion` between the stored version of a kind and a served one."""

    def __init__(
        self, resource: Resource, stored: CustomCodec, served: CustomCodec, convert: Converter
    ) -> None:
        self._resource = resource
        self._stored = stored
        self._served = served
        self._convert = convert
        self.direct = convert is rename

    def needed(self, body: bytes) -> bool:
        return not body.startswith(self._served.head)

    async def to_served(self, bodies: Sequence[bytes]) -> Sequence[bytes]:
        shown: list[bytes] = []
        for start in range(0, len(bodies), _BATCH):
            if start:
                await asyncio.sleep(0)  # others want the loop, too
            trees = [msgspec.json.decode(body) for body in bodies[start : start + _BATCH]]
            shown += map(_encode, await self._convert(trees, self._served))
        return shown

    async def to_stored(self, obj: Custom, old: Any | None) -> Custom:
        if self._served is self._stored:
            return obj
        tree = self._served.tree(obj)
        found = self._served.rules.validate(tree, None)
        if found:
            raise errors.invalid(self._resource, obj.metadata.name, found)
        (converted,) = await self._convert([tree], self._stored)
        self._stored.rules.default(converted)
        made = self._stored.decode(_encode(converted))
        made.checked = True
        return made

    def shown(self, obj: Custom) -> Custom:
        """By the name alone."""
        return _named(self._stored.tree(obj), self._served)

    def back(self, obj: Custom) -> Custom:
        """By the name alone."""
        return _named(self._served.tree(obj), self._stored)


def _named(tree: Tree, codec: CustomCodec) -> Custom:
    return codec.decode(_encode(renamed(tree, codec)))


def _encode(tree: Tree) -> bytes:
    """With apiVersion, kind and metadata in front, as everything that is stored and sent."""
    rest = {name: tree[name] for name in tree if name not in ("apiVersion", "kind", "metadata")}
    head = {name: tree[name] for name in ("apiVersion", "kind", "metadata")}
    return msgspec.json.encode({**head, **rest})
