"""Regular expressions in Go's notation (RE2), which schemas of custom resources are written in.

Serves step 1 of the pod's walk for custom resources. RE2 itself reads them: what Kubernetes' API
server takes and refuses is taken and refused here, and a search takes time linear in the text, so
that no pattern of a definition can stop the server (Python's own `re` may take forever). Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import re2


class Pattern(Protocol):
    """A pattern that was read."""

    def search(self, text: str) -> Any:
        """Truthy when some part of the text matches."""


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> Pattern:
    """A pattern in Go's notation, ready for `search`.

    Raises:
        ValueError: it is none.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        pattern: Pattern = re2.compile(text, options)
    except re2.error as error:
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ValueError(f"error parsing regexp: {why}") from None
    return pattern
