"""Pods that wait for room on a node which others are leaving for them. Walk step 3.

From the moment a node was chosen until the pod is bound, what it asks for counts there, as if it
ran already, for every pod that is not more important: or the room would be gone to whoever comes
first. For itself and for those that are more important it does not count.

Single-threaded, part of the scheduler; kept after the pods' `status.nominatedNodeName`, so that it
is complete again after a restart.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from control.scheduler.request import Request
from control.scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Nomination:
    """A pod and the node that it waits for. `place` is what counts in its stead."""

    request: Request
    node: str
    place: Request


class Nominations:
    """Which pods wait for which node, counted in the snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._of: dict[str, Nomination] = {}
        self._priorities: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._of)

    def node_of(self, uid: str) -> str:
        """The node that a pod waits for; empty for none."""
        known = self._of.get(uid)
        return known.node if known is not None else ""

    def put(self, request: Request, node: str) -> None:
        """The pod waits for this node, and for no other any more."""
        self.drop(request.uid)
        place = replace(request, uid=f"nominated/{request.uid}", owner="")
        self._of[request.uid] = Nomination(request, node, place)
        self._priorities[request.priority] += 1
        self._snapshot.add_pod(place, node)

    def drop(self, uid: str) -> bool:
        """The pod waits no longer; returns whether it did."""
        known = self._of.pop(uid, None)
        if known is not None:
            self._snapshot.remove_pod(known.place.uid)
            self._priorities[known.request.priority] -= 1
        return known is not None

    def on(self, nodes: Collection[str]) -> list[Request]:
        """Pods that wait for one of these nodes."""
        return [one.request for one in self._of.values() if one.node in nodes]

    def below(self, node: str, priority: int) -> list[Request]:
        """Pods of lower priority that wait for a node."""
        return [
            one.request
            for one in self._of.values()
            if one.node == node and one.request.priority < priority
        ]

    @contextmanager
    def away(self) -> Iterator[None]:
        """The snapshot with none of them: only what is there in fact."""
        hidden = [one for one in self._of.values() if self._snapshot.remove_pod(one.place.uid)]
        try:
            yield
        finally:
            for one in hidden:
                self._snapshot.add_pod(one.place, one.node)

    @contextmanager
    def seen_by(self, request: Request) -> Iterator[None]:
        """The snapshot as this pod sees it: without its own place and those of the less important."""
        hidden = [self._of[request.uid]] if request.uid in self._of else []
        if any(number and one < request.priority for one, number in self._priorities.items()):
            hidden += [one for one in self._of.values() if one.request.priority < request.priority]
        for one in hidden:
            self._snapshot.remove_pod(one.place.uid)
        try:
            yield
        finally:
            for one in hidden:
                self._snapshot.add_pod(one.place, one.node)
