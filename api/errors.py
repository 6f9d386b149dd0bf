"""API errors: a `Status` that can be raised, with Kubernetes' exact messages.

    PodwrightError
    └── ApiError            .status .code .reason; what a server answers and a client receives

Serves step 1 of the pod's walk, and every controller that asks "was it not found, or a conflict?"
(`is_not_found`, `is_conflict`, …). Clients match on these messages and on `details`, so they are
spelled as Kubernetes spells them. In `details.kind`, NotFound and its like carry the plural
resource and Invalid carries the Kind; that is Kubernetes' habit, not a slip.

Pure: no I/O, no state.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.fielderrors import FieldError
from api.meta import Status, StatusCause, StatusDetails
from api.scheme import Resource
from base.errors import PodwrightError

OBJECT_MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class ApiError(PodwrightError):
    """An answer of the API other than success."""

    def __init__(self, status: Status, *, hint: str = "") -> None:
        super().__init__(status.message, hint=hint)
        self.status = status

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return self.status.code

    @property
    def reason(self) -> str:
        """The machine-readable reason, `NotFound`."""
        return self.status.reason

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the server asks to try again, if it does."""
        details = self.status.details
        return (details.retry_after_seconds or None) if details else None

    def __repr__(self) -> str:
        return f"ApiError({self.code} {self.reason}: {self.message!r})"


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return _error(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    """401: who is asking is not known."""
    return _error(401, "Unauthorized", message)


def forbidden(resource: Resource | None, name: str, why: str) -> ApiError:
    """403: who is asking may not do this."""
    if resource is None:
        return _error(403, "Forbidden", f"forbidden: {why}")
    named = f'{resource.qualified_name} "{name}"' if name else resource.qualified_name
    return _error(403, "Forbidden", f"{named} is forbidden: {why}", _details(resource, name))


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no object of that name."""
    message = f'{resource.qualified_name} "{name}" not found'
    return _error(404, "NotFound", message, _details(resource, name))


def path_not_found() -> ApiError:
    """404: nothing is served at this path (not the same as an object that does not exist)."""
    message = "the server could not find the requested resource"
    return _error(404, "NotFound", message, StatusDetails())


def method_not_allowed(resource: Resource, action: str, why: str = "") -> ApiError:
    """405: the kind does not support this verb, or does not now."""
    message = why or f'{action} is not supported on resources of kind "{resource.qualified_name}"'
    return _error(405, "MethodNotAllowed", message, _details(resource, ""))


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    """406: no media type of the Accept header can be produced."""
    listed = ", ".join(accepted)
    message = f"only the following media types are accepted: {listed}"
    return _error(406, "NotAcceptable", message)


def already_exists(resource: Resource, name: str) -> ApiError:
    """409: an object of that name exists."""
    message = f'{resource.qualified_name} "{name}" already exists'
    return _error(409, "AlreadyExists", message, _details(resource, name))


def generate_name_conflict(resource: Resource, name: str, retry_after: int = 1) -> ApiError:
    """409: no free name was found for a generateName."""
    message = (
        f'{resource.qualified_name} "{name}" already exists, '
        "the server was not able to generate a unique name for the object"
    )
    details = _details(resource, name)
    details.retry_after_seconds = retry_after
    return _error(409, "AlreadyExists", message, details)


def conflict(resource: Resource, name: str, why: str = OBJECT_MODIFIED) -> ApiError:
    """409: somebody else changed the object meanwhile, or a precondition does not hold."""
    message = f'Operation cannot be fulfilled on {resource.qualified_name} "{name}": {why}'
    return _error(409, "Conflict", message, _details(resource, name))


def apply_conflict(message: str, causes: Sequence[StatusCause]) -> ApiError:
    """409: server-side apply would take fields that another manager owns."""
    return _error(409, "Conflict", message, StatusDetails(causes=list(causes)))


def gone(message: str) -> ApiError:
    """410: it existed and never will again."""
    return _error(410, "Gone", message)


def expired(message: str) -> ApiError:
    """410: the resourceVersion or the continue token is too old; list again."""
    return _error(410, "Expired", message)


def too_old(requested: int, oldest: int) -> ApiError:
    """410 of a watch that starts before what is kept."""
    return expired(f"too old resource version: {requested} ({oldest})")


def too_large(message: str) -> ApiError:
    """413: the body is larger than is read."""
    return _error(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415: the body's Content-Type is not understood."""
    listed = ", ".join(accepted)
    message = (
        f"the body of the request was in an unknown format - accepted media types include: {listed}"
    )
    return _error(415, "UnsupportedMediaType", message)


def unsupported_encoding(encoding: str) -> ApiError:
    """415: the body is compressed in a way that is not undone here."""
    message = f"the body has Content-Encoding {encoding[:40]!r}: send it as it is, or as gzip"
    return _error(415, "UnsupportedMediaType", message)


MOST_ERRORS = 1000
"""As many as an answer tells of: an object of megabytes may have a hundred thousand."""


def invalid(resource: Resource, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422: the object was understood and is wrong; one cause for each field."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return invalid_kind(resource.group, resource.kind, qualified, name, errors)


def invalid_kind(
    group: str, kind: str, qualified: str, name: str, errors: Sequence[FieldError]
) -> ApiError:
    """422 of a kind that is not a stored resource, such as an options object."""
    told = errors[:MOST_ERRORS]
    causes = [
        StatusCause(reason=str(error.kind), message=error.message, field=error.field)
        for error in told
    ]
    message = f'{qualified} "{name}" is invalid'
    if errors:
        message += f": {aggregate([str(error) for error in told])}"
    if len(errors) > len(told):
        message += f" and {len(errors) - len(told)} more errors"
    details = StatusDetails(group=group, kind=kind, name=name, causes=causes)
    return _error(422, "Invalid", message, details)


def unprocessable(message: str) -> ApiError:
    """422 without a field to blame, such as a patch that does not fit the object."""
    return _error(422, "Invalid", message)


def too_many_requests(message: str, retry_after: int = 1) -> ApiError:
    """429: try again later; evictions use it too."""
    details = StatusDetails(retry_after_seconds=retry_after)
    return _error(429, "TooManyRequests", message, details)


def internal(message: str) -> ApiError:
    """500: our fault."""
    details = StatusDetails(causes=[StatusCause(message=message)])
    return _error(500, "InternalError", f"Internal error occurred: {message}", details)


def server_timeout(resource: Resource, operation: str, retry_after: int = 1) -> ApiError:
    """500: a passing failure, the operation was not done."""
    message = (
        f"The {operation} operation against {resource.qualified_name} "
        "could not be completed at this time, please try again."
    )
    details = _details(resource, operation)
    details.retry_after_seconds = retry_after
    return _error(500, "ServerTimeout", message, details)


def unavailable(message: str) -> ApiError:
    """503: not ready to serve this."""
    return _error(503, "ServiceUnavailable", message)


def timeout(message: str, retry_after: int = 0) -> ApiError:
    """504: it took too long and may yet happen."""
    details = StatusDetails(retry_after_seconds=retry_after)
    return _error(504, "Timeout", f"Timeout: {message}", details)


def too_large_resource_version(requested: int, current: int, retry_after: int = 1) -> ApiError:
    """504: a resourceVersion of the future."""
    error = timeout(f"Too large resource version: {requested}, current: {current}", retry_after)
    details = error.status.details
    assert details is not None
    details.causes = [
        StatusCause(reason="ResourceVersionTooLarge", message="Too large resource version")
    ]
    return error


def is_not_found(error: BaseException | None) -> bool:
    """No object of that name."""
    return _has_reason(error, "NotFound")


def is_already_exists(error: BaseException | None) -> bool:
    """An object of that name exists."""
    return _has_reason(error, "AlreadyExists")


def is_conflict(error: BaseException | None) -> bool:
    """Somebody else changed the object meanwhile."""
    return _has_reason(error, "Conflict")


def is_gone(error: BaseException | None) -> bool:
    """The resourceVersion is too old: list again."""
    return _has_reason(error, "Gone", "Expired")


def is_invalid(error: BaseException | None) -> bool:
    """The object was refused by validation."""
    return _has_reason(error, "Invalid")


def is_forbidden(error: BaseException | None) -> bool:
    """Not allowed."""
    return _has_reason(error, "Forbidden")


def is_namespace_terminating(error: BaseException | None) -> bool:
    """Refused because the object's namespace is going away; trying again is useless."""
    if not isinstance(error, ApiError) or error.status.details is None:
        return False
    return any(cause.reason == "NamespaceTerminating" for cause in error.status.details.causes)


def is_too_many_requests(error: BaseException | None) -> bool:
    """Asked to try again later."""
    return _has_reason(error, "TooManyRequests")


def aggregate(messages: Sequence[str]) -> str:
    """Several messages as one, each once: `a`, or `[a, b]`."""
    distinct = list(dict.fromkeys(messages))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def _has_reason(error: BaseException | None, *reasons: str) -> bool:
    return isinstance(error, ApiError) and error.reason in reasons


def _details(resource: Resource, name: str) -> StatusDetails:
    return StatusDetails(group=resource.group, kind=resource.plural, name=name)


def _error(code: int, reason: str, message: str, details: StatusDetails | None = None) -> ApiError:
    return ApiError(
        Status(status="Failure", message=message, reason=reason, details=details, code=code)
    )
