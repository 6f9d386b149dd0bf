"""The rows of what a cluster is run with: certificates, leases and the like. Walk step 1."""

from api import admissionregistration, apiextensions, certificates, coordination, node, scheduling
from api.scheme.resource import STATUS, Resource, Subresource
from api.struct import ApiStruct


def _admission(type_: type[ApiStruct], plural: str, *subresources: Subresource) -> Resource:
    kind = type_.__name__
    return Resource(
        "admissionregistration.k8s.io",
        "v1",
        kind,
        plural,
        type_,
        False,
        kind.lower(),
        categories=("api-extensions",),
        subresources=subresources,
    )


ROWS: tuple[Resource, ...] = (
    _admission(admissionregistration.MutatingWebhookConfiguration, "mutatingwebhookconfigurations"),
    _admission(
        admissionregistration.ValidatingAdmissionPolicy, "validatingadmissionpolicies", STATUS
    ),
    _admission(
        admissionregistration.ValidatingAdmissionPolicyBinding, "validatingadmissionpolicybindings"
    ),
    _admission(
        admissionregistration.ValidatingWebhookConfiguration, "validatingwebhookconfigurations"
    ),
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
    Resource(
        "node.k8s.io",
        "v1",
        "RuntimeClass",
        "runtimeclasses",
        node.RuntimeClass,
        False,
        "runtimeclass",
    ),
    Resource(
        "scheduling.k8s.io",
        "v1",
        "PriorityClass",
        "priorityclasses",
        scheduling.PriorityClass,
        False,
        "priorityclass",
        short_names=("pc",),
    ),
)
