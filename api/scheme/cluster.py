"""The rows of what a cluster is run with: certificates, leases and the like. Walk step 1."""

from api import apiextensions, certificates, coordination
from api.scheme.resource import STATUS, Resource, Subresource

ROWS: tuple[Resource, ...] = (
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        apiextensions.CustomResourceDefinition,
        False,
        "customresourcedefinition",
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=(STATUS,),
    ),
    Resource(
        "certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        certificates.CertificateSigningRequest,
        False,
        "certificatesigningrequest",
        short_names=("csr",),
        subresources=(Subresource("approval", ("get", "patch", "update")), STATUS),
    ),
    Resource("coordination.k8s.io", "v1", "Lease", "leases", coordination.Lease, True, "lease"),
)
