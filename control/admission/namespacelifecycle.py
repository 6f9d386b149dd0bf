"""NamespaceLifecycle: nothing is created where no namespace is, or in one that is going away.

Serves step 1 of the pod's walk. The namespaces that the cluster cannot live without cannot be
deleted at all.
"""

from __future__ import annotations

from api import errors
from api.core import Namespace
from api.meta import StatusCause
from api.scheme import Resource, resource_of
from control.admission.chain import Attributes, Operation, Plugin, Reader

_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        if resource.type is Namespace:
            return operation is Operation.DELETE
        return resource.namespaced and operation is Operation.CREATE and not subresource

    async def admit(self, request: Attributes) -> None:
        if request.operation is Operation.DELETE:
            if request.name in _IMMORTAL:
                raise errors.forbidden(
                    request.resource, request.name, "this namespace may not be deleted"
                )
            return
        namespace = await self._find(request.namespace)
        if namespace is None:
            raise errors.not_found(resource_of(Namespace), request.namespace)
        if namespace.status.phase == "Terminating":
            raise _terminating(request)

    async def _find(self, name: str) -> Namespace | None:
        found = self._reader.get(Namespace, name)
        if found is None:
            # Made a moment ago, perhaps: `kubectl apply` of a file sends the next object at once.
            await self._reader.fresh(Namespace)
            found = self._reader.get(Namespace, name)
        return found


def _terminating(request: Attributes) -> errors.ApiError:
    namespace = request.namespace
    error = errors.forbidden(
        request.resource,
        request.name,
        f"unable to create new content in namespace {namespace} because it is being terminated",
    )
    assert error.status.details is not None
    error.status.details.causes = [
        StatusCause(
            reason="NamespaceTerminating",
            message=f"namespace {namespace} is being terminated",
            field="metadata.namespace",
        )
    ]
    return error
