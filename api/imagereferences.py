"""Image references: what people write, and the full name it stands for (step 4 of the pod's walk).
Pure.

The grammar is that of the distribution project, whose messages users know: `busybox` means
`docker.io/library/busybox:latest`; the part before the first slash is a registry only if it holds a
dot, a colon or a capital letter, or is `localhost`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from base.errors import PermanentError

DEFAULT_DOMAIN = "docker.io"
OFFICIAL = "library"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255

_WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_WORD}(?:/{_WORD})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


class InvalidReference(PermanentError):
    """The text names no image; the message is the engine's own."""


@dataclass(frozen=True)
class Reference:
    """An image's full name."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{'@' if self.digest else ''}{self.digest}"


def parse(text: str) -> Reference:
    """The full name, with the default registry and tag filled in. Raises InvalidReference."""
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    name, tag, digest = _split(text)
    domain, path = _split_domain(name)
    if _PATH.fullmatch(path) is None or _HOST.fullmatch(domain) is None:
        if path != path.lower() and _PATH.fullmatch(path.lower()):
            raise InvalidReference(
                f"invalid reference format: repository name ({path}) must be lowercase"
            )
        raise InvalidReference("invalid reference format")
    if len(path) > NAME_LIMIT:
        raise InvalidReference(f"repository name must not be more than {NAME_LIMIT} characters")
    return Reference(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)


def with_tag(text: str) -> str:
    """The reference as written, with `:latest` if it has neither tag nor digest."""
    parse(text)
    _, tag, digest = _split(text)
    return text if tag or digest else f"{text}:{DEFAULT_TAG}"


def _split(text: str) -> tuple[str, str, str]:
    """(name, tag, digest), the latter two perhaps empty."""
    head, at, digest = text.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        raise InvalidReference("invalid reference format")
    name, colon, tag = head.rpartition(":")
    if not colon or "/" in tag:
        return head, "", digest
    if _TAG.fullmatch(tag) is None:
        raise InvalidReference("invalid reference format")
    return name, tag, digest


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    named = any(mark in first for mark in ".:") or first == "localhost" or first != first.lower()
    if slash and named:
        domain, path = first, rest
    else:
        domain, path = DEFAULT_DOMAIN, name
    if domain == f"index.{DEFAULT_DOMAIN}":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"{OFFICIAL}/{path}"
    return domain, path
