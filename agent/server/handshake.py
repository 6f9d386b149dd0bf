"""Which protocol a client's upgrade means: headers of SPDY and of WebSocket. Pure.

The first word of exec, attach and port-forward, after step 5 of a pod's walk.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from api import errors

PROTOCOL_HEADER = "X-Stream-Protocol-Version"


def is_spdy(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "spdy/3.1"


def offered(request: web.BaseRequest) -> list[str]:
    """The protocols that the client can speak above SPDY, best first."""
    return _listed(request, PROTOCOL_HEADER)


def choose(names: Sequence[str], known: Sequence[str]) -> str:
    """The first of the client's that is known; a precise refusal when there is none."""
    for name in names:
        if name in known:
            return name
    raise errors.bad_request(
        f"unable to upgrade: none of {list(names)} is known here, only {', '.join(known)}"
    )


def answer(name: str) -> dict[str, str]:
    """The headers that accept SPDY with that protocol above it; none for a client that asked none."""
    return {"Upgrade": "SPDY/3.1", **({PROTOCOL_HEADER: name} if name else {})}


def is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def subprotocols(request: web.BaseRequest) -> list[str]:
    """What a WebSocket client offers, best first."""
    return _listed(request, "Sec-WebSocket-Protocol")


def _listed(request: web.BaseRequest, header: str) -> list[str]:
    lines = request.headers.getall(header, [])
    return [name.strip() for line in lines for name in line.split(",") if name.strip()]
