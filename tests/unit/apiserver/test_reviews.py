"""Questions about identity and permission: the answers are what the gate itself would decide."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import errors
from api.authentication import SelfSubjectReview, TokenReview, TokenReviewSpec
from api.authorization import (
    FieldSelectorAttributes,
    LocalSubjectAccessReview,
    NonResourceAttributes,
    ResourceAttributes,
    SelfSubjectAccessReview,
    SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from api.meta import FieldSelectorRequirement, ObjectMeta
from api.scheme import REVIEWS, SERVED
from control.apiserver.http import routing
from control.apiserver.http.pipeline import _access
from control.apiserver.http.query import Query
from control.auth.authentication import Authenticator, Bearer
from control.auth.authorization import Access, SimpleAuthorizer
from control.auth.nodes import NodeAuthorizer, own_request
from control.auth.reviews import Reviews
from control.auth.tokens.keys import BadToken
from control.auth.user import ANONYMOUS, User
from tests.unit.apiserver.test_access import JANE, JOINING, MASTER, NODE, Nothing, Pods

USERS = (MASTER, NODE, JOINING, JANE, ANONYMOUS, User("system:node:n1"), User("root", uid="0"))
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NAMES = st.sampled_from(["n1", "n2", "volume", "p", "kube-system", "default"])
SELECTORS = st.sampled_from(
    ["", "spec.nodeName=n1", "spec.nodeName=n2", "metadata.name=volume", "a!=b,spec.nodeName=n1"]
)


API_AUDIENCE = "https://kubernetes.default.svc.cluster.local"


class Tokens:
    """One good token."""

    async def find(self, token: str, audiences: Sequence[str]) -> Bearer | None:
        if token != "good":
            return None
        if API_AUDIENCE not in audiences:
            raise BadToken("meant for others")
        return Bearer(JOINING, (API_AUDIENCE,))


def parts() -> tuple[Reviews, SimpleAuthorizer]:
    reader = Nothing()
    authorizer = SimpleAuthorizer(
        NodeAuthorizer(Pods(), reader), own_request=lambda access: own_request(reader, access)
    )
    return Reviews(Authenticator([Tokens()], [API_AUDIENCE]), authorizer), authorizer


@pytest.fixture
def reviews() -> Reviews:
    return parts()[0]


def attributes_of(access: Access) -> dict[str, Any]:
    if access.path:
        made = NonResourceAttributes(path=access.path, verb=access.verb)
        return {"non_resource_attributes": made}
    selector = FieldSelectorAttributes(raw_selector=access.field_selector)
    return {
        "resource_attributes": ResourceAttributes(
            verb=access.verb,
            group=access.group,
            version="v1",
            resource=access.resource,
            subresource=access.subresource,
            namespace=access.namespace,
            name=access.name,
            field_selector=selector if access.field_selector else None,
        )
    }


@st.composite
def requests(draw: st.DrawFn) -> Access:
    """What the pipeline asks its authorizer about some request, of any user, for anything."""
    user = draw(st.sampled_from(USERS))
    if draw(st.integers(0, 4)) == 0:
        path = draw(st.sampled_from(["/", "/healthz", "/readyz/store", "/metrics", "/apis/apps"]))
        return Access(user=user, verb=draw(st.sampled_from(["get", "post"])), path=path)
    resource = draw(st.sampled_from(SERVED))
    subresource = draw(st.sampled_from(["", *(part.name for part in resource.subresources)]))
    target = routing.Target(
        resource,
        draw(NAMES) if resource.namespaced and draw(st.booleans()) else "",
        draw(NAMES) if subresource or draw(st.booleans()) else "",
        subresource,
    )
    verb = routing.verb(draw(st.sampled_from(METHODS)), target, watch=draw(st.booleans()))
    selector = draw(SELECTORS)
    return _access(user, verb, target, Query(f"fieldSelector={selector}" if selector else ""))


@given(access=requests())
def test_an_answer_is_what_happens_to_the_request(access: Access) -> None:
    async def both() -> None:
        (reviews, _), (_, gate) = parts(), parts()
        decided = await gate.authorize(access)
        attributes = attributes_of(access)
        own = SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(**attributes))
        await reviews.own_access(access.user, own, "")
        assert (own.status.allowed, own.status.reason) == (decided.allowed, decided.reason)
        user = access.user
        subject = SubjectAccessReview(
            spec=SubjectAccessReviewSpec(
                **attributes, user=user.name, groups=list(user.groups), uid=user.uid
            )
        )
        await reviews.access(MASTER, subject, "")
        assert subject.status == own.status

    asyncio.run(both())


@given(user=st.sampled_from(USERS), namespace=NAMES)
def test_the_list_has_exactly_what_is_allowed(user: User, namespace: str) -> None:
    async def compare() -> None:
        reviews, gate = parts()
        review = SelfSubjectRulesReview(spec=SelfSubjectRulesReviewSpec(namespace=namespace))
        await reviews.own_rules(user, review, "")
        rules = review.status.resource_rules
        for resource in SERVED:
            names = [
                ("", resource.verbs),
                *((one.name, one.verbs) for one in resource.subresources),
            ]
            for part, verbs in names:
                shown = f"{resource.plural}/{part}" if part else resource.plural
                for verb in verbs:
                    listed = any(
                        {verb, "*"} & set(rule.verbs)
                        and {resource.group, "*"} & set(rule.api_groups)
                        and {shown, "*"} & set(rule.resources)
                        for rule in rules
                    )
                    access = Access(
                        user=user,
                        verb=verb,
                        group=resource.group,
                        resource=resource.plural,
                        subresource=part,
                        namespace=namespace if resource.namespaced else "",
                    )
                    assert listed is (await gate.authorize(access)).allowed, access
        for rule in review.status.non_resource_rules:
            for verb in rule.verbs:
                for path in rule.non_resource_urls:
                    asked = Access(user=user, verb=verb, path=path.replace("*", "x"))
                    assert (await gate.authorize(asked)).allowed

    asyncio.run(compare())


async def test_a_list_says_what_it_cannot_say(reviews: Reviews) -> None:
    for user, incomplete in ((NODE, True), (JOINING, True), (JANE, False), (MASTER, False)):
        review = SelfSubjectRulesReview(spec=SelfSubjectRulesReviewSpec(namespace="ns"))
        await reviews.own_rules(user, review, "")
        assert review.status.incomplete is incomplete
        assert bool(review.status.evaluation_error) is incomplete


async def test_who_am_i(reviews: Reviews) -> None:
    review = SelfSubjectReview()
    await reviews.identity(JANE, review, "")
    info = review.status.user_info
    assert (info.username, info.groups) == ("jane", ["developers", "system:authenticated"])


@pytest.mark.parametrize(
    ("token", "audiences", "good"),
    [
        ("good", [], True),
        ("good", [API_AUDIENCE, "vault"], True),
        ("good", ["vault"], False),
        ("bad", [], False),
        ("bad", [API_AUDIENCE], False),
        ("", [], None),
    ],
)
async def test_whose_token(
    reviews: Reviews, token: str, audiences: list[str], good: bool | None
) -> None:
    review = TokenReview(spec=TokenReviewSpec(token=token, audiences=audiences))
    if good is None:
        with pytest.raises(errors.ApiError, match="token is required"):
            await reviews.token(MASTER, review, "")
        return
    await reviews.token(MASTER, review, "")
    assert review.status.authenticated is good
    assert bool(review.status.error) is not good
    assert review.status.user.username == (JOINING.name if good else "")
    assert review.status.audiences == ([API_AUDIENCE] if good else [])


async def test_a_selector_of_single_demands(reviews: Reviews) -> None:
    def review(*demands: FieldSelectorRequirement) -> SelfSubjectAccessReview:
        attributes = ResourceAttributes(
            verb="list",
            resource="pods",
            field_selector=FieldSelectorAttributes(requirements=list(demands)),
        )
        return SelfSubjectAccessReview(
            spec=SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        )

    own = FieldSelectorRequirement(key="spec.nodeName", operator="In", values=["n1"])
    odd = FieldSelectorRequirement(key="metadata.name", operator="NotIn", values=["a,b=\\"])
    two = FieldSelectorRequirement(key="spec.nodeName", operator="In", values=["n1", "n2"])
    for demands, allowed in (((own, odd), True), ((two,), False), ((), False)):
        asked = review(*demands)
        await reviews.own_access(NODE, asked, "")
        assert asked.status.allowed is allowed


PODS = ResourceAttributes(verb="get", resource="pods", namespace="ns")
PATH = NonResourceAttributes(verb="get", path="/healthz")
BOTH = ResourceAttributes(
    field_selector=FieldSelectorAttributes(
        raw_selector="a=b",
        requirements=[FieldSelectorRequirement(key="a", operator="Exists")],
    )
)


@pytest.mark.parametrize(
    ("review", "says"),
    [
        (SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec()), "exactly one of"),
        (
            SelfSubjectAccessReview(
                spec=SelfSubjectAccessReviewSpec(
                    resource_attributes=PODS, non_resource_attributes=PATH
                )
            ),
            "exactly one of",
        ),
        (
            SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resource_attributes=BOTH)),
            "may not specify both",
        ),
        (
            SubjectAccessReview(spec=SubjectAccessReviewSpec(resource_attributes=PODS)),
            "at least one of user or group",
        ),
        (
            LocalSubjectAccessReview(
                spec=SubjectAccessReviewSpec(non_resource_attributes=PATH, user="u")
            ),
            "disallowed",
        ),
        (
            LocalSubjectAccessReview(
                spec=SubjectAccessReviewSpec(resource_attributes=PODS, user="u")
            ),
            "must match namespace",
        ),
        (
            LocalSubjectAccessReview(
                metadata=ObjectMeta(namespace="ns"),
                spec=SubjectAccessReviewSpec(resource_attributes=PODS, user="u"),
            ),
            "metadata.namespace must match namespace",
        ),
        (SelfSubjectRulesReview(spec=SelfSubjectRulesReviewSpec()), "no namespace"),
    ],
)
async def test_questions_that_make_no_sense(reviews: Reviews, review: Any, says: str) -> None:
    with pytest.raises(errors.ApiError, match=says):
        await reviews.answers[type(review)](MASTER, review, "other")


async def test_a_question_about_this_namespace(reviews: Reviews) -> None:
    review = LocalSubjectAccessReview(
        spec=SubjectAccessReviewSpec(resource_attributes=PODS, groups=["system:masters"])
    )
    await reviews.local_access(MASTER, review, "ns")
    assert review.status.allowed


async def test_who_may_ask() -> None:
    _, gate = parts()
    for resource in REVIEWS:
        for user in (NODE, JOINING, JANE, ANONYMOUS):
            access = Access(
                user=user, verb="create", group=resource.group, resource=resource.plural
            )
            own = resource.kind.startswith("Self")
            # A node asks about those who ask its agent.
            expected = (own and user is not ANONYMOUS) or (not own and user is NODE)
            assert (await gate.authorize(access)).allowed is expected


def test_every_review_has_an_answer(reviews: Reviews) -> None:
    assert set(reviews.answers) == {resource.type for resource in REVIEWS}
