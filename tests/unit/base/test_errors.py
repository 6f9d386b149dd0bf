"""Errors carry a message for a person and the next step."""

from __future__ import annotations

from base.errors import PermanentError, PodwrightError, TemporaryError


def test_the_text_of_an_error_is_its_message() -> None:
    error = PermanentError("no such node", hint="See `podwright status`.")
    assert str(error) == error.message == "no such node"
    assert error.hint == "See `podwright status`."
    assert isinstance(error, PodwrightError)


def test_a_temporary_error_may_say_when_to_try_again() -> None:
    assert TemporaryError("busy", retry_after=3).retry_after == 3
    assert TemporaryError("busy").retry_after is None
