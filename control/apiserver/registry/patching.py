"""A patch as a change of the current object; see `updating.change`, which calls it as often as needed.

Serves step 1 of the pod's walk. What the patch makes is decoded like any body: unknown fields are
reported as the client asked, wrong types refused with their path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api import errors, objects, patch
from api.codec import decode
from api.struct import ApiStruct
from control.apiserver.registry.apart import worked
from control.apiserver.registry.call import Call
from control.apiserver.registry.codecs import Codec
from control.apiserver.registry.updating import Change, check_name
from control.apiserver.registry.versions import Version


def patcher(version: Version, call: Call, body: bytes, content_type: str) -> Change:
    """The change that a PATCH request asks for."""
    apply = applier(version.codec, call, body, content_type)
    kind = version.kind

    async def change(current: ApiStruct) -> Any:
        before, seen = objects.meta(current), current
        if version.conversion is not None:
            seen = version.codec.decode(await version.one(kind.body(current)))
        patched = await worked(call.large, lambda: apply(seen))
        check_name(kind, objects.meta(patched), before.namespace, before.name)
        return await version.from_served(patched, current)

    return change


def applier(codec: Codec, call: Call, body: bytes, content_type: str) -> Callable[[Any], Any]:
    """A function that applies the patch to an object.

    Raises 415 for other sorts of patches, 400 for what is none. What is wrong with the patch itself is
    told as the client asked, as what is wrong with the object that it makes. A strategic merge needs
    a type that says how: kinds that came at run time have none.
    """
    if not issubclass(codec.type_, ApiStruct):
        accepted = (patch.JSON_PATCH, patch.MERGE_PATCH, patch.APPLY)
        if content_type.partition(";")[0].strip().lower() not in accepted:
            raise errors.unsupported_media_type(accepted)

    wanted, mistakes = patch.parse(body, content_type)
    if mistakes and call.field_validation == decode.STRICT:
        raise errors.bad_request(f"strict decoding error: {', '.join(mistakes)}")
    if call.field_validation == decode.WARN:
        for text in mistakes:
            call.warn(text)

    def apply(current: Any) -> Any:
        tree = patch.apply_tree(codec.tree(current), wanted, content_type, codec.type_)
        decoded = codec.from_tree(tree, call.field_validation)
        for text in decoded.warnings:
            call.warn(text)
        return decoded.obj

    return apply
