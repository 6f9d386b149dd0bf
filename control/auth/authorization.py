"""What a user may do. `Authorizer` is the interface; `SimpleAuthorizer` is the first one behind it.

Serves step 1 of the pod's walk, before anything of the request's body is read. The simple rules:
`system:masters` may do everything, a node what its pods need (`nodes.py`), a joining machine may
ask for its certificate, everyone who is known who they are and what they may do, and else nothing.
A service account, too, may only read discovery, and by which keys tokens are verified.
RBAC will stand beside it behind this interface.

Decisions are made from the request's address alone, without I/O; what they need to know about pods
comes from the watch cache. The refusals are worded as Kubernetes words them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from control.auth.user import AUTHENTICATED, BOOTSTRAPPERS, SERVICE_ACCOUNTS, User

_PUBLIC_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
# What others verify tokens by; Kubernetes lets service accounts read it.
_ISSUER_PATHS = frozenset({"/.well-known/openid-configuration", "/openid/v1/jwks"})
# What every client reads before it can say what it wants.
_DISCOVERY = ("/api", "/apis", "/openapi")
_ABOUT_ONESELF = frozenset(
    {
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
    }
)


class Access(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, as far as permission is concerned. `path` alone is set for non-resources."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str = ""


ALLOWED = Decision(True)
NO_OPINION = Decision(False)


class Authorizer(Protocol):
    """Decides about one request. Must not fail: not knowing is a refusal with a reason."""

    async def authorize(self, access: Access) -> Decision: ...


class NodeRules(Protocol):
    """What the node authoriser decides; a seam, so that it can be tested and replaced alone."""

    async def authorize(self, access: Access, node: str) -> Decision: ...


class SimpleAuthorizer:
    """Administrator, nodes, joining machines; nothing for everyone else."""

    def __init__(self, nodes: NodeRules, *, own_request: Callable[[Access], Decision]) -> None:
        self._nodes = nodes
        self._own_request = own_request

    async def authorize(self, access: Access) -> Decision:
        user = access.user
        if user.is_master:
            return ALLOWED
        if access.path:
            return _authorize_path(access)
        if _asks_about_oneself(access):
            return ALLOWED
        if node := user.node_name:
            return await self._nodes.authorize(access, node)
        if BOOTSTRAPPERS in user.groups:
            return self._authorize_bootstrap(access)
        return NO_OPINION

    def _authorize_bootstrap(self, access: Access) -> Decision:
        """A joining machine may ask for a certificate and look whether it was granted."""
        if access.resource != "certificatesigningrequests" or access.subresource:
            return NO_OPINION
        if access.verb == "create":
            return ALLOWED
        return self._own_request(access) if access.verb in ("get", "list", "watch") else NO_OPINION


def _asks_about_oneself(access: Access) -> bool:
    return (
        (access.group, access.resource) in _ABOUT_ONESELF
        and access.verb == "create"
        and not access.subresource
        and AUTHENTICATED in access.user.groups
    )


def _authorize_path(access: Access) -> Decision:
    if access.verb not in ("get", "head"):
        return NO_OPINION
    path = access.path.rstrip("/") or "/"
    if path in _PUBLIC_PATHS or path.startswith(("/livez/", "/readyz/", "/healthz/")):
        return ALLOWED
    if AUTHENTICATED in access.user.groups and (
        path in _DISCOVERY or path.startswith(tuple(prefix + "/" for prefix in _DISCOVERY))
    ):
        return ALLOWED
    if path in _ISSUER_PATHS and SERVICE_ACCOUNTS in access.user.groups:
        return ALLOWED
    return NO_OPINION


def refusal(access: Access, reason: str) -> str:
    """Why the request is forbidden, in Kubernetes' words."""
    user = access.user.name
    if access.path:
        text = f'forbidden: User "{user}" cannot {access.verb} path "{access.path}"'
    else:
        resource = access.resource + (f"/{access.subresource}" if access.subresource else "")
        qualified = f"{access.resource}.{access.group}" if access.group else access.resource
        named = f' "{access.name}"' if access.name else ""
        where = (
            f'in the namespace "{access.namespace}"'
            if access.namespace
            else ("at the cluster scope")
        )
        text = (
            f'{qualified}{named} is forbidden: User "{user}" cannot {access.verb} resource '
            f'"{resource}" in API group "{access.group}" {where}'
        )
    return f"{text}: {reason}" if reason else text
