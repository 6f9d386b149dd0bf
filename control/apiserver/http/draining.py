"""The way out: what the server does differently between the signal to end and its end.

Serves whoever comes with step 1 of a pod's walk at that moment. Readiness is false at once, so that
nobody new is sent here; every answer says `Connection: close`, so that clients come back on another
connection, which finds another server or the next one; watches end. Connections are closed only when
they are silent. So no request that was taken is dropped.
"""

from __future__ import annotations

from aiohttp import web

from api import errors
from api.meta import StatusDetails


class Draining:
    """Whether the end has begun."""

    def __init__(self) -> None:
        self.begun = False

    def __repr__(self) -> str:
        return f"Draining({self.begun})"

    def begin(self) -> None:
        self.begun = True

    async def check(self) -> str:
        """For `/readyz/shutdown`."""
        return "the server is shutting down" if self.begun else ""

    def refuse(self) -> None:
        """503 for a watch that would only begin to end."""
        if self.begun:
            error = errors.unavailable("the server is shutting down")
            error.status.details = StatusDetails(retry_after_seconds=1)
            raise error

    def mark(self, response: web.StreamResponse) -> None:
        """Tell the client not to ask again on this connection."""
        if self.begun and not response.prepared:
            response.force_close()
