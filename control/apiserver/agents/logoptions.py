"""What a request for a log may ask for, by Kubernetes' rules (validation.go, ValidatePodLogOptions). Pure.

All that is wrong is told at once, before the agent is asked. What is not a number at all is the
agent's to refuse, as a query that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from api.fielderrors import FieldError, forbidden, invalid, not_supported

STREAMS = ("All", "Stderr", "Stdout")


def problems(query: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with the parameters that are given."""
    found = []
    tail, limit = _number(query, "tailLines"), _number(query, "limitBytes")
    if tail is not None and tail < 0:
        found.append(invalid("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        found.append(invalid("limitBytes", limit, "must be greater than 0"))
    seconds = _number(query, "sinceSeconds")
    if seconds is not None and query.get("sinceTime"):
        found.append(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif seconds is not None and seconds < 1:
        found.append(invalid("sinceSeconds", seconds, "must be greater than 0"))
    stream = query.get("stream", "")
    if stream and stream not in STREAMS:
        found.append(not_supported("stream", stream, STREAMS))
    if tail is not None and stream in ("Stderr", "Stdout"):
        found.append(
            forbidden(
                "tailLines", "`tailLines` and specific `stream` are mutually exclusive for now"
            )
        )
    return found


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    return int(text) if text.lstrip("+-").isdecimal() else None
