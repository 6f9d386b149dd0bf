"""Documents by which others verify service accounts' tokens: OpenID Connect discovery, and the keys.

Serves no step of the pod's walk: whoever trusts this cluster's accounts reads them once in a while.
The answers hold nothing that changes while the process runs.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from control.apiserver.http import responses
from control.apiserver.http.pipeline import PathHandler
from control.apiserver.http.query import Query
from control.auth.tokens.keys import TokenKeys

CONFIGURATION = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"


def handlers(keys: TokenKeys, issuer: str, jwks_uri: str) -> dict[str, PathHandler]:
    """By the first segment of the path. `jwks_uri`: where others are to read the keys."""
    configuration = msgspec.json.encode(
        {
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys.keys}),
        }
    )
    return {
        ".well-known": _document(CONFIGURATION, configuration, "application/json"),
        "openid": _document(JWKS, msgspec.json.encode(keys.jwks()), "application/jwk-set+json"),
    }


def _document(path: str, body: bytes, media_type: str) -> PathHandler:
    async def serve(http: web.BaseRequest, parts: list[str], query: Query) -> web.StreamResponse:
        if "/" + "/".join(parts) != path:
            return responses.page_not_found()
        response = responses.json_response(body, content_type=media_type)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response

    return serve
