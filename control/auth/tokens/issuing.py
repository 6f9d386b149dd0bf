"""Which token somebody gets who asks for one: TokenRequest, as the API reference and KEP-1205 say.

Serves step 4 of the pod's walk: agents ask for the tokens of their pods here, and `kubectl create
token` for anybody's. Who may ask, and a node for which pods, was decided before. Refusals are worded
as Kubernetes words them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from api import errors, timestamps
from api.authentication import BoundObjectReference, TokenRequest, TokenRequestStatus
from api.core import Node, Pod, Secret, ServiceAccount
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import resource_of
from api.struct import ApiStruct
from base.clock import Clock
from control.admission.chain import Reader
from control.auth.tokens import claims
from control.auth.tokens.claims import Private, Reference
from control.auth.tokens.keys import TokenKeys

T = TypeVar("T", bound=ApiStruct)

DEFAULT_SECONDS = 3600
MIN_SECONDS, MAX_SECONDS = 600, 1 << 32
_GROUP = "authentication.k8s.io"
_SPEC = Path("spec")
_KINDS: dict[tuple[str, str], type[ApiStruct]] = {
    ("v1", "Node"): Node,
    ("v1", "Pod"): Pod,
    ("v1", "Secret"): Secret,
}


class TokenIssuer:
    """Answers TokenRequests. `issuer` and `audiences` are the server's own."""

    def __init__(
        self,
        reader: Reader,
        keys: TokenKeys,
        *,
        issuer: str,
        audiences: Sequence[str],
        clock: Clock,
        identifier: Callable[[], str],
    ) -> None:
        self._reader = reader
        self._keys = keys
        self._issuer = issuer
        self._audiences = tuple(audiences)
        self._clock = clock
        self._identifier = identifier
        self._issued = 0

    def statistics(self) -> dict[str, float]:
        return {"issued": self._issued}

    async def account(self, namespace: str, name: str) -> ServiceAccount:
        """The account that a token is asked of. Raises 404."""
        return await self._read(ServiceAccount, name, namespace)

    def prepare(self, request: TokenRequest, account: ServiceAccount) -> None:
        """Fill in what was left out, and refuse what cannot be given."""
        spec, metadata = request.spec, request.metadata
        spec.audiences = spec.audiences or list(self._audiences)
        if spec.expiration_seconds is None:
            spec.expiration_seconds = DEFAULT_SECONDS
        metadata.name = metadata.name or account.metadata.name
        metadata.namespace = metadata.namespace or account.metadata.namespace
        request.status = TokenRequestStatus(token="", expiration_timestamp=None)
        _check_names(request, account)
        if found := faults(request):
            raise errors.invalid_kind(_GROUP, "TokenRequest", f"TokenRequest.{_GROUP}", "", found)

    async def issue(self, request: TokenRequest, account: ServiceAccount) -> None:
        """Put the token into a request that was prepared and admitted."""
        spec, now = request.spec, self._clock.now()
        private = await self._private(account, spec.bound_object_ref)
        lifetime = spec.expiration_seconds or DEFAULT_SECONDS
        said = claims.bound(
            private,
            issuer=self._issuer,
            audiences=spec.audiences,
            now=now,
            lifetime=lifetime,
            identifier=self._identifier(),
        )
        ends = timestamps.format(now + timedelta(seconds=lifetime))
        token = self._keys.sign(claims.encode(said))
        request.status = TokenRequestStatus(token=token, expiration_timestamp=ends)
        request.metadata.creation_timestamp = timestamps.format(now)
        self._issued += 1

    async def _private(
        self, account: ServiceAccount, bound_to: BoundObjectReference | None
    ) -> Private:
        namespace = account.metadata.namespace
        own = Reference(account.metadata.name, account.metadata.uid)
        if bound_to is None:
            return Private(namespace, own)
        type_ = _KINDS.get((bound_to.api_version, bound_to.kind))
        if type_ is None:
            raise errors.bad_request(
                f"cannot bind token to object of type {bound_to.api_version}, Kind={bound_to.kind}"
            )
        if type_ is Pod:
            pod = await self._read(Pod, bound_to.name, namespace)
            if pod.spec.service_account_name != own.name:
                raise errors.bad_request(
                    f'cannot bind token for serviceaccount "{own.name}" to pod running with '
                    "different serviceaccount name."
                )
            named = _named(pod, bound_to)
            return Private(namespace, own, node=await self._node_of(pod), pod=named)
        if type_ is Node:
            node = await self._read(Node, bound_to.name)
            return Private(namespace, own, node=_named(node, bound_to))
        secret = await self._read(Secret, bound_to.name, namespace)
        return Private(namespace, own, secret=_named(secret, bound_to))

    async def _node_of(self, pod: Pod) -> Reference | None:
        """Where the pod runs: told to whom the token is shown, and not checked any further."""
        name = pod.spec.node_name
        if not name:
            return None
        await self._reader.fresh(Node)
        node = self._reader.get(Node, name)
        return Reference(name, node.metadata.uid if node is not None else "")

    async def _read(self, type_: type[T], name: str, namespace: str = "") -> T:
        await self._reader.fresh(type_)
        found = self._reader.get(type_, name, namespace)
        if found is None:
            raise errors.not_found(resource_of(type_), name)
        return found


def faults(request: TokenRequest) -> list[FieldError]:
    """What cannot be asked for."""
    seconds, where = request.spec.expiration_seconds or 0, _SPEC.child("expirationSeconds")
    found = []
    if seconds < MIN_SECONDS:
        found.append(invalid(where, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MAX_SECONDS:
        found.append(invalid(where, seconds, "may not specify a duration larger than 2^32 seconds"))
    bound_to = request.spec.bound_object_ref
    if bound_to is not None and not bound_to.name:
        found.append(required(_SPEC.child("boundObjectRef", "name"), ""))
    return found


def _check_names(request: TokenRequest, account: ServiceAccount) -> None:
    for what, given, wanted in (
        ("name", request.metadata.name, account.metadata.name),
        ("namespace", request.metadata.namespace, account.metadata.namespace),
    ):
        if given != wanted:
            raise errors.bad_request(
                f"metadata.{what} of the token request ({given}) does not match the URL ({wanted})"
            )


def _named(obj: ApiStruct, wanted: BoundObjectReference) -> Reference:
    metadata = obj.metadata  # type: ignore[attr-defined]
    if wanted.uid and wanted.uid != metadata.uid:
        raise errors.conflict(
            resource_of(type(obj)),
            metadata.name,
            f"the UID in the bound object reference ({wanted.uid}) does not match the UID in "
            "record. The object might have been deleted and then recreated",
        )
    return Reference(metadata.name, metadata.uid)
