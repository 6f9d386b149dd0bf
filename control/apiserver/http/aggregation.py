"""Requests for groups that an APIService says another server answers: 503, and why.

Serves step 1 of the pod's walk. Nothing is passed on yet, and a plain 404 would say that nobody has
heard of the group. Discovery is left as it is: clients that list everything are not to stumble.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from api import errors
from api.apiregistration import APIService
from api.errors import ApiError
from control.admission.chain import Reader
from control.resources.apiregistration.apiservice import refusal

Foreign = Callable[[Sequence[str]], ApiError | None]


def foreign(reader: Reader) -> Foreign:
    """Asks of the parts of a path whether it belongs to another server."""

    def find(parts: Sequence[str]) -> ApiError | None:
        if len(parts) < 3 or parts[0] != "apis":
            return None
        found = reader.get(APIService, f"{parts[2]}.{parts[1]}")
        if found is None or found.spec.service is None:
            return None
        return errors.unavailable(f"{refusal(found.spec)} (APIService {found.metadata.name})")

    return find
