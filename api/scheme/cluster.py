"""The rows of what a cluster is run with: certificates, leases and the like. Walk step 1."""

from api import certificates, coordination
from api.scheme.resource import STATUS, Resource, Subresource

ROWS: tuple[Resource, ...] = (
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
