"""`serviceaccounts/NAME/token` over HTTP: a TokenRequest is posted and comes back with its token.

Serves step 4 of the pod's walk (an agent asks for its pods' tokens) and `kubectl create token`.
Admission sees the request before anything is signed: there it is decided what a node may ask for.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api.authentication import TokenRequest
from control.admission.chain import Operation
from control.apiserver.http import bodies, responses
from control.apiserver.http.context import ApiRequest
from control.apiserver.registry.admitting import attributes
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry
from control.auth.tokens.issuing import TokenIssuer


class TokenRequests:
    """The handler of the subresource."""

    def __init__(self, registry: Registry, issuer: TokenIssuer) -> None:
        self._registry = registry
        self._issuer = issuer

    async def __call__(self, request: ApiRequest, kind: Kind[Any]) -> web.StreamResponse:
        request.read_write_options()
        form, target = request.form(), request.target
        asked = await bodies.read_typed(request, TokenRequest)
        account = await self._issuer.account(target.namespace, target.name)
        self._issuer.prepare(asked, account)
        asking = attributes(
            kind,
            request.call,
            Operation.CREATE,
            target.namespace,
            target.name,
            subresource=target.subresource,
            new=asked,
            settle=lambda changed: self._issuer.prepare(changed, account),
        )
        await self._registry.admission.admit(asking)
        await self._registry.admission.validate(asking)
        asked = asking.object
        if not request.call.dry_run:  # a token that was signed is good, whatever else is not stored
            await self._issuer.issue(asked, account)
        body = await responses.as_media_type(responses.encode(asked), form.media_type)
        return responses.json_response(body, code=201, content_type=form.media_type)
