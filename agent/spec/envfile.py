"""Files of variables, which an init container writes for those after it (step 4 of the pod's walk). Pure.

What `valueFrom.fileKeyRef` reads, as documented in "Define environment variable values using an init
container": `NAME='value'` with single quotes, within which everything, line ends too, is the value;
empty lines and lines that begin with # say nothing.
"""

from __future__ import annotations

import re

from agent.spec.errors import ConfigError

LARGEST = 64 * 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)


def parse(text: str) -> dict[str, str]:
    """The variables of a file; the last of a name counts. Raises ConfigError with the line."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].strip()
        if not line or line.startswith("#"):
            at = end + 1
            continue
        start = at + len(text[at:end]) - len(text[at:end].lstrip())
        name = _NAME.match(text, start)
        if name is None or not text.startswith("='", name.end()):
            raise _broken(text, at, "expected NAME='value'")
        begin = name.end() + 2
        close = text.find("'", begin)
        if close < 0:
            raise _broken(text, at, "the quote is not closed")
        found[name[0]] = text[begin:close]
        end = text.find("\n", close)
        end = len(text) if end < 0 else end
        rest = text[close + 1 : end].strip()
        if rest and not rest.startswith("#"):
            raise _broken(text, close, "there is something behind the value")
        at = end + 1
    return found


def _broken(text: str, at: int, why: str) -> ConfigError:
    return ConfigError(f"line {text.count(chr(10), 0, at) + 1}: {why}")
