"""Whether a service account's token is good now: the account, and what it is bound to, must live.

Serves step 1 of the pod's walk. What a signature proves never changes, so the claims of tokens that
were verified are remembered (by the token's hash: the token itself is not kept; at most `REMEMBERED`,
least recently used first out), and a busy client costs a few look-ups per request. Everything that
can change is looked at each time, in caches that are up to date with every acknowledged write: a
token ends with the deletion of its account, pod, Secret or Node, in that very moment.

A pod that is being deleted keeps its token for a minute after its grace period, as in Kubernetes: its
last words may need it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta

from api import timestamps
from api.core import Node, Pod, Secret, ServiceAccount
from api.meta import ObjectMeta
from api.struct import ApiStruct
from base.clock import Clock
from control.admission.chain import Reader
from control.auth.authentication import Bearer
from control.auth.tokens import claims
from control.auth.tokens.claims import Bound, Legacy, Reference
from control.auth.tokens.keys import BadToken, TokenKeys

REMEMBERED = 1024
AFTER_DELETION = timedelta(seconds=60)
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
"""The label by which a Secret's token is declared invalid without deleting it."""


class ServiceAccountTokens:
    """A `TokenSource`."""

    def __init__(
        self, reader: Reader, keys: TokenKeys, *, issuers: Sequence[str], audiences: Sequence[str],
        clock: Clock,
    ) -> None:  # fmt: skip
        self._reader = reader
        self._keys = keys
        self._issuers = tuple(issuers)
        self._audiences = tuple(audiences)
        self._clock = clock
        self._verified: OrderedDict[bytes, Bound | Legacy] = OrderedDict()

    def statistics(self) -> dict[str, float]:
        return {"remembered": len(self._verified)}

    async def find(self, token: str, audiences: Sequence[str]) -> Bearer | None:
        """Who shows the token. None: it is no JSON Web Token. Raises BadToken."""
        if token.count(".") != 2:
            return None
        found = self._claims(token)
        if isinstance(found, Legacy):
            meant_for = tuple(one for one in audiences if one in self._audiences)
            whom = list(self._audiences)
        else:
            claims.check_time(found, self._clock.now())
            meant_for = tuple(one for one in audiences if one in found.aud)
            whom = found.aud
        if not meant_for:
            raise BadToken(f"it is meant for {whom}, and not for {list(audiences)}")
        if isinstance(found, Legacy):
            await self._check_secret(found, token)
        else:
            await self._check_bound(found)
        return Bearer(claims.user(found), meant_for)

    def _claims(self, token: str) -> Bound | Legacy:
        key = hashlib.sha256(token.encode(errors="replace")).digest()
        found = self._verified.get(key)
        if found is not None:
            self._verified.move_to_end(key)
            return found
        found = claims.read(self._keys.verify(token), self._issuers)
        self._verified[key] = found
        if len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        return found

    async def _check_bound(self, found: Bound) -> None:
        private = found.kubernetes
        await self._check_account(private.namespace, private.account)
        if private.pod is not None:
            await self._check(Pod, private.pod, private.namespace)
        elif private.secret is not None:
            await self._check(Secret, private.secret, private.namespace)
        elif private.node is not None:  # a pod's token also says where it runs, and ends with it
            await self._check(Node, private.node)

    async def _check_secret(self, found: Legacy, token: str) -> None:
        await self._check_account(found.namespace, Reference(found.account, found.uid))
        await self._reader.fresh(Secret)
        secret = self._reader.get(Secret, found.secret, found.namespace)
        where = f"Secret {found.namespace}/{found.secret}"
        if secret is None or self._ended(secret.metadata):
            raise BadToken(f"its {where} is gone")
        if not hmac.compare_digest(secret.data.get("token", b""), token.encode()):
            raise BadToken(f"its {where} has another token")
        if INVALID_SINCE in secret.metadata.labels:
            raise BadToken(f"its {where} says {INVALID_SINCE}")

    async def _check_account(self, namespace: str, account: Reference) -> None:
        await self._check(ServiceAccount, account, namespace)

    async def _check(
        self, type_: type[ApiStruct], wanted: Reference, namespace: str = ""
    ) -> None:  # fmt: skip
        await self._reader.fresh(type_)
        obj = self._reader.get(type_, wanted.name, namespace)
        where = f"{namespace}/{wanted.name}" if namespace else wanted.name
        what = f"its {type_.__name__} {where}"
        metadata: ObjectMeta | None = None if obj is None else obj.metadata  # type: ignore[attr-defined]
        if metadata is None or self._ended(metadata):
            raise BadToken(f"{what} is gone")
        if metadata.uid != wanted.uid:
            raise BadToken(f"{what} was deleted and made anew")

    def _ended(self, metadata: ObjectMeta) -> bool:
        ends = metadata.deletion_timestamp
        return bool(ends) and timestamps.parse(ends or "") + AFTER_DELETION < self._clock.now()
