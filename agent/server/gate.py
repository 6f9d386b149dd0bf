"""Who is let in to the agent's web server, and to which part of it (after step 5 of the pod's walk).

The API server and the cluster's administrators are known by their certificates and need no further
question. Of everybody else (somebody with another certificate of the cluster, a collector of metrics with
the token of its service account) the API server is asked, as a kubelet does ("Kubelet
authentication/authorization"): whose a token is by a TokenReview, and by a SubjectAccessReview whether
they may get or create `nodes/metrics`, `nodes/stats`, `nodes/log` and so on of this node.

Answers are kept for a while, at most `MOST` of each kind, the oldest go first; of tokens only their hash is
kept. Without an API server that answers, nobody is let in who is not known already. Concurrency: one event
loop; who asks the same at the same time is answered twice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from agent.server.identity import Identity, identity
from api import errors
from api.authentication import TokenReview, TokenReviewSpec
from api.authorization import ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec
from api.errors import ApiError
from api.meta import Status
from api.struct import ApiStruct
from base.clock import Clock
from base.errors import PodwrightError

log = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound=ApiStruct)

KNOWN_SECONDS = 120.0
"""For how long a token is known to be somebody's."""
ALLOWED_SECONDS, REFUSED_SECONDS = 300.0, 30.0
MOST = 1024
_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch"}
_PARTS = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
}
"""By the first word of a path, which subresources of the node open it. Everything else is `proxy`."""


class Client(Protocol):
    """What is needed of the API server."""

    async def create(self, obj: S) -> S: ...


class Gate:
    """Lets in to one node's server."""

    def __init__(self, node: str, client: Client | None, clock: Clock) -> None:
        """Without a client nobody is asked."""
        self._node = node
        self._client = client
        self._clock = clock
        self._known: _Kept[Identity | None] = _Kept(clock)
        self._may: _Kept[bool] = _Kept(clock)
        self._asked = 0

    def statistics(self) -> dict[str, float]:
        return {
            "reviews": self._asked,
            "tokens_kept": len(self._known),
            "decisions_kept": len(self._may),
        }

    async def admit(
        self,
        certificate: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        method: str,
        path: str,
    ) -> None:
        """Returns if they may. Raises ApiError otherwise."""
        who = identity(certificate) or await self._bearer(headers.get("Authorization", ""))
        if who is None:
            raise errors.unauthorized()
        if who.allowed:
            return
        verb, parts = _VERBS.get(method, method.lower()), subresources(path)
        for part in parts:
            if await self._allowed(who, verb, part):
                return
        shown = f"user={who.name}, verb={verb}, resource=nodes, subresource(s)=[{' '.join(parts)}]"
        raise ApiError(
            Status(status="Failure", message=f"Forbidden ({shown})", reason="Forbidden", code=403)
        )

    async def _bearer(self, authorization: str) -> Identity | None:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or self._client is None:
            return None
        key = hashlib.sha256(token.encode()).digest()
        if (kept := self._known.get(key)) is not None:
            return kept[0]
        self._asked += 1
        try:
            review = await self._client.create(TokenReview(spec=TokenReviewSpec(token=token)))
        except PodwrightError as error:
            log.warning("whose a token is cannot be found out: %s", error)
            return None
        user = review.status.user
        found = None
        if review.status.authenticated and user is not None:
            found = Identity(user.username, frozenset(user.groups), user.uid)
        self._known.put(key, found, KNOWN_SECONDS if found else REFUSED_SECONDS)
        return found

    async def _allowed(self, who: Identity, verb: str, part: str) -> bool:
        if self._client is None:
            return False
        key = (who, verb, part)
        if (kept := self._may.get(key)) is not None:
            return kept[0]
        self._asked += 1
        spec = SubjectAccessReviewSpec(
            user=who.name,
            groups=sorted(who.groups),
            uid=who.uid,
            resource_attributes=ResourceAttributes(
                verb=verb, version="v1", resource="nodes", subresource=part, name=self._node
            ),
        )
        try:
            review = await self._client.create(SubjectAccessReview(spec=spec))
        except PodwrightError as error:
            shown = f"user={who.name}, verb={verb}, resource=nodes, subresource={part}"
            log.warning("whether somebody may do this is not known (%s): %s", shown, error)
            raise errors.internal(f"Authorization error ({shown})") from error
        allowed = review.status.allowed
        self._may.put(key, allowed, ALLOWED_SECONDS if allowed else REFUSED_SECONDS)
        return allowed


def subresources(path: str) -> tuple[str, ...]:
    """Which subresources of the node open a path."""
    return _PARTS.get(path.strip("/").partition("/")[0], ("proxy",))


class _Kept(Generic[T]):
    """Answers that are good for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[Hashable, tuple[float, T]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> tuple[T] | None:
        until, *value = self._values.get(key, (0.0,))
        return (value[0],) if value and self._clock.monotonic() < until else None

    def put(self, key: Hashable, value: T, seconds: float) -> None:
        self._values.pop(key, None)
        self._values[key] = (self._clock.monotonic() + seconds, value)
        while len(self._values) > MOST:
            del self._values[next(iter(self._values))]
