"""The filters by name, and what a profile changes about them for its pods. Walk step 3."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from api.core import NodeSelector, PreferredSchedulingTerm, TopologySpreadConstraint


class Filter(Enum):
    """The filters by the names of Kubernetes' scheduling plugins, in the order they run."""

    NODE_UNSCHEDULABLE = "NodeUnschedulable"
    NODE_NAME = "NodeName"
    TAINT_TOLERATION = "TaintToleration"
    NODE_AFFINITY = "NodeAffinity"
    NODE_PORTS = "NodePorts"
    NODE_RESOURCES_FIT = "NodeResourcesFit"
    VOLUME_RESTRICTIONS = "VolumeRestrictions"
    NODE_VOLUME_LIMITS = "NodeVolumeLimits"
    VOLUME_BINDING = "VolumeBinding"
    VOLUME_ZONE = "VolumeZone"
    POD_TOPOLOGY_SPREAD = "PodTopologySpread"
    INTER_POD_AFFINITY = "InterPodAffinity"


@dataclass(frozen=True, kw_only=True, eq=False)
class Rules:
    """What holds for the pods of a profile, whatever they say themselves.

    `skips`: filters that are left out. `ignored` and `ignored_groups`: extended resources that need not
    be there, by their names or by what stands before the slash. `required` and `preferred` are added to
    each pod's node affinity; `spread` stands for the constraints of a pod that has none.
    """

    skips: frozenset[Filter] = frozenset()
    ignored: frozenset[str] = frozenset()
    ignored_groups: frozenset[str] = frozenset()
    required: NodeSelector | None = None
    preferred: tuple[PreferredSchedulingTerm, ...] = ()
    spread: tuple[TopologySpreadConstraint, ...] = ()

    def passed_over(self, resources: Iterable[str]) -> Iterator[str]:
        """Those of some resources that nobody looks for."""
        for name in resources:
            if name in self.ignored or name.partition("/")[0] in self.ignored_groups:
                yield name


NO_RULES = Rules()
