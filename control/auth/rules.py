"""All that somebody may do, as a list: found by asking the authorizer about every request there is.

Serves those who look at the gate of step 1 of the pod's walk (`kubectl auth can-i --list`). A list
kept beside the rules would one day differ from them; asking costs a few hundred decisions, each a
few dictionary look-ups, and is done rarely. What depends on an object's name or on a selector cannot
be listed: the authorizer then refuses with a reason, and the list says that it is not complete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from api.scheme import SERVED, Resource
from control.auth.authorization import Access, Authorizer
from control.auth.user import User

EVERYTHING = "*"
_METHODS = ("get", "head")
_PATHS = (
    "/",
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
)


@dataclass(frozen=True, slots=True)
class Granted:
    """These verbs on this resource (`pods`, `pods/log`), or on this path when there is no resource."""

    verbs: tuple[str, ...]
    group: str = ""
    resource: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is granted, and why there may be more."""

    granted: tuple[Granted, ...]
    missing: str = ""


async def rules(
    authorizer: Authorizer, user: User, namespace: str, served: Iterable[Resource] = SERVED
) -> Rules:
    """What the user may do in a namespace, and to what is in none."""
    if user.is_master:
        everything = Granted((EVERYTHING,), EVERYTHING, EVERYTHING)
        return Rules((everything, Granted((EVERYTHING,), path=EVERYTHING)))
    granted, missing = [], ""
    for access, verbs in _questions(user, namespace, served):
        allowed = []
        for verb in verbs:
            decision = await authorizer.authorize(replace(access, verb=verb))
            if decision.allowed:
                allowed.append(verb)
            elif not missing:
                missing = decision.reason
        if allowed:
            part = f"/{access.subresource}" if access.subresource else ""
            granted.append(Granted(tuple(allowed), access.group, access.resource + part))
    granted += [found async for found in _paths(authorizer, user)]
    return Rules(tuple(granted), missing)


def _questions(
    user: User, namespace: str, served: Iterable[Resource]
) -> Iterator[tuple[Access, tuple[str, ...]]]:
    """Every resource and subresource that is served, with the verbs it has."""
    for resource in served:
        whole = Access(
            user=user,
            verb="",
            group=resource.group,
            resource=resource.plural,
            namespace=namespace if resource.namespaced else "",
        )
        yield whole, resource.verbs
        for part in resource.subresources:
            yield replace(whole, subresource=part.name), part.verbs


async def _paths(authorizer: Authorizer, user: User) -> AsyncIterator[Granted]:
    for path in _PATHS:
        for shown, asked in ((path, path), (f"{path.rstrip('/')}/*", f"{path.rstrip('/')}/x")):
            verbs = []
            for method in _METHODS:
                decision = await authorizer.authorize(Access(user=user, verb=method, path=asked))
                if decision.allowed:
                    verbs.append(method)
            if verbs:
                yield Granted(tuple(verbs), path=shown)
