"""One API request on its way through the handlers: what was asked, by whom, and what to answer with.

Made by the pipeline after the path was resolved and the user is known; handlers read it and return a
response. Warnings that the registry collects in `call` leave as headers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from api import errors
from control.apiserver.fairness.gate import Ticket
from control.apiserver.http.negotiation import Form, negotiate
from control.apiserver.http.query import Query
from control.apiserver.http.routing import Target
from control.apiserver.registry.call import Call
from control.apiserver.registry.managing import MAX_NAME, name_problem
from control.auth.user import User

_FORMS = ("application/json", "application/yaml")
_VALIDATIONS = ("Ignore", "Warn", "Strict")


@dataclass(slots=True, kw_only=True)
class ApiRequest:
    """A request for a resource. `verb` is the API's own word: get, list, watch, create, …"""

    http: web.BaseRequest
    target: Target
    verb: str
    query: Query
    user: User
    audit_id: str
    max_body: int
    ticket: Ticket
    """Given back early by whoever goes on without working: a watch, once it has begun."""
    call: Call = field(init=False)

    def __post_init__(self) -> None:
        self.call = Call(user=self.user, agent=_agent(self.http.headers.get("User-Agent", "")))

    def form(self) -> Form:
        """The form of the answer. Raises 406."""
        form = negotiate(self.http.headers.get("Accept", ""))
        if form is None:
            raise errors.not_acceptable(_FORMS)
        return form

    def read_write_options(self) -> None:
        """`dryRun`, `fieldManager` and `fieldValidation` of a mutating request, into the call."""
        dry_run = self.query.many("dryRun")
        if dry_run and dry_run != ["All"]:
            raise errors.bad_request(f"dryRun: Unsupported value: {dry_run}: supported values: All")
        self.call.dry_run = bool(dry_run)
        self.call.field_manager = self.query.text("fieldManager")
        if why := name_problem(self.call.field_manager):
            raise errors.bad_request(f"fieldManager: Invalid value: {why}")
        self.call.force = self.query.flag("force")
        validation = self.query.text("fieldValidation", "Warn")
        if validation not in _VALIDATIONS:
            raise errors.bad_request(
                f'fieldValidation: Unsupported value: "{validation}": '
                f"supported values: {', '.join(_VALIDATIONS)}"
            )
        self.call.field_validation = validation


def _agent(header: str) -> str:
    """The program's own name, as managedFields shows it: what stands before the first slash."""
    name = header.partition("/")[0]
    if name.isascii() and name.isprintable():
        return name[:MAX_NAME]
    name = "".join(char for char in name if char.isprintable())
    return name.encode()[:MAX_NAME].decode(errors="ignore")
