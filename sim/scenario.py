"""What a simulation is told: nodes, workloads, what becomes of pods, faults. As it stands in YAML.

Durations are written as in Kubernetes (`1m30s`), and where chance may choose, as a span: `5s..1m`.
`sim.reading` reads and checks a scenario; nothing here does.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from api.core import Taint
from api.struct import ApiStruct, RawExtension


class FaultKind(StrEnum):
    """What can go wrong."""

    NODE_LOSS = "NodeLoss"
    CONTROL_KILL = "ControlKill"
    DEADLY_WRITES = "DeadlyWrites"
    STALE_CACHES = "StaleCaches"
    SLOW_WATCHES = "SlowWatches"
    LOST_CALLS = "LostCalls"
    API_OUTAGE = "APIOutage"


class NodeGroup(ApiStruct):
    """Nodes that are alike, and named NAME-0, NAME-1 and so on."""

    name: str
    """What their names begin with."""
    count: int = 1
    """How many there are."""
    at: str = "0s"
    """When they join."""
    capacity: dict[str, str] = {}
    """What each has to give: cpu, memory, pods and whatever else pods ask for."""
    labels: dict[str, str] = {}
    """Labels of each."""
    taints: list[Taint] = []
    """Taints of each."""
    zones: list[str] = []
    """Zones in which they are, one after the other."""


class PodLife(ApiStruct):
    """What becomes of the pods that a selector selects. The first entry that fits counts."""

    selector: str = ""
    """Labels, as in `kubectl get -l`; empty: every pod."""
    namespace: str = ""
    """Only pods of this namespace; empty: of any."""
    start: str = "500ms..2s"
    """How long a pod takes to become ready on its node."""
    run: str = ""
    """How long it runs then, if it ends by itself."""
    fails: float = 0.0
    """The probability that its end is a failure."""
    stop: str = "100ms..1s"
    """How long it takes to stop."""


class Workload(ApiStruct):
    """Objects that are applied, once or again and again. `{n}` in them is the number of the time."""

    at: str = "0s"
    """When they come first."""
    every: str = ""
    """How long until they come again."""
    per_minute: float = 0.0
    """How often they come in a minute on average, at random moments (instead of `every`)."""
    count: int = 0
    """How often they come in all; 0: once, or until the end if there is `every` or `perMinute`."""
    objects: list[RawExtension] = []
    """Objects as kubectl would apply them: made, or changed where they exist."""
    delete: list[str] = []
    """Objects to delete, each as KIND/NAME or KIND/NAMESPACE/NAME."""


class Fault(ApiStruct):
    """One kind of trouble, once or again and again."""

    kind: str
    """NodeLoss, ControlKill, DeadlyWrites, StaleCaches, SlowWatches, LostCalls or APIOutage."""
    at: str = "0s"
    """When it begins."""
    every: str = ""
    """How long until it begins again."""
    count: int = 0
    """How often it happens in all; 0: once, or until the end if there is `every`."""
    for_: str = ""
    """How long it lasts."""
    nodes: int = 0
    """NodeLoss: how many nodes are cut off, chosen at random."""
    zone: str = ""
    """NodeLoss: only nodes of this zone; without `nodes`, all of them."""
    probability: float = 0.0
    """DeadlyWrites: that a write of the control plane is its last."""
    requests: float = 0.0
    """LostCalls: the probability that a write gets lost on its way to the API."""
    answers: float = 0.0
    """LostCalls: the probability that the answer to a write gets lost."""
    delay: str = ""
    """SlowWatches: how late changes are seen."""


class Network(ApiStruct):
    """How the network is when nothing is wrong with it."""

    request: str = "1ms..3ms"
    """How long a call to the API takes in each direction."""
    watch: str = "1ms..20ms"
    """How late changes are seen."""


class Scenario(ApiStruct):
    """A simulation from its beginning to its end."""

    duration: str
    """How long it lasts."""
    seed: int = 1
    """What all chance comes from, unless the command line says otherwise."""
    nodes: list[NodeGroup] = []
    """The nodes."""
    pods: list[PodLife] = []
    """What becomes of pods."""
    workloads: list[Workload] = []
    """What is asked of the cluster."""
    faults: list[Fault] = []
    """What goes wrong."""
    network: Network = field(default_factory=Network)
    """The network."""
