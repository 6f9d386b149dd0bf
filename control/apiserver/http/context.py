"""One API request on its way through the handlers: what was asked, by whom, and what to answer with.

Made by the pipeline after the path was resolved and the user is known; handlers read it and return a
response. Warnings that the registry collects in `call` leave as headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

from api import errors
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported, too_long
from control.apiserver.fairness.gate import Ticket
from control.apiserver.http.negotiation import Form, negotiate
from control.apiserver.http.query import Query
from control.apiserver.http.routing import Target
from control.apiserver.registry.call import Call
from control.apiserver.registry.managing import MAX_NAME, name_problem
from control.auth.user import User

_FORMS = ("application/json", "application/yaml")
_VALIDATIONS = ("Ignore", "Warn", "Strict")
_OPTIONS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}
"""What the options are called in which a verb's mistakes are told."""


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

    def plain_form(self) -> Form:
        """The same, of what has no rows to show and no metadata of its own."""
        form = self.form()
        if not form.plain:
            raise errors.not_acceptable(_FORMS)
        return form

    def read_write_options(self) -> None:
        """`dryRun`, `fieldManager` and `fieldValidation` of a mutating request, into the call.

        Raises 422 for what they cannot be, all at once.
        """
        query, call = self.query, self.call
        if found := list(_mistaken(query)):
            kind = _OPTIONS[self.verb]
            raise errors.invalid_kind("meta.k8s.io", kind, f"{kind}.meta.k8s.io", "", found)
        call.dry_run = query.has("dryRun")
        call.field_manager = query.text("fieldManager")
        call.force = query.flag("force")
        call.field_validation = query.text("fieldValidation") or "Warn"

    def refuse_force(self) -> None:
        """Only an apply can take the fields of others. Raises 422."""
        if self.query.has("force"):
            found = [forbidden(Path("force"), "may not be specified for non-apply patch")]
            raise errors.invalid_kind(
                "meta.k8s.io", "PatchOptions", "PatchOptions.meta.k8s.io", "", found
            )


def _mistaken(query: Query) -> Iterator[FieldError]:
    dry_run, manager = query.many("dryRun"), query.text("fieldManager")
    if dry_run not in ([], ["All"]):
        yield not_supported(Path("dryRun"), dry_run, ["All"])
    if len(manager.encode()) > MAX_NAME:
        yield too_long(Path("fieldManager"), MAX_NAME)
    elif why := name_problem(manager):
        yield invalid(Path("fieldManager"), manager, why)
    validation = query.text("fieldValidation")
    if validation and validation not in _VALIDATIONS:
        yield not_supported(Path("fieldValidation"), validation, _VALIDATIONS)


def _agent(header: str) -> str:
    """The program's own name, as managedFields shows it: what stands before the first slash."""
    name = header.partition("/")[0]
    if name.isascii() and name.isprintable():
        return name[:MAX_NAME]
    name = "".join(char for char in name if char.isprintable())
    return name.encode()[:MAX_NAME].decode(errors="ignore")
