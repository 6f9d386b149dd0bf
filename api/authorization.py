"""Questions about what somebody may do (group `authorization.k8s.io`): answered, never stored.

`kubectl auth can-i` asks them. The answers come from what guards step 1 of the pod's walk
(`control/auth/reviews.py`).
"""

from typing import Annotated

from msgspec import field

from api.meta import FieldSelectorRequirement, LabelSelectorRequirement, ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, StringList, pb, type_meta


class FieldSelectorAttributes(ApiStruct, kw_only=True):
    """Limits a request to objects with certain fields. Only one of the two may be given."""

    raw_selector: Annotated[str, pb(1)] = ""
    """The selector as it stands in a URL."""
    requirements: Annotated[list[FieldSelectorRequirement], pb(2), LIST_ATOMIC] = []
    """The selector as single demands; all must hold."""


class LabelSelectorAttributes(ApiStruct, kw_only=True):
    """Limits a request to objects with certain labels. Only one of the two may be given."""

    raw_selector: Annotated[str, pb(1)] = ""
    """The selector as it stands in a URL."""
    requirements: Annotated[list[LabelSelectorRequirement], pb(2), LIST_ATOMIC] = []
    """The selector as single demands; all must hold."""


class ResourceAttributes(ApiStruct, kw_only=True):
    """A request for objects of the API."""

    namespace: Annotated[str, pb(1)] = ""
    """The namespace; empty for all of them, and for what is in none."""
    verb: Annotated[str, pb(2)] = ""
    """What is to be done: `get`, `list`, `create`, … or `*` for anything."""
    group: Annotated[str, pb(3)] = ""
    """The API group; `*` for all."""
    version: Annotated[str, pb(4)] = ""
    """The group's version; `*` for all."""
    resource: Annotated[str, pb(5)] = ""
    """The resource in the plural, such as `pods`; `*` for all."""
    subresource: Annotated[str, pb(6)] = ""
    """The part of the object that is meant, such as `log`."""
    name: Annotated[str, pb(7)] = ""
    """The object's name; empty for all."""
    field_selector: Annotated[FieldSelectorAttributes | None, pb(8)] = None
    """Only objects with these fields."""
    label_selector: Annotated[LabelSelectorAttributes | None, pb(9)] = None
    """Only objects with these labels."""


class NonResourceAttributes(ApiStruct, kw_only=True):
    """A request for a path that is no object, such as `/healthz`."""

    path: Annotated[str, pb(1)] = ""
    """The URL's path."""
    verb: Annotated[str, pb(2)] = ""
    """The HTTP method in small letters."""


class SelfSubjectAccessReviewSpec(ApiStruct, kw_only=True):
    """The request that the sender would make: one of the two."""

    resource_attributes: Annotated[ResourceAttributes | None, pb(1)] = None
    """A request for objects."""
    non_resource_attributes: Annotated[NonResourceAttributes | None, pb(2)] = None
    """A request for another path."""


class SubjectAccessReviewSpec(ApiStruct, kw_only=True):
    """The request that somebody would make, and who that is."""

    resource_attributes: Annotated[ResourceAttributes | None, pb(1)] = None
    """A request for objects."""
    non_resource_attributes: Annotated[NonResourceAttributes | None, pb(2)] = None
    """A request for another path."""
    user: Annotated[str, pb(3)] = ""
    """The name of the user. Without groups it must be given."""
    groups: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """The groups of the user. Nothing is added to them."""
    extra: Annotated[dict[str, StringList], pb(5)] = {}
    """What else an authenticator would know about the user."""
    uid: Annotated[str, pb(6)] = ""
    """The UID of the user."""


class SubjectAccessReviewStatus(ApiStruct, kw_only=True):
    """Whether the request would be let through."""

    allowed: Annotated[bool, pb(1)]
    """It would."""
    denied: Annotated[bool, pb(4)] = False
    """It would be refused whatever other authorizers say."""
    reason: Annotated[str, pb(2)] = ""
    """Why."""
    evaluation_error: Annotated[str, pb(3)] = ""
    """What went wrong while this was found out."""


def _refused() -> SubjectAccessReviewStatus:
    return SubjectAccessReviewStatus(allowed=False)


class SelfSubjectAccessReview(ApiStruct, kw_only=True):
    """Asks whether the sender may do something."""

    api_version: str = type_meta("authorization.k8s.io/v1")
    """Group and version of this schema: `authorization.k8s.io/v1`."""
    kind: str = type_meta("SelfSubjectAccessReview")
    """Name of this schema: `SelfSubjectAccessReview`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[SelfSubjectAccessReviewSpec, pb(2)]
    """The question."""
    status: Annotated[SubjectAccessReviewStatus, pb(3)] = field(default_factory=_refused)
    """The answer."""


class SubjectAccessReview(ApiStruct, kw_only=True):
    """Asks whether somebody may do something."""

    api_version: str = type_meta("authorization.k8s.io/v1")
    """Group and version of this schema: `authorization.k8s.io/v1`."""
    kind: str = type_meta("SubjectAccessReview")
    """Name of this schema: `SubjectAccessReview`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[SubjectAccessReviewSpec, pb(2)]
    """The question."""
    status: Annotated[SubjectAccessReviewStatus, pb(3)] = field(default_factory=_refused)
    """The answer."""


class LocalSubjectAccessReview(ApiStruct, kw_only=True):
    """Asks whether somebody may do something in the namespace to which the question is sent."""

    api_version: str = type_meta("authorization.k8s.io/v1")
    """Group and version of this schema: `authorization.k8s.io/v1`."""
    kind: str = type_meta("LocalSubjectAccessReview")
    """Name of this schema: `LocalSubjectAccessReview`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[SubjectAccessReviewSpec, pb(2)]
    """The question; its namespace must be that of the URL."""
    status: Annotated[SubjectAccessReviewStatus, pb(3)] = field(default_factory=_refused)
    """The answer."""


class ResourceRule(ApiStruct, kw_only=True):
    """What may be done to some resources."""

    verbs: Annotated[list[str], pb(1), LIST_ATOMIC]
    """What may be done; `*` is everything."""
    api_groups: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """The groups of the resources; `*` is all."""
    resources: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """The resources, and their subresources as `pods/log`; `*` is all."""
    resource_names: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """Only objects of these names; none means all."""


class NonResourceRule(ApiStruct, kw_only=True):
    """What may be done to some other paths."""

    verbs: Annotated[list[str], pb(1), LIST_ATOMIC]
    """HTTP methods in small letters; `*` is all."""
    non_resource_urls: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Paths; a `*` at the end stands for everything below."""


class SubjectRulesReviewStatus(ApiStruct, kw_only=True):
    """All that the sender may do, as far as it can be listed."""

    resource_rules: Annotated[list[ResourceRule], pb(1), LIST_ATOMIC]
    """What may be done to objects, in no particular order."""
    non_resource_rules: Annotated[list[NonResourceRule], pb(2), LIST_ATOMIC]
    """What may be done to other paths, in no particular order."""
    incomplete: Annotated[bool, pb(3)]
    """More may be allowed than is listed."""
    evaluation_error: Annotated[str, pb(4)] = ""
    """Why the list is not complete."""


class SelfSubjectRulesReviewSpec(ApiStruct, kw_only=True):
    """Where the sender would act."""

    namespace: Annotated[str, pb(1)] = ""
    """The namespace; it must be given."""


def _no_rules() -> SubjectRulesReviewStatus:
    return SubjectRulesReviewStatus(resource_rules=[], non_resource_rules=[], incomplete=False)


class SelfSubjectRulesReview(ApiStruct, kw_only=True):
    """Asks for all that the sender may do in a namespace. To show somebody, not to decide by."""

    api_version: str = type_meta("authorization.k8s.io/v1")
    """Group and version of this schema: `authorization.k8s.io/v1`."""
    kind: str = type_meta("SelfSubjectRulesReview")
    """Name of this schema: `SelfSubjectRulesReview`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[SelfSubjectRulesReviewSpec, pb(2)]
    """The question."""
    status: Annotated[SubjectRulesReviewStatus, pb(3)] = field(default_factory=_no_rules)
    """The answer."""
