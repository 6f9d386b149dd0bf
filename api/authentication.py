"""Questions about who somebody is (group `authentication.k8s.io`): answered at once, never stored.

`kubectl auth whoami` asks the first, services that are shown a token ask the second. The answers
come from what guards step 1 of the pod's walk (`control/auth/reviews.py`).
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, StringList, Time, pb, type_meta


class UserInfo(ApiStruct, kw_only=True):
    """Somebody who sends requests: a person, a machine, or a part of the cluster."""

    username: Annotated[str, pb(1)] = ""
    """The name that permissions are given to."""
    uid: Annotated[str, pb(2)] = ""
    """Tells two users of the same name at different times apart, where that is known."""
    groups: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """The groups the user is in."""
    extra: Annotated[dict[str, StringList], pb(4)] = {}
    """What else the authenticator knows."""


class SelfSubjectReviewStatus(ApiStruct, kw_only=True):
    """Who the server takes the sender for."""

    user_info: Annotated[UserInfo, pb(1)] = field(default_factory=UserInfo)
    """The sender of the request."""


class SelfSubjectReview(ApiStruct, kw_only=True):
    """Asks who the sender is to the server."""

    api_version: str = type_meta("authentication.k8s.io/v1")
    """Group and version of this schema: `authentication.k8s.io/v1`."""
    kind: str = type_meta("SelfSubjectReview")
    """Name of this schema: `SelfSubjectReview`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    status: Annotated[SelfSubjectReviewStatus, pb(2)] = field(
        default_factory=SelfSubjectReviewStatus
    )
    """The answer."""


class TokenReviewSpec(ApiStruct, kw_only=True):
    """The token in question."""

    token: Annotated[str, pb(1)] = ""
    """The bearer token as it was shown."""
    audiences: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Whom the token must be meant for, one of them at least. None means the API server itself."""


class TokenReviewStatus(ApiStruct, kw_only=True):
    """Whether the token is good, and whose it is."""

    authenticated: Annotated[bool, pb(1)] = False
    """The token is known and may be used now."""
    user: Annotated[UserInfo, pb(2)] = field(default_factory=UserInfo)
    """Whose token it is."""
    audiences: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """Those of the audiences asked for that the token is meant for."""
    error: Annotated[str, pb(3)] = ""
    """Why the token is not good."""


class TokenReview(ApiStruct, kw_only=True):
    """Asks whose a bearer token is."""

    api_version: str = type_meta("authentication.k8s.io/v1")
    """Group and version of this schema: `authentication.k8s.io/v1`."""
    kind: str = type_meta("TokenReview")
    """Name of this schema: `TokenReview`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[TokenReviewSpec, pb(2)]
    """The question."""
    status: Annotated[TokenReviewStatus, pb(3)] = field(default_factory=TokenReviewStatus)
    """The answer."""


class BoundObjectReference(ApiStruct, kw_only=True):
    """The object whose end is the end of a token."""

    kind: Annotated[str, pb(1)] = ""
    """Kind of the object: Pod, Secret or Node."""
    api_version: Annotated[str, pb(2)] = ""
    """Group and version of the object: `v1`."""
    name: Annotated[str, pb(3)] = ""
    """Name of the object."""
    uid: Annotated[str, pb(4)] = ""
    """The object must have this uid, where one is given."""


class TokenRequestSpec(ApiStruct, kw_only=True):
    """What the token is for."""

    audiences: Annotated[list[str], pb(1), LIST_ATOMIC]
    """Whom the token is meant for: others must not accept it. None means the API server itself."""
    expiration_seconds: Annotated[int | None, pb(4)]
    """How long the token is to be good for, 10 minutes at least. Default: an hour."""
    bound_object_ref: Annotated[BoundObjectReference | None, pb(3)]
    """The token is good only while this object exists."""


class TokenRequestStatus(ApiStruct, kw_only=True):
    """The token."""

    token: Annotated[str, pb(1)]
    """What to show as a bearer token."""
    expiration_timestamp: Annotated[Time | None, pb(2)]
    """Until when the token is good."""


class TokenRequest(ApiStruct, kw_only=True):
    """Asks for a token of a service account."""

    api_version: str = type_meta("authentication.k8s.io/v1")
    """Group and version of this schema: `authentication.k8s.io/v1`."""
    kind: str = type_meta("TokenRequest")
    """Name of this schema: `TokenRequest`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[TokenRequestSpec, pb(2)]
    """The question."""
    status: Annotated[TokenRequestStatus, pb(3)] = field(
        default_factory=lambda: TokenRequestStatus(token="", expiration_timestamp=None)
    )
    """The answer."""
