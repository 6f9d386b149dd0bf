"""Answers about identity and permission, given by the very objects that guard every request.

Serves step 1 of the pod's walk: `kubectl auth whoami` and `can-i` tell what the gate would do, so
nothing here decides anything. A review becomes the question that the pipeline would ask
(`Access`, an Authorization header), and the decision becomes its status. Nothing is stored.

Refusals of the question itself are worded as Kubernetes words them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from api import errors
from api.authentication import (
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    TokenReview,
    TokenReviewStatus,
    UserInfo,
)
from api.authorization import (
    FieldSelectorAttributes,
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
)
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import SERVED, Resource, resource_of
from api.struct import ApiStruct
from control.auth.authentication import Authenticator
from control.auth.authorization import Access, Authorizer
from control.auth.rules import rules
from control.auth.tokens.keys import BadToken
from control.auth.user import User

Answer = Callable[[User, Any, str], Awaitable[ApiStruct]]
"""(who asks, the review, the namespace of the URL) → the review with its status."""

_SPEC = Path("spec")
_EITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class Reviews:
    """What every review is answered with; `answers` maps a review's type to its function."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        served: Iterable[Resource] = SERVED,
    ) -> None:
        self._served = served
        self._authenticator = authenticator
        self._authorizer = authorizer
        self.answers: Mapping[type[ApiStruct], Answer] = {
            SelfSubjectReview: self.identity,
            TokenReview: self.token,
            SelfSubjectAccessReview: self.own_access,
            SubjectAccessReview: self.access,
            LocalSubjectAccessReview: self.local_access,
            SelfSubjectRulesReview: self.own_rules,
        }

    async def identity(self, user: User, review: SelfSubjectReview, namespace: str) -> ApiStruct:
        """Who the sender is."""
        review.status = SelfSubjectReviewStatus(user_info=_info(user))
        return review

    async def token(self, user: User, review: TokenReview, namespace: str) -> ApiStruct:
        """Whose a token is."""
        if not review.spec.token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        review.status = await self._token_status(review.spec.token, review.spec.audiences)
        return review

    async def _token_status(self, token: str, audiences: list[str]) -> TokenReviewStatus:
        try:
            found = await self._authenticator.review(token, audiences)
        except BadToken as error:
            return TokenReviewStatus(error=f"invalid bearer token: {error}")
        user, meant_for = _info(found.user), list(found.audiences)
        return TokenReviewStatus(authenticated=True, user=user, audiences=meant_for)

    async def own_access(
        self, user: User, review: SelfSubjectAccessReview, namespace: str
    ) -> ApiStruct:
        """Whether the sender may do something."""
        spec = review.spec
        _check(review, _attributes_missing(spec.resource_attributes, spec.non_resource_attributes))
        review.status = await self._decide(
            user, spec.resource_attributes, spec.non_resource_attributes
        )
        return review

    async def access(self, user: User, review: SubjectAccessReview, namespace: str) -> ApiStruct:
        """Whether somebody may do something."""
        _check(review, _subject_faults(review.spec))
        review.status = await self._decide_for_subject(review.spec)
        return review

    async def local_access(
        self, user: User, review: LocalSubjectAccessReview, namespace: str
    ) -> ApiStruct:
        """Whether somebody may do something in this namespace."""
        spec = review.spec
        found = _subject_faults(spec)
        if spec.non_resource_attributes is not None:
            where = _SPEC.child("nonResourceAttributes")
            found.append(invalid(where, "", "disallowed on this kind of request"))
        _check(review, found)
        assert spec.resource_attributes is not None
        for field, given in (
            ("metadata.namespace", review.metadata.namespace or namespace),
            ("spec.resourceAttributes.namespace", spec.resource_attributes.namespace),
        ):
            if given != namespace:
                raise errors.bad_request(f"{field} must match namespace: {namespace}")
        review.status = await self._decide_for_subject(spec)
        return review

    async def own_rules(
        self, user: User, review: SelfSubjectRulesReview, namespace: str
    ) -> ApiStruct:
        """All that the sender may do."""
        if not review.spec.namespace:
            raise errors.bad_request("no namespace on request")
        found = await rules(self._authorizer, user, review.spec.namespace, self._served)
        review.status = SubjectRulesReviewStatus(
            resource_rules=[
                ResourceRule(
                    verbs=list(one.verbs), api_groups=[one.group], resources=[one.resource]
                )
                for one in found.granted
                if not one.path
            ],
            non_resource_rules=[
                NonResourceRule(verbs=list(one.verbs), non_resource_urls=[one.path])
                for one in found.granted
                if one.path
            ],
            incomplete=bool(found.missing),
            evaluation_error=found.missing,
        )
        return review

    async def _decide_for_subject(self, spec: SubjectAccessReviewSpec) -> SubjectAccessReviewStatus:
        user = User(spec.user, tuple(spec.groups), spec.uid)
        return await self._decide(user, spec.resource_attributes, spec.non_resource_attributes)

    async def _decide(
        self,
        user: User,
        resource: ResourceAttributes | None,
        path: NonResourceAttributes | None,
    ) -> SubjectAccessReviewStatus:
        decision = await self._authorizer.authorize(_access(user, resource, path))
        return SubjectAccessReviewStatus(allowed=decision.allowed, reason=decision.reason)


def _info(user: User) -> UserInfo:
    extra = {name: list(values) for name, values in user.extra}
    return UserInfo(username=user.name, uid=user.uid, groups=list(user.groups), extra=extra)


def _access(
    user: User, resource: ResourceAttributes | None, path: NonResourceAttributes | None
) -> Access:
    """The question, as the pipeline puts it for the request itself."""
    if path is not None:
        return Access(user=user, verb=path.verb, path=path.path or "/")
    assert resource is not None
    return Access(
        user=user,
        verb=resource.verb,
        group=resource.group,
        resource=resource.resource,
        subresource=resource.subresource,
        namespace=resource.namespace,
        name=resource.name,
        field_selector=_field_selector(resource.field_selector),
    )


def _field_selector(given: FieldSelectorAttributes | None) -> str:
    """As it would stand in the URL. Demands that have no such form are left out: to ask for more
    objects than are meant can only make the answer a refusal."""
    if given is None or given.raw_selector:
        return given.raw_selector if given is not None else ""
    signs = {"In": "=", "NotIn": "!="}
    return ",".join(
        f"{one.key}{signs[one.operator]}{_escape(one.values[0])}"
        for one in given.requirements
        if one.operator in signs and len(one.values) == 1
    )


def _escape(value: str) -> str:
    for special in "\\,=":
        value = value.replace(special, "\\" + special)
    return value


def _attributes_missing(
    resource: ResourceAttributes | None, path: NonResourceAttributes | None
) -> list[FieldError]:
    if (resource is None) == (path is None):
        return [invalid(_SPEC.child("resourceAttributes"), "", _EITHER)]
    if resource is None:
        return []
    where = _SPEC.child("resourceAttributes")
    return [
        invalid(where.child(name, "rawSelector"), given.raw_selector, "may not specify both")
        for name, given in (
            ("fieldSelector", resource.field_selector),
            ("labelSelector", resource.label_selector),
        )
        if given is not None and given.raw_selector and given.requirements
    ]


def _subject_faults(spec: SubjectAccessReviewSpec) -> list[FieldError]:
    found = _attributes_missing(spec.resource_attributes, spec.non_resource_attributes)
    if not spec.user and not spec.groups:
        why = "at least one of user or group must be specified"
        found.append(required(_SPEC.child("user"), why))
    return found


def _check(review: ApiStruct, found: list[FieldError]) -> None:
    if found:
        raise errors.invalid(resource_of(type(review)), "", found)
