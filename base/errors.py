"""The two kinds of error of podwright, and the hint that each may carry to the person who meets it.

    PodwrightError          a message for a person, and perhaps the next step
    ├── PermanentError      trying again changes nothing: tell the user
    └── TemporaryError      trying again later may work: retry after a delay

Errors of libraries are translated into one of these at the boundary where the library is called.
"""

from __future__ import annotations


class PodwrightError(Exception):
    """An error worded for a person. `hint` names the next step to take; it may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class PermanentError(PodwrightError):
    """Trying again changes nothing until somebody changes something."""


class TemporaryError(PodwrightError):
    """Trying again may work. `retry_after`: the delay in seconds the other side asked for."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
