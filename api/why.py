"""Answers to "why?": what was decided about a pod, and what would help (group `podwright.io`).

Serves every step of a pod's walk, for those who watch it. An Explanation is made when it is asked for
and stored nowhere.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Int32, Time, pb, type_meta


class Amount(ApiStruct, kw_only=True):
    """One resource, as far as it is lacking."""

    resource: Annotated[str, pb(1)]
    """Such as `cpu` or `memory`."""
    needed: Annotated[str, pb(2)]
    """What the pod asks for."""
    free: Annotated[str, pb(3)]
    """What the node had left when it was decided."""


class NodeVerdict(ApiStruct, kw_only=True):
    """What was found about one node."""

    node: Annotated[str, pb(1)]
    """Its name."""
    filter: Annotated[str, pb(2)] = ""
    """The scheduling plugin that refused it; empty for a node that could run the pod."""
    reasons: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Why it was refused."""
    lacking: Annotated[list[Amount], pb(4), LIST_ATOMIC] = []
    """The resources that it has too little of."""
    score: Annotated[Int32 | None, pb(5)] = None
    """Its weighted sum of scores, if it could run the pod."""
    scores: Annotated[dict[str, Int32], pb(6)] = {}
    """What each scheduling plugin added to the sum; kept for the best few."""


class Finding(ApiStruct, kw_only=True):
    """One thing that explains the state of the pod."""

    topic: Annotated[str, pb(1)]
    """What it is about: `Scheduling`, `Start`, `Restart`, `Readiness`, `Termination`, `End`."""
    message: Annotated[str, pb(2)]
    """What is known, in a sentence."""
    since: Annotated[Time | None, pb(3)] = None
    """When it began, or was last seen."""


class Death(ApiStruct, kw_only=True):
    """How a container ended that should not have, as the agent found it."""

    container: Annotated[str, pb(1)]
    """Its name."""
    container_id: Annotated[str, pb(2)]
    """The engine's."""
    cause: Annotated[str, pb(3)]
    """Why it ended, in a sentence."""
    restart_count: Annotated[Int32, pb(4)] = 0
    """Which of its lives it was; 0 is the first."""
    exit_code: Annotated[Int32, pb(5)] = 0
    """What its program returned."""
    signal: Annotated[str, pb(6)] = ""
    """The signal that the exit code stands for, such as `SIGKILL`."""
    out_of_memory: Annotated[bool, pb(7)] = False
    """The kernel killed it because its memory was used up."""
    memory_limit: Annotated[str, pb(8)] = ""
    """What it was allowed; empty without a limit."""
    memory_peak: Annotated[str, pb(9)] = ""
    """The most memory that its pod ever had; only where memory was the cause."""
    last_lines: Annotated[list[str], pb(10), LIST_ATOMIC] = []
    """The end of its log."""
    changes: Annotated[list[str], pb(11), LIST_ATOMIC] = []
    """What happened to the pod just before, the newest first."""
    started_at: Annotated[Time | None, pb(12)] = None
    """When it was started."""
    finished_at: Annotated[Time | None, pb(13)] = None
    """When it ended."""


class Explanation(ApiStruct, kw_only=True):
    """Why a pod is as it is."""

    api_version: str = type_meta("podwright.io/v1alpha1")
    """Group and version of this schema: `podwright.io/v1alpha1`."""
    kind: str = type_meta("Explanation")
    """Name of this schema: `Explanation`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """The pod's name, namespace and identity."""
    summary: Annotated[str, pb(2)] = ""
    """The answer in a sentence."""
    findings: Annotated[list[Finding], pb(3), LIST_ATOMIC] = []
    """What it rests on, the most important first."""
    decided_at: Annotated[Time | None, pb(4)] = None
    """When the scheduler last decided about the pod."""
    attempts: Annotated[Int32, pb(5)] = 0
    """How often it has decided about the pod since it was started."""
    nodes: Annotated[list[NodeVerdict], pb(6), LIST_ATOMIC] = []
    """Its verdict about each node, as recorded at that moment."""
    remedies: Annotated[list[str], pb(7), LIST_ATOMIC] = []
    """What would let the pod be placed; each was tried out on the cluster as it is now."""
    deaths: Annotated[list[Death], pb(8), LIST_ATOMIC] = []
    """How its containers died, the newest first, if the agent of its node can be asked."""
