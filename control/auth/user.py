"""The person or machine behind a request, as authentication found it. A value; never changed."""

from __future__ import annotations

from dataclasses import dataclass

ANONYMOUS_NAME = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"
SERVICE_ACCOUNTS = "system:serviceaccounts"
BOOTSTRAPPERS = "system:bootstrappers"


@dataclass(frozen=True, slots=True)
class User:
    """A name and the groups it is in."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What else the authenticator knows: names with their values."""

    @property
    def is_master(self) -> bool:
        return MASTERS in self.groups

    @property
    def node_name(self) -> str:
        """The node this user is, or "": both the name and the group are needed (A4)."""
        if NODES in self.groups and self.name.startswith(NODE_PREFIX):
            return self.name[len(NODE_PREFIX) :]
        return ""


ANONYMOUS = User(ANONYMOUS_NAME, (UNAUTHENTICATED,))


def in_process(name: str) -> User:
    """A part of the control plane that calls the API without leaving the process."""
    return User(name, (MASTERS, AUTHENTICATED))
