"""`$(VAR)` in command, args and env values, by Kubernetes' rules (step 4 of the pod's walk). Pure.

`$(NAME)` is replaced when NAME is known and stays as it is when not; `$$` is a literal `$`, so
`$$(NAME)` is never replaced. Values that were put in are not expanded again.
"""

from __future__ import annotations

from collections.abc import Mapping


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace the references in `text`."""
    if "$" not in text:
        return text
    out: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        out.append(text[position:dollar])
        following = text[dollar + 1]
        end = text.find(")", dollar) if following == "(" else -1
        if following == "$":
            out.append("$")
            position = dollar + 2
        elif end > 0:
            name = text[dollar + 2 : end]
            out.append(known.get(name, text[dollar : end + 1]))
            position = end + 1
        else:  # "$x", or "$(" without an end: kept as it is
            out.append(text[dollar : dollar + 2])
            position = dollar + 2
    out.append(text[position:])
    return "".join(out)


def missing(text: str, known: Mapping[str, str]) -> str:
    """The first name that `text` refers to and nobody knows; empty when all are known.

    For subPathExpr, where leaving a reference in place would mount another directory.
    """
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        if text.startswith("$$", dollar):
            position = dollar + 2
            continue
        end = text.find(")", dollar)
        if text.startswith("$(", dollar) and end > 0:
            name = text[dollar + 2 : end]
            if name not in known:
                return name
        position = dollar + 1
    return ""
