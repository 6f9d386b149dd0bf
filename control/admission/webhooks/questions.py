"""What a webhook is asked: an `AdmissionReview` about one request. Walk step 1. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from api.admission import AdmissionRequest, AdmissionReview
from api.authentication import UserInfo
from api.core import Namespace
from api.meta import GroupVersionKind, GroupVersionResource
from api.scheme import Resource
from control.admission.chain import Attributes, Operation
from control.admission.webhooks import answers

_OPTIONS = {
    Operation.CREATE: "CreateOptions",
    Operation.UPDATE: "UpdateOptions",
    Operation.DELETE: "DeleteOptions",
}


def question(
    request: Attributes,
    row: Resource,
    *,
    uid: str,
    version: str,
    new: bytes | None,
    old: bytes | None,
) -> bytes:
    """The review of a request in the version `row`, with its objects in that version."""
    asked, subresource = request.requested or request.resource, request.subresource
    user = request.user
    review = AdmissionReview(
        api_version=f"{answers.GROUP}/{version}",
        request=AdmissionRequest(
            uid=uid,
            kind=_kind(row, subresource),
            resource=_resource(row),
            sub_resource=subresource,
            request_kind=_kind(asked, subresource),
            request_resource=_resource(asked),
            request_sub_resource=subresource,
            name=request.name,
            namespace=namespace_of(request),
            operation=request.operation.value,
            user_info=UserInfo(
                username=user.name,
                uid=user.uid,
                groups=list(user.groups),
                extra={name: list(values) for name, values in user.extra},
            ),
            object=_raw(new),
            old_object=_raw(old),
            dry_run=request.dry_run,
            options=_options(request),
        ),
    )
    return msgspec.json.encode(review)


def namespace_of(request: Attributes) -> str:
    """Where the request takes place. A namespace is in itself."""
    if request.resource.type is Namespace:
        return request.name
    return request.namespace


def _kind(row: Resource, subresource: str) -> GroupVersionKind:
    """Of the object, or of the body that is sent to the subresource."""
    body = row.subresource(subresource) if subresource else None
    if body is None or not body.kind:
        return GroupVersionKind(group=row.group, version=row.version, kind=row.kind)
    if not body.version:
        return GroupVersionKind(group=row.group, version=row.version, kind=body.kind)
    return GroupVersionKind(group=body.group, version=body.version, kind=body.kind)


def _resource(row: Resource) -> GroupVersionResource:
    return GroupVersionResource(group=row.group, version=row.version, resource=row.plural)


def _raw(body: bytes | None) -> Any:
    return None if body is None else msgspec.Raw(body)


def _options(request: Attributes) -> Any:
    kind = _OPTIONS.get(request.operation)
    if kind is None:
        return None
    options: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if request.deletion is not None:
        said = msgspec.to_builtins(request.deletion)
        return {**said, **options, **({"dryRun": ["All"]} if request.dry_run else {})}
    if request.dry_run:
        options["dryRun"] = ["All"]
    if request.manager:
        options["fieldManager"] = request.manager
    if request.field_validation:
        options["fieldValidation"] = request.field_validation
    return options
