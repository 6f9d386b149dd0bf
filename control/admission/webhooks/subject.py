"""The objects of a request as webhooks see them: in the version that their rules name. Walk step 1.

Objects are converted and encoded once per version, and again only when a patch has changed them. What
a patch makes is decoded like any body, brought back to the stored version and settled there: what the
server owns stays as it was, and defaults are filled in. Bodies that are no objects of the resource (a
Scale, a Binding, the options of an exec) have one version only.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from api import errors
from api.codec import decode
from api.errors import ApiError
from api.patch import jsonpatch
from api.patch.faults import PatchError
from api.scheme import Resource
from api.selectors import Selector
from control.admission.chain import Attributes


class Shape(Protocol):
    """A stored resource in one of its served versions."""

    @property
    def resource(self) -> Resource: ...

    async def show(self, obj: Any) -> bytes:
        """A stored object as JSON of this version."""
        ...

    async def take(self, tree: Any, current: Any) -> Any:
        """The stored object that a tree of this version means, in place of `current`."""
        ...


class Subject:
    """The objects of one request."""

    def __init__(self, request: Attributes) -> None:
        self._request = request
        self._new: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}

    async def new(self, shape: Shape) -> bytes | None:
        """What the object is to be; None in a deletion."""
        return await self._shown(self._new, self._request.object, shape)

    async def old(self, shape: Shape) -> bytes | None:
        """What it was; None in a creation."""
        if self._request.operation == "CONNECT":
            return None
        return await self._shown(self._old, self._request.old, shape)

    def labelled(self, selector: Selector) -> bool:
        """Whether the object, before or after, has such labels."""
        if selector.empty:
            return True
        request = self._request
        return any(
            selector.matches(obj.metadata.labels)
            for obj in (request.object, request.old)
            if hasattr(obj, "metadata")
        )

    async def patch(self, shape: Shape, patch: bytes) -> bool:
        """Change the object; False when it is the same afterwards. Raises 500 for what cannot be."""
        before = await self.new(shape)
        assert before is not None
        try:
            steps = msgspec.json.decode(patch)
            tree = jsonpatch.apply(msgspec.json.decode(before), steps)
            made = await self._taken(shape, tree)
        except PatchError as error:
            raise errors.internal(str(error)) from None
        except ApiError as error:
            if error.code != 400:
                raise  # it is an object of this kind, only not a sound one
            raise errors.internal(error.message) from None
        except (ValueError, RecursionError) as error:
            raise errors.internal(f"the patch cannot be read: {error}") from None
        request = self._request
        kept = request.object
        request.object = made
        if request.settle is not None:
            request.settle(made)
        self._new.clear()
        if await self.new(shape) != before:
            return True
        request.object = kept
        return False

    async def _taken(self, shape: Shape, tree: Any) -> Any:
        current = self._request.object
        if self._whole(current):
            return await shape.take(tree, current)
        return decode.convert_object(tree, type(current)).obj

    async def _shown(self, known: dict[str, bytes], obj: Any, shape: Shape) -> bytes | None:
        if obj is None:
            return None
        version = shape.resource.api_version
        body = known.get(version)
        if body is None:
            body = await shape.show(obj) if self._whole(obj) else msgspec.json.encode(obj)
            known[version] = body
        return body

    def _whole(self, obj: Any) -> bool:
        return isinstance(obj, self._request.resource.type)
