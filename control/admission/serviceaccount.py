"""ServiceAccount: a pod that names no account gets `default` (step 1 of the pod's walk).

No token is mounted yet; that comes with token issuing, and is then added here.
"""

from __future__ import annotations

from api.core import Pod
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin

_DEFAULT = "default"
_MIRROR = "kubernetes.io/config.mirror"


class ServiceAccountName(Plugin):
    name = "ServiceAccount"

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return resource.type is Pod and operation is Operation.CREATE and not subresource

    async def admit(self, request: Attributes) -> None:
        pod: Pod = request.object
        if _MIRROR in pod.metadata.annotations:
            return  # it runs on its node whatever we say, and has no account
        name = pod.spec.service_account_name or pod.spec.service_account or _DEFAULT
        pod.spec.service_account_name = name
        pod.spec.service_account = name  # the old name of the field; clients read either
