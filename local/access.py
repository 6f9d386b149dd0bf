"""What a local cluster asks its API: are the nodes ready, and may another one join.

Serves the moment between "the daemons run" and "the walk of a pod can begin". Blocking, with the
administrator's kubeconfig, over HTTP like any client.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import yaml

from api import errors, timestamps
from api.client import HttpClient
from api.core import Endpoints, Node, NodeCondition, Secret
from base import pki
from base.clock import SystemClock
from base.errors import PermanentError, TemporaryError
from local import tokens
from local.host import blocking
from local.host.waiting import wait_for
from local.tokens import Listed, Token

T = TypeVar("T")

POLL = 0.25
KUBERNETES = "kubernetes"


@dataclass(frozen=True, kw_only=True)
class JoinFacts:
    """Where other machines find the API, and how they know that it is the right one."""

    server: str
    ca_hash: str


def call(kubeconfig: Path, work: Callable[[HttpClient], Awaitable[T]]) -> T:
    """Wait for the coroutine, which gets a client."""

    async def session() -> T:
        async with HttpClient.from_kubeconfig(kubeconfig, user_agent="podwright-cli") as client:
            return await work(client)

    return blocking.wait(session)


def nodes(kubeconfig: Path) -> list[Node]:
    async def listed(client: HttpClient) -> list[Node]:
        return (await client.list(Node)).items

    return call(kubeconfig, listed)


def wait_nodes_ready(
    kubeconfig: Path,
    names: Sequence[str],
    *,
    timeout: float,
    unwell: Callable[[], str],
    started: Mapping[str, datetime] | None = None,
) -> None:
    """`unwell` says why waiting on makes no sense; empty while it does. What a node said before its
    agent was `started` does not count."""
    problem = ""

    def settled() -> bool:
        nonlocal problem
        problem = unwell()
        return bool(problem) or not not_ready(_nodes_or_none(kubeconfig), names, started)

    done = wait_for(settled, timeout=timeout, interval=POLL)
    if problem:
        raise PermanentError(problem)
    if not done:
        lines = not_ready(_nodes_or_none(kubeconfig), names, started)
        raise PermanentError(
            f"after {timeout:g} s not all nodes are ready:\n" + "\n".join(lines),
            hint="`podwright status` shows what runs and where the logs are.",
        )


def not_ready(
    found: Sequence[Node], names: Sequence[str], started: Mapping[str, datetime] | None = None
) -> list[str]:
    """A line for each of the nodes that is not Ready. Pure."""
    by_name = {node.metadata.name: node for node in found}
    lines = []
    for name in names:
        node = by_name.get(name)
        if node is None:
            lines.append(f"{name}: has not registered")
            continue
        ready = next((each for each in node.status.conditions if each.type == "Ready"), None)
        if ready is None:
            lines.append(f"{name}: says nothing of its condition")
        elif ready.status != "True":
            lines.append(f"{name}: {ready.reason}: {ready.message}")
        elif started and name in started and _said_before(ready, started[name]):
            lines.append(f"{name}: has not reported since it was started")
    return lines


def _said_before(condition: NodeCondition, moment: datetime) -> bool:
    """Times in conditions are whole seconds."""
    said = condition.last_heartbeat_time
    return not said or timestamps.parse(said) < moment.replace(microsecond=0)


def create_token(kubeconfig: Path, *, seconds: float | None, description: str = "") -> Token:
    token = tokens.generate()
    now = SystemClock().now()
    secret = tokens.secret_of(token, now=now, seconds=seconds, description=description)

    async def create(client: HttpClient) -> None:
        await client.create(secret)

    call(kubeconfig, create)
    return token


def list_tokens(kubeconfig: Path) -> list[Listed]:
    async def listed(client: HttpClient) -> list[Secret]:
        return (await client.list(Secret, tokens.NAMESPACE)).items

    return [token for each in call(kubeconfig, listed) if (token := tokens.read(each))]


def delete_token(kubeconfig: Path, id_: str) -> None:
    async def delete(client: HttpClient) -> None:
        try:
            await client.delete(Secret, tokens.PREFIX + id_, tokens.NAMESPACE)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
            raise PermanentError(
                f"there is no token {id_!r}", hint="`podwright token list` shows those there are."
            ) from None

    call(kubeconfig, delete)


def join_facts(kubeconfig: Path) -> JoinFacts:
    """The kubeconfig may name 127.0.0.1; what holds for other machines, the cluster itself knows."""

    async def ask(client: HttpClient) -> Endpoints:
        return await client.get(Endpoints, KUBERNETES, "default")

    subsets = call(kubeconfig, ask).subsets
    if not subsets or not subsets[0].addresses or not subsets[0].ports:
        raise PermanentError(
            "the cluster does not yet say where its API is",
            hint="A moment after its start it does: try again.",
        )
    server = f"https://{subsets[0].addresses[0].ip}:{subsets[0].ports[0].port}"
    return JoinFacts(server=server, ca_hash=pki.ca_hash(authority(kubeconfig)))


def authority(kubeconfig: Path) -> bytes:
    """The CA certificate of the kubeconfig's only cluster."""
    document = yaml.load(kubeconfig.read_bytes(), Loader=yaml.CSafeLoader)
    try:
        return base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise PermanentError(
            f"{kubeconfig} does not hold the cluster's CA certificate",
            hint="Use the kubeconfig that `podwright up` or `podwright control` wrote.",
        ) from None


def _nodes_or_none(kubeconfig: Path) -> list[Node]:
    try:
        return nodes(kubeconfig)
    except TemporaryError:
        return []
