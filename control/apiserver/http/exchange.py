"""One request and what is learnt about it on its way: for the gate, the metrics and the log.

Serves step 1 of the pod's walk. Made when a request arrives, filled in step by step, and read once it is
over, however it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from control.apiserver.fairness.gate import Ticket
from control.apiserver.http.routing import Target

LONG_RUNNING = frozenset({"WATCH", "CONNECT"})
MUTATING = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
METHODS = frozenset({"GET", "HEAD", "OPTIONS", *MUTATING})

_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "connect": "CONNECT",
}
_APPLY = "application/apply-patch"


@dataclass(slots=True)
class Exchange:
    """A request on its way, with an answer in the end."""

    http: web.BaseRequest
    audit_id: str
    started: float
    ticket: Ticket
    verb: str = ""
    """As metrics name it: GET, LIST, WATCH, POST, …; the method as long as nothing else is known."""
    target: Target | None = None
    path: str = ""
    """The first part of a path that is no resource, once it is known to be one of ours."""
    dry_run: bool = False
    sorted_by: tuple[str, str] = ("", "")
    """The UIDs of the FlowSchema and the PriorityLevelConfiguration that it belongs to."""
    warnings: Sequence[str] = ()
    """What the client is told beside the answer, be it an error."""

    @property
    def long_running(self) -> bool:
        return self.verb in LONG_RUNNING

    @property
    def mutating(self) -> bool:
        return self.verb in MUTATING

    def resolve(self, target: Target, verb: str, *, connect: bool, dry_run: bool) -> None:
        """It is a request for a resource."""
        self.target = target
        self.dry_run = dry_run
        self.verb = _VERBS["connect" if connect else verb]
        if verb == "patch" and self.http.headers.get("Content-Type", "").startswith(_APPLY):
            self.verb = "APPLY"

    def labels(self) -> tuple[str, str, str, str, str, str, str]:
        """verb, dry_run, group, version, resource, subresource, scope: bounded by what is served."""
        target = self.target
        dry_run = "All" if self.dry_run else ""
        if target is None:
            return (self.verb, dry_run, "", "", "", self.path, "")
        resource = target.resource
        return (
            self.verb,
            dry_run,
            resource.group,
            resource.version,
            resource.plural,
            target.subresource,
            _scope(target),
        )


def _scope(target: Target) -> str:
    """How far the request reaches: one object, a namespace, everything."""
    if target.name:
        return "resource"
    return "namespace" if target.namespace else "cluster"
