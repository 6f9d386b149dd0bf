"""What keeps a pod from without: its node, its claims, and what its owner could not make. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from api import conditions, objects, pods
from api.core import Event, Node, PersistentVolumeClaim, Pod
from api.why import Finding
from control.why.events import last_seen, spelled

REFUSED = "FailedCreate"


def of_node(pod: Pod, node: Node | None) -> Iterator[Finding]:
    """A node that is gone or not well. `node` is None when there is none of that name."""
    name = pod.spec.node_name
    if node is None:
        words = f"its node {name} is gone; the pod garbage collector deletes the pod"
        yield Finding(topic="Node", message=words)
        return
    ready = conditions.find(node.status.conditions, "Ready")
    if ready is not None and ready.status == "True":
        return
    words = f"its node {name} is not ready"
    if ready is not None:
        words = f"{words}: {ready.reason}: {ready.message}".removesuffix(": ")
    if pod.metadata.deletion_timestamp and (ready is None or ready.status == "Unknown"):
        words += (
            "; nobody can say that the pod's containers have ended. It goes when the node answers or is"
            f" deleted; if the machine is off for good, taint {name}"
            " node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, or kubectl delete pod --force"
        )
    yield Finding(
        topic="Node", message=words, since=ready.last_transition_time if ready is not None else None
    )


def of_claims(
    pod: Pod, claims: Iterable[PersistentVolumeClaim], events: Sequence[Event]
) -> Iterator[Finding]:
    """The pod's claims that are missing, not bound, or going. `events` are those of claims."""
    there = {claim.metadata.name: claim for claim in claims}
    for name in dict.fromkeys(pods.claims(pod)):
        claim = there.get(name)
        if claim is None:
            yield Finding(topic="Volume", message=f"its claim {name} does not exist")
            continue
        words = f"its claim {name} is {claim.status.phase or 'Pending'}"
        if claim.metadata.deletion_timestamp:
            words = f"its claim {name} is being deleted, and goes when no pod uses it"
        elif claim.status.phase == "Bound":
            continue
        own = [one for one in events if one.involved_object.uid == claim.metadata.uid]
        if own:
            words += f": {spelled(max(own, key=last_seen))}"
        yield Finding(topic="Volume", message=words, since=claim.metadata.creation_timestamp)


def of_owner(pod: Pod, events: Iterable[Event]) -> Iterator[Finding]:
    """Pods that the owner was refused, by a quota or a policy. `events` are the owner's."""
    owner = objects.controller_of(pod)
    refused = [one for one in events if one.reason == REFUSED]
    if owner is None or not refused:
        return
    latest = max(refused, key=last_seen)
    yield Finding(
        topic="Owner",
        message=f"its {owner.kind} {owner.name} could not make others: {spelled(latest)}",
        since=last_seen(latest) or None,
    )
