"""What a web page may make its visitor's browser send: nothing that writes.

Serves step 1 of the pod's walk. A browser that holds a client certificate shows it to us whichever
page sent the request, and asks no leave for bodies of a form's types nor for WebSockets. So with an
`Origin` header such bodies are refused (others a browser asks about first, and we do not answer
that), and streams are opened for pages of this very server only. Clients other than browsers send
no `Origin`; one that shows a token knows it, and is not a page that abuses its visitor.

Go's WebSocket clients, Kubernetes' own tests among them, must name an origin and say `http://localhost`.
That one is let through, and only it: a page from there was served by port 80 of the visitor's own
machine, which takes its administrator. With any port, as of programs anybody may run, it is refused.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from api import errors
from api.codec import decode
from control.apiserver.http.negotiation import media_type

_OF_NO_PAGE = "http://localhost"
_FORMS = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})


def check_origin(http: web.BaseRequest) -> None:
    """Raises 415 or 403 for what a page of elsewhere may have sent."""
    origin = http.headers.get("Origin")
    if origin is None:
        return
    if http.method == "POST" and media_type(http.headers.get("Content-Type", "")) in _FORMS:
        raise errors.unsupported_media_type(decode.ACCEPTED)
    if "Upgrade" in http.headers and "Authorization" not in http.headers and origin != _OF_NO_PAGE:
        if urlsplit(origin).netloc.lower() != http.headers.get("Host", "").lower():
            raise errors.forbidden(None, "", f"streams are not opened for pages of {origin}")
