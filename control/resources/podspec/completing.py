"""What a new pod gets once admission is through with it: what its fields imply, written out. Pure.

As Kubernetes' API server does: a pod with scheduling gates says at once that it is not scheduled, and
the labels that an affinity term takes from the pod itself stand in its selector (the API's documentation
of PodAffinityTerm).
"""

from collections.abc import Iterable, Iterator

from api import pods
from api.core import Pod, PodCondition
from api.meta import LabelSelectorRequirement

GATED = "SchedulingGated"
GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"


def complete_pod(pod: Pod) -> None:
    """Fill in what follows from the rest of a pod that is being made."""
    if pod.spec.scheduling_gates:
        condition = PodCondition(
            type="PodScheduled", status="False", reason=GATED, message=GATED_MESSAGE
        )
        pod.status.conditions = [condition]
    for term in pods.affinity_terms(pod):
        if term.label_selector is not None:
            term.label_selector.match_expressions += [
                *_taken(pod, term.match_label_keys, "In"),
                *_taken(pod, term.mismatch_label_keys, "NotIn"),
            ]


def _taken(pod: Pod, keys: Iterable[str], operator: str) -> Iterator[LabelSelectorRequirement]:
    labels = pod.metadata.labels
    for key in keys:
        if key in labels:
            yield LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]])
