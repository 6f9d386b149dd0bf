"""The command lines of the control plane and the agents of a local cluster.

Serves the start of every daemon on the walk. The settings themselves are documented where they
live, in control/settings.py and agent/settings/table.py; here stands only how a local cluster sets them.
Secrets travel in the environment, which only root can read, never in arguments, which all can.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.node.join import existing_access
from local.topology import Capacity, Member

CONTROL_PORT = 6443
LISTENER = 3
"""The number under which the control plane finds its inherited listener on 127.0.0.1."""

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Join:
    """What a machine needs to know to join."""

    token: str
    ca_hash: str


@dataclass(frozen=True, kw_only=True)
class Command:
    argv: list[str]
    environment: Mapping[str, str]


def control(
    member: Member,
    *,
    pki: Path,
    kubeconfig: Path,
    server: str,
    inherited: bool,
    options: Sequence[str] = (),
) -> Command:
    """`server` is what the administrator's kubeconfig shall name."""
    arguments = [
        f"--config={os.devnull}",  # a local cluster heeds no file of an installed one
        f"--state-dir={member.data}",
        f"--pki-dir={pki}",
        f"--port={CONTROL_PORT}",
        f"--kubeconfig-out={kubeconfig}",
        f"--kubeconfig-server={server}",
    ]
    if member.cable is not None:
        arguments.append(f"--advertise-address={member.cable.address.ip}")
    if inherited:
        arguments.append(f"--listen-fd={LISTENER}")
    return _podwright("control", [*arguments, *options], {})


def agent(
    member: Member,
    *,
    engine: str,
    server: str,
    join: Join | None,
    capacity: Capacity | None,
    options: Sequence[str] = (),
) -> Command:
    arguments = [
        f"--config={os.devnull}",
        f"--node-name={member.name}",
        f"--state-dir={member.data / 'agent'}",
        f"--run-dir={member.run / 'agent'}",
        f"--docker-host={engine}",
        f"--cgroup-root=/{member.cgroup_root}",
        f"--container-log-root={member.data / 'log'}",
        # The disk is the host's, and full of other things: its shortage is not this cluster's.
        "--eviction-hard=memory.available<100Mi",
        "--image-gc-high-threshold=100",
    ]
    if member.cable is not None:
        arguments.append(f"--node-ip={member.cable.address.ip}")
    if capacity is not None:
        arguments += [f"--capacity={name}={value}" for name, value in capacity.quantities().items()]
    environment = {}
    if join is not None:
        arguments += [f"--join={server}", f"--ca-hash={join.ca_hash}"]
        environment["PODWRIGHT_AGENT_TOKEN"] = join.token
    return _podwright("agent", [*arguments, *options], environment)


def joined(member: Member, server: str) -> bool:
    """Whether the agent has its certificate, and needs no token."""
    access = existing_access(member.data / "agent" / "pki")
    return access is not None and access.server == server


def _podwright(name: str, arguments: list[str], environment: Mapping[str, str]) -> Command:
    """`podwright NAME` as this very installation runs it, whatever folder it is started in."""
    return Command(
        argv=[sys.executable, "-P", "-m", "cli", name, *arguments],
        environment={"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1", **environment},
    )
