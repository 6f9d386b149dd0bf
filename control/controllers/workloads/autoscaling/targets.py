"""The workload that an autoscaler scales: found, read, and given another size.

Any kind with a `scale` subresource, defined ones included. The size is written under the version that
was read, so that nobody else's change is overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api import objects
from api.apiextensions import CustomResourceDefinition
from api.autoscalingv2 import CrossVersionObjectReference
from api.client import Client
from api.custom import Custom
from api.scheme import Catalogue, Resource
from base.errors import PodwrightError
from control.resources import strategy_of


class NoScaleError(PodwrightError):
    """The target has no size that can be read or set; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A workload as its scale shows it."""

    obj: Any
    resource: Resource
    replicas: int
    selector: str
    path: tuple[str, ...] = ("spec", "replicas")

    @property
    def shown(self) -> str:
        return f"{self.resource.kind}/{objects.meta(self.obj).name}"


class Targets:
    """Looks workloads up, each time anew."""

    def __init__(self, client: Client, catalogue: Catalogue) -> None:
        self._client = client
        self._catalogue = catalogue

    async def find(self, about: CrossVersionObjectReference, namespace: str) -> Target:
        """The workload an autoscaler names. Raises PodwrightError: there is none, or it has no size."""
        resource = self._catalogue.stored_by_kind(about.api_version, about.kind)
        if resource is None:
            raise NoScaleError(
                f'no matches for kind "{about.kind}" in version "{about.api_version or "v1"}"'
            )
        if resource.subresource("scale") is None:
            raise NoScaleError(
                f"the server could not find the requested resource: "
                f"{resource.qualified_name} have no scale"
            )
        obj: Any = await self._client.get(resource.type, about.name, namespace)
        if isinstance(obj, Custom):
            return await self._custom(resource, obj)
        scale = strategy_of(resource).scale(obj)
        replicas = 0 if scale.replicas is None else scale.replicas
        return Target(obj=obj, resource=resource, replicas=replicas, selector=scale.selector)

    async def _custom(self, resource: Resource, obj: Custom) -> Target:
        definition = await self._client.get(CustomResourceDefinition, resource.qualified_name)
        for version in definition.spec.versions:
            scale = version.subresources.scale if version.subresources else None
            if version.name == resource.version and scale is not None:
                replicas = _at(obj.content, scale.spec_replicas_path)
                selector = _at(obj.content, scale.label_selector_path or "")
                return Target(
                    obj=obj,
                    resource=resource,
                    replicas=replicas if isinstance(replicas, int) else 0,
                    selector=selector if isinstance(selector, str) else "",
                    path=_names(scale.spec_replicas_path),
                )
        raise NoScaleError(f"{resource.qualified_name} have no scale")

    async def resize(self, target: Target, replicas: int) -> None:
        """Set the wanted size. Raises a conflict when somebody else changed the workload."""
        metadata = objects.meta(target.obj)
        change: Any = replicas
        for name in reversed(target.path):
            change = {name: change}
        identity = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        body = {**change, "metadata": identity}
        await self._client.patch(target.resource.type, metadata.name, metadata.namespace, body)


def _names(path: str) -> tuple[str, ...]:
    return tuple(name for name in path.split(".") if name)


def _at(tree: Any, path: str) -> Any:
    for name in _names(path):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(name)
    return tree
