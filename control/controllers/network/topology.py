"""Which Services share their endpoints out among the zones, and whether that works. Walk step 6.

What a zone's share is hangs on all nodes: it is counted anew when a node comes, goes, or changes what
it counts for, and then every such Service is looked at again. Whether a Service has such hints is told
in an event when it changes, as in Kubernetes. Decisions: `hints`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from api import nodes
from api.core import Node, Service
from api.events import EventRecorder
from api.informer import Informer
from api.objects import Key
from control.controllers.network.backends import Backend, Ports
from control.controllers.network.hints import Hints, Shares, hints_of, is_automatic, zone_shares


class Topology:
    """The hints of each Service, over the nodes as they are."""

    def __init__(self, informer: Informer[Node], recorder: EventRecorder) -> None:
        self._nodes = informer
        self._recorder = recorder
        self._shares: Shares | None = None
        self._counted = False
        self._verdicts: dict[Key, str] = {}
        """Of each Service whose endpoints are shared out: why not; empty where they are."""

    def changed(self, old: Node | None, new: Node | None) -> Collection[Key]:
        """A node came, went, or changed: the Services that may have other hints now."""
        if _counts_for(old) == _counts_for(new):
            return ()
        self._counted = False
        return tuple(self._verdicts)

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._verdicts.pop(key, None)

    def hints(self, key: Key, service: Service, groups: Mapping[Ports, Sequence[Backend]]) -> Hints:
        """The hints of a Service's backends; all its ports together."""
        automatic = is_automatic(service)
        if automatic and not self._counted:
            self._shares, self._counted = zone_shares(self._nodes.items()), True
        members = {one.pod: one for group in groups.values() for one in group}
        found = hints_of(service, members.values(), self._shares)
        if automatic:
            self._tell(key, service, found.disabled)
        elif self._verdicts.pop(key, None) == "":
            self._say(service, "")
        return found.hints

    def _tell(self, key: Key, service: Service, disabled: str) -> None:
        before = self._verdicts.get(key)
        self._verdicts[key] = disabled
        if before != disabled:
            self._say(service, disabled, enabled=not disabled)

    def _say(self, service: Service, why: str, *, enabled: bool = False) -> None:
        type_ = "Warning" if why else "Normal"
        reason = "TopologyAwareHintsEnabled" if enabled else "TopologyAwareHintsDisabled"
        words = why or f"Topology Aware Hints has been {'enabled' if enabled else 'disabled'}"
        self._recorder.event(service, type_, reason, f"{words}, addressType: IPv4")


def _counts_for(node: Node | None) -> tuple[object, ...]:
    if node is None:
        return ()
    cpu = nodes.allocatable(node).get("cpu", 0)
    return cpu, nodes.is_ready(node), node.metadata.labels
