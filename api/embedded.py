"""Objects inside of custom resources (`x-kubernetes-embedded-resource`): their common part.

Serves step 1 of the pod's walk for custom resources. What every object has, an embedded one has, too:
an apiVersion, a kind, and metadata of which unknown fields are dropped and the rest is checked
("RawExtension" in "Extend the Kubernetes API with CustomResourceDefinitions"). It may lack a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api import validation
from api.codec import decode
from api.codec.shapes import struct_shape
from api.errors import ApiError
from api.fielderrors import FieldError, Path, invalid, required
from api.meta import ObjectMeta


def prune(tree: dict[str, Any], path: str) -> list[str]:
    """Drop metadata that no object has, in place. Returns the paths of what was dropped."""
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict):
        return []
    unknown = [name for name in metadata if name not in struct_shape(ObjectMeta).names]
    for name in unknown:
        del metadata[name]
    return [f"{path}.metadata.{name}".lstrip(".") for name in unknown]


def problems(tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    """What is wrong with apiVersion, kind and metadata of an embedded object."""
    for name in ("apiVersion", "kind"):
        value, where = tree.get(name), path.child(name)
        if name not in tree:
            yield required(where, "must not be empty")
        elif not isinstance(value, str):
            yield invalid(where, value, "must be a string")
        elif not value:
            yield invalid(where, value, "must not be empty")
        elif name == "apiVersion" and value.count("/") > 1:
            yield invalid(where, value, f"unexpected GroupVersion string: {value}")
        elif name == "kind":
            for why in validation.dns1035_label(value.lower()):
                yield invalid(where, value, why)
    if "metadata" in tree:
        yield from _metadata_problems(tree["metadata"], path.child("metadata"))


def _metadata_problems(tree: Any, path: Path) -> Iterator[FieldError]:
    if not isinstance(tree, dict):
        yield invalid(path, tree, "must be an object")
        return
    try:
        metadata = decode.convert(tree, ObjectMeta, decode.IGNORE).obj
    except ApiError as error:
        yield invalid(path, tree, str(error))
        return
    for why in validation.path_segment(metadata.name):
        yield invalid(path.child("name"), metadata.name, why)
    for key, value in metadata.labels.items():
        for why in validation.qualified_name(key):
            yield invalid(path.child("labels"), key, why)
        for why in validation.label_value(value):
            yield invalid(path.child("labels"), value, why)
    for key in metadata.annotations:
        for why in validation.qualified_name(key.lower()):
            yield invalid(path.child("annotations"), key, why)
