"""Names and labels of containers: what lets a restarted agent recognise its own (step 4). Pure.

They are those of Docker-based kubelets, because log collectors and monitoring already understand
them. Five are ours: the node, so that an agent never touches what another one made, the restart
back-off's level, the digest under which the image came, the memory that was requested, and the runtime
of a sandbox, which its containers share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from agent.containers.records import ContainerId, ContainerRecord
from api import resources
from api.core import Container, Pod

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
POD_GRACE = "annotation.io.kubernetes.pod.terminationGracePeriod"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_TYPE = "io.kubernetes.docker.type"
CONTAINER_HASH = "annotation.io.kubernetes.container.hash"
RESTART_COUNT = "annotation.io.kubernetes.container.restartCount"
MESSAGE_PATH = "annotation.io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "annotation.io.kubernetes.container.terminationMessagePolicy"
SANDBOX_ID = "io.kubernetes.sandbox.id"
NODE = "io.podwright.node"
IMAGE_ID = "io.podwright.container.image"
BACKOFF_LEVEL = "io.podwright.container.backoff"
REQUESTED_MEMORY = "io.podwright.container.requestedmemory"
RUNTIME = "io.podwright.sandbox.runtime"

SANDBOX = "podsandbox"
CONTAINER = "container"
SANDBOX_NAME = "POD"

DEFAULT_GRACE = 30.0


def container_name(container: str, pod: Pod, attempt: int) -> str:
    """`k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`."""
    meta = pod.metadata
    return f"k8s_{container}_{meta.name}_{meta.namespace}_{meta.uid}_{attempt}"


def sandbox_labels(pod: Pod, *, node: str, runtime: str = "") -> dict[str, str]:
    """Labels of a pod's pause container: the pod's own labels and who it is."""
    labels = dict(pod.metadata.labels) | _pod_labels(pod, node=node)
    labels[CONTAINER_NAME] = SANDBOX_NAME
    labels[CONTAINER_TYPE] = SANDBOX
    labels[RUNTIME] = runtime
    return labels


def container_labels(
    pod: Pod,
    container: Container,
    *,
    node: str,
    sandbox: ContainerId,
    restarts: int,
    backoff_level: int,
    image_id: str = "",
) -> dict[str, str]:
    """Labels of a container: all that a restarted agent needs to go on."""
    return _pod_labels(pod, node=node) | {
        CONTAINER_NAME: container.name,
        CONTAINER_TYPE: CONTAINER,
        CONTAINER_HASH: container_hash(container),
        RESTART_COUNT: str(restarts),
        MESSAGE_PATH: container.termination_message_path,
        MESSAGE_POLICY: container.termination_message_policy,
        SANDBOX_ID: sandbox,
        BACKOFF_LEVEL: str(backoff_level),
        IMAGE_ID: image_id,
        REQUESTED_MEMORY: requested_memory(container),
    }


def requested_memory(container: Container) -> str:
    """The bytes it asks for. They are on its label because no limit of the engine tells them."""
    return str(resources.amount(resources.MEMORY, container.resources.requests.get("memory", "0")))


def container_hash(container: Container) -> str:
    """Changes exactly when the container must be made anew.

    Only the image of a running pod's container may change, so only it is hashed: a hash over the
    whole spec restarts every container of a node whenever a release adds a field. The leading
    number is the version of this rule.
    """
    return _hash(container.name, container.image)


@lru_cache(maxsize=1024)  # every step of every pod compares it
def _hash(name: str, image: str) -> str:
    return hashlib.sha256(msgspec.json.encode([1, name, image])).hexdigest()[:16]


def is_made_from(record: ContainerRecord, container: Container) -> bool:
    """Whether it was made from this spec (an unlabelled one is left alone)."""
    made_from = record.labels.get(CONTAINER_HASH)
    return made_from is None or made_from == container_hash(container)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose container it is, read back from its labels."""

    uid: str
    namespace: str
    pod: str
    container: str
    sandbox: bool
    attempt: int


def identify(record: ContainerRecord) -> Identity | None:
    """Read the labels; None for a container that is not one of ours."""
    labels = record.labels
    if POD_UID not in labels or labels.get(CONTAINER_TYPE) not in (SANDBOX, CONTAINER):
        return None
    return Identity(
        uid=labels[POD_UID],
        namespace=labels.get(POD_NAMESPACE, ""),
        pod=labels.get(POD_NAME, ""),
        container=labels.get(CONTAINER_NAME, ""),
        sandbox=labels[CONTAINER_TYPE] == SANDBOX,
        attempt=_number(record.name.rpartition("_")[2]),
    )


def start_of(record: ContainerRecord) -> tuple[str, int]:
    """Which start of which container it is: its name, and how often that had started before."""
    labels = record.labels
    return labels.get(CONTAINER_NAME, ""), label_number(labels, RESTART_COUNT)


def label_number(labels: Mapping[str, str], label: str) -> int:
    """A label that holds a number; 0 when it is missing or was tampered with."""
    return _number(labels.get(label, ""))


def _pod_labels(pod: Pod, *, node: str) -> dict[str, str]:
    grace = pod.spec.termination_grace_period_seconds
    return {
        POD_NAME: pod.metadata.name,
        POD_NAMESPACE: pod.metadata.namespace,
        POD_UID: pod.metadata.uid,
        POD_GRACE: str(int(DEFAULT_GRACE) if grace is None else grace),
        NODE: node,
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
