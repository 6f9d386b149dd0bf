"""Who asks the agent, and whether that is enough (pure).

The agent trusts the cluster's CA and nothing else. Much of what it serves amounts to being root on
the node, so only the API server and the cluster's administrators are let in unasked; what a user may do
was decided by the API server, which passes the request on under its own name. About everybody else the
API server is asked (`gate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

API_SERVER = "kube-apiserver-kubelet-client"
ADMINISTRATORS = "system:masters"


@dataclass(frozen=True)
class Identity:
    """The subject of a client certificate: CN is the user's name, each O a group."""

    name: str
    groups: frozenset[str]
    uid: str = ""

    @property
    def allowed(self) -> bool:
        return self.name == API_SERVER or ADMINISTRATORS in self.groups


def identity(certificate: Mapping[str, Any] | None) -> Identity | None:
    """From what `SSLSocket.getpeercert()` says of a verified certificate; None without one."""
    subject = (certificate or {}).get("subject", ())
    pairs = [pair for part in subject for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    if not names:
        return None
    groups = frozenset(value for key, value in pairs if key == "organizationName")
    return Identity(names[-1], groups)
