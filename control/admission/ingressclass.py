"""DefaultIngressClass: an Ingress that names no class gets the default one (beside the walk's step 6).

Of several defaults the newest counts, so that a new one can be brought in before the old one goes;
of two of the same second the first by name. Only creations are looked at: an Ingress made while
there was no default stays without a class.
"""

from __future__ import annotations

from collections.abc import Iterable

from api.networking import Ingress, IngressClass
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin, Reader
from control.resources.networking.ingress import CLASS_ANNOTATION

DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return resource.type is Ingress and operation is Operation.CREATE and not subresource

    async def admit(self, request: Attributes) -> None:
        ingress: Ingress = request.object
        if ingress.spec.ingress_class_name is not None:
            return
        if CLASS_ANNOTATION not in ingress.metadata.annotations:
            await self._reader.fresh(IngressClass)
            ingress.spec.ingress_class_name = _default(self._reader.list(IngressClass))


def _default(classes: Iterable[IngressClass]) -> str | None:
    marked = [one for one in classes if one.metadata.annotations.get(DEFAULT_ANNOTATION) == "true"]
    marked.sort(key=lambda one: one.metadata.name)
    # Times have one form and sort as text; of equals `max` takes the first.
    newest = max(marked, key=lambda one: one.metadata.creation_timestamp or "", default=None)
    return newest.metadata.name if newest is not None else None
