"""How many pods somebody wants: the scale of whoever controls a pod.

For disruption budgets that speak in percentages (step 7 of a pod's walk). As Kubernetes documents:
the `scale` subresource of the pod's controller counts, of any kind that has one; a ReplicaSet that a
Deployment controls has the Deployment's, so that a rollout does not look like twice the application.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from api import jsonpath, objects
from api.apiextensions import CustomResourceDefinition
from api.apps import Deployment, ReplicaSet
from api.client import Client
from api.core import Pod
from api.custom import Custom
from api.errors import is_not_found
from api.meta import OwnerReference
from api.scheme import Catalogue, Resource
from base.errors import PodwrightError
from control.resources import strategy_of


class UnknownScaleError(PodwrightError):
    """Nobody can say how many pods there should be; the text says why."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pods the object with this uid wants."""

    uid: str
    replicas: int


class Scales:
    """Looks controllers up, each time anew: they are asked for seldom."""

    def __init__(self, client: Client, catalogue: Catalogue) -> None:
        self._client = client
        self._catalogue = catalogue

    async def total(self, pods: Iterable[Pod]) -> tuple[int, list[str]]:
        """What the controllers of these pods want together, and the pods that have none.

        Raises:
            UnknownScaleError: a pod's controller is gone, or has no scale.
        """
        known: dict[str, Scale] = {}
        unmanaged = []
        for pod in pods:
            owner = objects.controller_of(pod)
            if owner is None:
                unmanaged.append(pod.metadata.name)
            elif owner.uid not in known:
                known[owner.uid] = await self._find(pod, owner)
        scales = {scale.uid: scale.replicas for scale in known.values()}
        return sum(scales.values()), unmanaged

    async def _find(self, pod: Pod, owner: OwnerReference) -> Scale:
        resource = self._catalogue.stored_by_kind(owner.api_version, owner.kind)
        if resource is None:
            raise UnknownScaleError(f'found no controllers for pod "{pod.metadata.name}"')
        if resource.subresource("scale") is None:
            name = resource.qualified_name
            raise UnknownScaleError(f"{name} does not implement the scale subresource")
        found = await self._get(resource, owner, pod.metadata.namespace)
        if found is None:
            raise UnknownScaleError(f'found no controllers for pod "{pod.metadata.name}"')
        above = objects.controller_of(found) if resource.type is ReplicaSet else None
        if above is not None and above.kind == Deployment.__name__:
            return await self._find(pod, above)
        return Scale(owner.uid, await self._replicas(resource, found))

    async def _get(self, resource: Resource, owner: OwnerReference, namespace: str) -> Any:
        try:
            found = await self._client.get(resource.type, owner.name, namespace)
        except PodwrightError as error:
            if is_not_found(error):
                return None
            raise
        return found if objects.meta(found).uid == owner.uid else None

    async def _replicas(self, resource: Resource, found: Any) -> int:
        if not isinstance(found, Custom):
            return strategy_of(resource).scale(found).replicas or 0
        definition = await self._client.get(CustomResourceDefinition, resource.qualified_name)
        for version in definition.spec.versions:
            scale = version.subresources.scale if version.subresources else None
            if version.name == resource.version and scale is not None:
                values = jsonpath.parse(scale.spec_replicas_path)(found.content)
                return next((value for value in values if isinstance(value, int)), 0)
        return 0
