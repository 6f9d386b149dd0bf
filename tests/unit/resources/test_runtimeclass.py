"""What a RuntimeClass may say."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    said,
    strategy_of,
)

KIND = "RuntimeClass"
TOLERATION = {"key": "sandbox", "operator": "Exists"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"overhead": REMOVE, "scheduling": REMOVE},
        {"overhead": {}, "scheduling": {}},
        {"overhead.podFixed[example.com/gpu]": "1"},
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(KIND).validate(complete(KIND, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"handler": ""}, "handler", "RFC 1123 label"),
        ({"handler": "a.b"}, "handler", "must not contain dots"),
        ({"overhead.podFixed[cpu]": "-1"}, "overhead.podFixed[cpu]", "greater than or equal to 0"),
        ({"overhead.podFixed[speed]": "1"}, "overhead.podFixed[speed]", "standard resource"),
        (
            {"scheduling.nodeSelector[a]": "b c"},
            "scheduling.nodeSelector",
            "a valid label must be",
        ),
        (
            {"scheduling.tolerations[0].operator": "Like"},
            "scheduling.tolerations[0].operator",
            '"Equal", "Exists"',
        ),
        (
            {"scheduling.tolerations": [TOLERATION, TOLERATION]},
            "scheduling.tolerations[1]",
            "Duplicate value",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(KIND).validate(complete(KIND, change)), field, words)


def test_the_handler_never_changes() -> None:
    old = complete(KIND)
    errors = strategy_of(KIND).validate_update(changed(KIND, old, {"handler": "other"}), old)
    assert_says(errors, "handler", "field is immutable")
