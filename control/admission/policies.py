"""ValidatingAdmissionPolicy: policies in CEL are refused while nothing evaluates them.

Serves step 1 of the pod's walk. A policy that is stored but not enforced would let through what its
author believes to be impossible. Bindings are accepted: without a policy they mean nothing. Whoever
wants the objects all the same (a chart that brings some) can switch this plugin off, by the name it
has in Kubernetes, and thereby says that policies need not be enforced.
"""

from __future__ import annotations

from api import errors
from api.admissionregistration import ValidatingAdmissionPolicy
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin

_WHY = (
    "expressions in CEL are not evaluated yet, and a policy must not be stored without being "
    "enforced; use a validating webhook, or store policies without effect by "
    "--disable-admission-plugins=ValidatingAdmissionPolicy"
)


class PolicyRefusal(Plugin):
    name = "ValidatingAdmissionPolicy"

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        writing = operation in (Operation.CREATE, Operation.UPDATE) and not subresource
        return writing and resource.type is ValidatingAdmissionPolicy

    async def validate(self, request: Attributes) -> None:
        if request.object.metadata.deletion_timestamp is None:
            raise errors.forbidden(request.resource, request.name, _WHY)
