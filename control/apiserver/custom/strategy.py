"""What a kind that came at run time decides for itself: as its definition says. Walk step 1.

With a status subresource, `status` is written through it and nothing else is; `generation` counts
changes of everything but metadata and status. Without one, every change outside metadata counts.
(API documentation, "Extend the Kubernetes API with CustomResourceDefinitions".)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api import errors
from api.custom import Custom
from api.fielderrors import FieldError
from api.scheme import Resource
from control.apiserver.custom.codec import CustomCodec
from control.apiserver.custom.definition import DefinedVersion
from control.resources.strategy import WRITABLE_METADATA, Column, Scaled, Strategy, keep_metadata

_STATUS = "status"


class CustomStrategy(Strategy[Any]):
    """The rules of one version of a defined kind."""

    kept_by_status = WRITABLE_METADATA

    def __init__(
        self,
        resource: Resource,
        codec: CustomCodec,
        version: DefinedVersion,
        columns: Sequence[Column[Any]],
    ) -> None:
        super().__init__(resource)
        self.columns = columns
        self._scale = version.scale
        self._codec = codec
        self._selectable = {path.removeprefix("."): path for path in version.selectable}

    @property
    def shows_age(self) -> bool:  # type: ignore[override]
        """Own columns replace AGE; `columns` has it when there are none."""
        return False

    def prepare_create(self, obj: Custom) -> None:
        if self.has_status:
            obj.content.pop(_STATUS, None)

    def prepare_update(self, new: Custom, old: Custom) -> None:
        if self.has_status:
            _take(_STATUS, old, new)

    def prepare_subresource(self, subresource: str, new: Custom, old: Custom) -> None:
        if subresource != _STATUS:
            return
        status = new.content.get(_STATUS)
        keep_metadata(new, old, self.kept_by_status)
        new.content = dict(old.content)
        if status is None:
            new.content.pop(_STATUS, None)
        else:
            new.content[_STATUS] = status

    def validate(self, obj: Custom) -> list[FieldError]:
        return [] if obj.checked else self._codec.rules.validate(self._codec.tree(obj), None)

    def validate_update(self, new: Custom, old: Custom) -> list[FieldError]:
        if new.checked:
            return []
        return self._codec.rules.validate(self._codec.tree(new), self._codec.tree(old))

    def validate_subresource(self, subresource: str, new: Custom, old: Custom) -> list[FieldError]:
        return self.validate_update(new, old)

    def warnings(self, obj: Custom) -> list[str]:
        return []

    def fields(self, obj: Custom) -> dict[str, str]:
        return {
            name: _text(at(obj.content, path.removeprefix("."))) for name, path in self._paths()
        }

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | self._selectable.keys()

    @property
    def has_generation(self) -> bool:
        return True

    def generation_changes(self, new: Custom, old: Custom) -> bool:
        return self._counted(new) != self._counted(old)

    def scale(self, obj: Custom) -> Scaled:
        paths = self._scale
        if paths is None:
            raise errors.path_not_found()
        replicas = at(obj.content, paths.replicas)
        current = at(obj.content, paths.status_replicas)
        selector = at(obj.content, paths.selector) if paths.selector else ""
        return Scaled(
            replicas if isinstance(replicas, int) else None,
            current if isinstance(current, int) else 0,
            _text(selector),
        )

    def scale_field(self) -> tuple[str, ...]:
        if self._scale is None:
            raise errors.path_not_found()
        return tuple(self._scale.replicas.removeprefix(".").split("."))

    def set_scale(self, obj: Custom, replicas: int) -> None:
        if self._scale is not None:
            put(obj.content, self._scale.replicas, replicas)

    def _paths(self) -> list[tuple[str, str]]:
        return list(self._selectable.items())

    def _counted(self, obj: Custom) -> dict[str, Any]:
        if not self.has_status:
            return obj.content
        return {name: value for name, value in obj.content.items() if name != _STATUS}


def at(tree: Any, path: str) -> Any:
    """The value at a path such as `spec.replicas` (which definitions write `.spec.replicas`)."""
    for name in path.removeprefix(".").split("."):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(name)
    return tree


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path, making objects on the way."""
    *parents, last = path.removeprefix(".").split(".")
    for name in parents:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    tree[last] = value


def _take(name: str, source: Custom, target: Custom) -> None:
    if name in source.content:
        target.content[name] = source.content[name]
    else:
        target.content.pop(name, None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
