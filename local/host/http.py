"""One plain HTTP request, as a person would make it with curl, without needing a program to be there."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

LIMIT = 64 * 1024


def fetch(url: str, *, timeout: float = 3.0) -> str:
    """The body of the answer, whatever its status. Raises OSError when nobody answers properly."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(LIMIT).decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(f"no proper answer from {url}: {error!r}") from error
    finally:
        connection.close()
