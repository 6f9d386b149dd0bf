"""What a client sends to apply: read, checked against its kind, and cut down to what it can set.

Serves step 1 of the pod's walk, before `applying` lays it over the object. A configuration names only
what its sender wants to own, so that it stays a tree. A field that the kind does not have is refused
whatever `fieldValidation` says, as Kubernetes does it: nobody could own it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api import errors, objects
from api.autoscaling import Scale
from api.codec import decode, jsontree, yaml
from api.codec.decode import Decoded
from api.errors import ApiError
from api.meta import ObjectMeta
from api.patch import merge, serverside
from control.apiserver.registry import managing, updating
from control.apiserver.registry.call import Call
from control.apiserver.registry.codecs import Codec, Typed
from control.apiserver.registry.managing import Manager
from control.apiserver.registry.versions import Version
from control.resources.strategy import WRITABLE_METADATA

_PARTS = {"approval": "status", "status": "status"}
"""The one field that a subresource can set, where that is not the spec."""
_SCALE = Typed(Scale)
_WIRE = {"owner_references": "ownerReferences"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a manager wants of an object, and whose it is."""

    tree: dict[str, Any]
    manager: Manager
    force: bool


@dataclass(frozen=True, slots=True)
class ScaleConfiguration:
    """What a manager wants of a Scale."""

    tree: dict[str, Any]
    metadata: ObjectMeta

    def laid_over(self, old: Scale) -> Scale:
        """The Scale that it makes of the one there is."""
        made = _SCALE.from_tree(merge.apply(_SCALE.tree(old), self.tree), decode.IGNORE).obj
        made.metadata = old.metadata
        if self.metadata.resource_version:
            made.metadata.resource_version = self.metadata.resource_version
        scale: Scale = made
        return scale


def read(
    version: Version, call: Call, body: bytes, namespace: str, name: str, subresource: str
) -> Configuration:
    """Read and check a body; what this way cannot set is left out."""
    tree, resource = _parsed(body), version.resource
    decoded = _decoded(version.codec, call, tree, resource.api_version, resource.kind, namespace)
    metadata, meta = tree["metadata"], objects.meta(decoded.obj)
    updating.check_name(version.kind, meta, namespace, name)
    metadata["name"] = name
    if resource.namespaced:
        metadata["namespace"] = meta.namespace
    plain = jsontree.plain(tree)
    spelled = serverside.restricted(plain, version.codec.tree(decoded.obj), version.codec.schema)
    manager = _manager(version, call, subresource)
    return Configuration(_settable(version, spelled, subresource), manager, call.force)


def read_scale(
    version: Version, call: Call, body: bytes, namespace: str, name: str
) -> ScaleConfiguration:
    """The same of a Scale, which is applied in the place of the object that it is of."""
    tree = _parsed(body)
    decoded = _decoded(_SCALE, call, tree, "autoscaling/v1", "Scale", namespace)
    updating.check_name(version.kind, decoded.obj.metadata, namespace, name)
    spec = jsontree.plain(tree).get("spec") or {}
    return ScaleConfiguration({"spec": spec}, decoded.obj.metadata)


def scaled(
    version: Version, call: Call, config: ScaleConfiguration, wanted: Scale
) -> Configuration:
    """What a Scale asks of its object: the one field, if it names that."""
    resource, meta = version.resource, wanted.metadata
    held: Any = wanted.spec.replicas
    for field in reversed(version.kind.strategy.scale_field()):
        held = {field: held}
    tree = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": meta.name, "namespace": meta.namespace},
        **(held if config.tree["spec"].get("replicas") is not None else {}),
    }
    return Configuration(tree, _manager(version, call, "scale"), call.force)


def _manager(version: Version, call: Call, subresource: str) -> Manager:
    return Manager(call.field_manager, managing.APPLY, version.resource.api_version, subresource)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        tree = jsontree.parse(body) if body.lstrip()[:1] == b"{" else yaml.load(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(tree, dict):
        raise errors.bad_request("a configuration to apply must be an object")
    return tree


def _decoded(
    codec: Codec, call: Call, tree: dict[str, Any], api_version: str, kind: str, namespace: str
) -> Decoded[Any]:
    """The object that the tree describes. Raises 400 for what is wrong with it."""
    for member, expected in (("apiVersion", api_version), ("kind", kind)):
        if tree.get(member) != expected:
            raise errors.bad_request(
                f"{member}: expected {expected!r}, as the URL says, found {tree.get(member)!r}; "
                "a configuration to apply must name its apiVersion and kind"
            )
    metadata = tree.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise errors.bad_request("metadata: expected an object")
    if metadata.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    decoded = codec.from_tree(tree, decode.WARN)
    if decoded.unknown:
        name = objects.meta(decoded.obj).name
        named = f"{namespace}/{name}" if namespace else name
        raise _undeclared(f"{named}; {api_version}, Kind={kind}", decoded.unknown)
    repeated = jsontree.repeated(tree)
    if repeated and call.field_validation == decode.STRICT:
        raise errors.bad_request(f"strict decoding error: {', '.join(repeated)}")
    ignored = repeated if call.field_validation == decode.IGNORE else []
    for text in (*repeated, *decoded.warnings):
        if text not in ignored:
            call.warn(text)
    return decoded


def _undeclared(what: str, unknown: Sequence[str]) -> ApiError:
    lines = [f".{path}: field not declared in schema" for path in unknown]
    told = lines[0] if len(lines) == 1 else "errors:" + "".join(f"\n  {line}" for line in lines)
    return errors.bad_request(f"failed to create typed patch object ({what}): {told}")


def _settable(version: Version, tree: dict[str, Any], subresource: str) -> dict[str, Any]:
    """Without what belongs to the status, or to everything but it."""
    if not subresource:
        left_out = {"status"} if version.kind.strategy.has_status else set()
        return {name: held for name, held in tree.items() if name not in left_out}
    part = _PARTS.get(subresource, "spec")
    kept_back = set(version.kind.strategy.kept_by_status)
    if part != "status":
        kept_back = set(WRITABLE_METADATA)
    owned = {_WIRE.get(name, name) for name in WRITABLE_METADATA if name not in kept_back}
    identity = {
        name: held
        for name, held in tree["metadata"].items()
        if name in ("name", "namespace", "uid", "resourceVersion") or name in owned
    }
    kept = {name: held for name, held in tree.items() if name in ("apiVersion", "kind", part)}
    return {**kept, "metadata": identity}
