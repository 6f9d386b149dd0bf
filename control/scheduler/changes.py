"""Which changes of a pod concern its placement. Walk step 3. Pure."""

from api import objects, pods
from api.core import Pod


def matters(old: Pod, new: Pod) -> bool:
    """Whether a pod asks for something else than before, holds it, or counts as another's: it was adopted.

    Most updates are of a status, and do not matter.
    """
    return (
        old.spec != new.spec
        or old.metadata.labels != new.metadata.labels
        or old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
        or objects.controller_of(old) != objects.controller_of(new)
        or _held(old) != _held(new)
    )


def _held(pod: Pod) -> list[object]:
    """What `api.pods.held_requests` reads of a status."""
    listed = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    resize = pods.condition(pod, "PodResizePending")
    given = [(one.name, one.allocated_resources, one.resources) for one in listed]
    return [given, resize.reason if resize is not None else ""]


def waits(pod: Pod) -> bool:
    """Whether the pod can still be placed."""
    placed = bool(pod.spec.node_name)
    return not placed and not pod.metadata.deletion_timestamp and not pods.is_terminal(pod)
