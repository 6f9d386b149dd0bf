"""The question that is put to webhooks, and their answer (group `admission.k8s.io`). Never served.

Asked in step 1 of a pod's walk, of whoever is configured by `api.admissionregistration`.
"""

from typing import Annotated

from msgspec import field

from api.authentication import UserInfo
from api.meta import GroupVersionKind, GroupVersionResource, Status
from api.struct import ApiStruct, RawExtension, enum, pb, type_meta

Operation = Annotated[str, enum("CREATE", "UPDATE", "DELETE", "CONNECT")]
PatchType = Annotated[str, enum("JSONPatch")]


class AdmissionRequest(ApiStruct, kw_only=True):
    """A request that somebody has sent to the API."""

    uid: Annotated[str, pb(1)]
    """Names this question; the answer repeats it."""
    kind: Annotated[GroupVersionKind, pb(2)]
    """The kind in which the object is shown."""
    resource: Annotated[GroupVersionResource, pb(3)]
    """The resource that the webhook's rules have chosen."""
    sub_resource: Annotated[str, pb(4)] = ""
    """The subresource, such as `status` or `scale`."""
    request_kind: Annotated[GroupVersionKind | None, pb(13)] = None
    """The kind in which the request was made."""
    request_resource: Annotated[GroupVersionResource | None, pb(14)] = None
    """The resource to which the request was made."""
    request_sub_resource: Annotated[str, pb(15)] = ""
    """The subresource to which the request was made."""
    name: Annotated[str, pb(5)] = ""
    """The object's name."""
    namespace: Annotated[str, pb(6)] = ""
    """The object's namespace; of a namespace its own name."""
    operation: Annotated[Operation, pb(7)]
    """What is being done."""
    user_info: Annotated[UserInfo, pb(8)] = field(default_factory=UserInfo)
    """Who does it."""
    object: Annotated[RawExtension, pb(9)] = None
    """The object as it would be stored."""
    old_object: Annotated[RawExtension, pb(10)] = None
    """The object as it is stored."""
    dry_run: Annotated[bool | None, pb(11)] = None
    """Whether nothing will be stored."""
    options: Annotated[RawExtension, pb(12)] = None
    """The options of the operation."""


class AdmissionResponse(ApiStruct, kw_only=True):
    """What the webhook says."""

    uid: Annotated[str, pb(1)]
    """That of the question."""
    allowed: Annotated[bool, pb(2)]
    """Whether the request may go on."""
    status: Annotated[Status | None, pb(3)] = None
    """Why not."""
    patch: Annotated[bytes, pb(4)] = b""
    """What is to be changed of the object, as a JSON patch."""
    patch_type: Annotated[PatchType | None, pb(5)] = None
    """`JSONPatch`, where there is a patch."""
    audit_annotations: Annotated[dict[str, str], pb(6)] = {}
    """What the audit log shall say."""
    warnings: Annotated[list[str], pb(7)] = []
    """What the client shall be told."""


class AdmissionReview(ApiStruct, kw_only=True):
    """A question, or an answer."""

    api_version: str = type_meta("admission.k8s.io/v1")
    """Group and version of this schema: `admission.k8s.io/v1`."""
    kind: str = type_meta("AdmissionReview")
    """Name of this schema: `AdmissionReview`."""
    request: Annotated[AdmissionRequest | None, pb(1)] = None
    """The question."""
    response: Annotated[AdmissionResponse | None, pb(2)] = None
    """The answer."""
