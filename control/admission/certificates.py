"""Certificate requests: the server writes down who asked, and what nobody may ask for.

Serves the joining of a node, before any pod's walk. The approver later compares the names in the
request with `spec.username` and `spec.groups`; so those come from authentication, never from the
body.
"""

from __future__ import annotations

from api import errors
from api.certificates import CertificateSigningRequest
from api.scheme import Resource
from base import pki
from control.admission.chain import Attributes, Operation, Plugin
from control.auth.user import MASTERS

_API_CLIENT = "kubernetes.io/kube-apiserver-client"


class CertificateRequester(Plugin):
    name = "CertificateRequester"

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return resource.type is CertificateSigningRequest and operation is Operation.CREATE

    async def admit(self, request: Attributes) -> None:
        spec = request.object.spec
        spec.username = request.user.name
        spec.uid = request.user.uid
        spec.groups = list(request.user.groups)
        spec.extra = {name: list(values) for name, values in request.user.extra}

    async def validate(self, request: Attributes) -> None:
        spec = request.object.spec
        if spec.signer_name != _API_CLIENT:
            return
        if MASTERS in pki.read_csr(spec.request).organizations:
            raise errors.forbidden(
                request.resource,
                request.name,
                f"use of {_API_CLIENT} signer with {MASTERS} group is not allowed",
            )
