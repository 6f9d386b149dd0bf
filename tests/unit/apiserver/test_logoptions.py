"""What may be asked of a log."""

from __future__ import annotations

import pytest

from control.apiserver.agents.logoptions import problems


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, []),
        ({"tailLines": "0", "limitBytes": "1", "sinceSeconds": "1", "stream": "All"}, []),
        ({"sinceTime": "2026-01-02T03:04:05Z", "stream": "Stderr"}, []),
        ({"tailLines": "many"}, []),
        (
            {"tailLines": "-1", "limitBytes": "0", "sinceSeconds": "0"},
            [
                "tailLines: Invalid value: -1: must be greater than or equal to 0",
                "limitBytes: Invalid value: 0: must be greater than 0",
                "sinceSeconds: Invalid value: 0: must be greater than 0",
            ],
        ),
        (
            {"sinceSeconds": "1", "sinceTime": "2026-01-02T03:04:05Z"},
            [": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"],
        ),
        (
            {"stream": "stdin"},
            ['stream: Unsupported value: "stdin": supported values: "All", "Stderr", "Stdout"'],
        ),
        (
            {"stream": "Stdout", "tailLines": "3"},
            [
                "tailLines: Forbidden: `tailLines` and specific `stream` are mutually exclusive"
                " for now"
            ],
        ),
    ],
)
def test_problems(query: dict[str, str], expected: list[str]) -> None:
    assert [str(problem) for problem in problems(query)] == expected
