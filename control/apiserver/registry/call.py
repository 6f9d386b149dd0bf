"""Who calls, and how: what accompanies an object through the pipeline.

A `Call` lives as long as its request and belongs to it alone; warnings collect in it on the way and
leave as `Warning` headers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from control.auth.user import User

if TYPE_CHECKING:
    from control.apiserver.registry.versions import Version


MAX_WARNINGS = 200
"""More than an answer has room for: each is compared with all before it."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One request to the registry."""

    user: User
    dry_run: bool = False
    field_manager: str = ""
    agent: str = ""
    """Whose fields they are when nobody said: the program, as it names itself."""
    force: bool = False
    """Whether an apply may take the fields of others."""
    field_validation: str = "Warn"
    version: Version | None = None
    """In which version the client speaks; None: in the one that is stored."""
    large: bool = False
    """What was sent is large: work on it is done apart."""
    warnings: list[str] = field(default_factory=list)

    @property
    def manager(self) -> str:
        return self.field_manager or self.agent or "unknown"

    def warn(self, text: str) -> None:
        if len(self.warnings) < MAX_WARNINGS and text not in self.warnings:
            self.warnings.append(text)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An object as it now is: the bytes for clients. `existed` False: it was made by this call."""

    body: bytes
    revision: int
    existed: bool = True


class Removed(msgspec.Struct, frozen=True, gc=False):
    """What a delete came to: the object, and whether it is gone or only on its way out."""

    body: bytes
    uid: str
    gone: bool
