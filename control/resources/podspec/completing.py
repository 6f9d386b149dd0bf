"""What a new pod gets once admission is through with it: what its fields imply, written out. Pure.

As Kubernetes' API server does: a pod with scheduling gates says at once that it is not scheduled, and
the labels that an affinity term takes from the pod itself stand in its selector (the API's documentation
of PodAffinityTerm). AppArmor profiles in annotations, as older manifests have them, come into the fields
that have taken their place ("Restrict a Container's Access to Resources with AppArmor").
"""

from collections.abc import Iterable, Iterator

from api import pods
from api.core import AppArmorProfile, Pod, PodCondition, SecurityContext
from api.meta import LabelSelectorRequirement

APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
GATED = "SchedulingGated"
GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"


def complete_pod(pod: Pod) -> None:
    """Fill in what follows from the rest of a pod that is being made."""
    if pod.spec.scheduling_gates:
        condition = PodCondition(
            type="PodScheduled", status="False", reason=GATED, message=GATED_MESSAGE
        )
        pod.status.conditions = [condition]
    _confine(pod)
    for term in pods.affinity_terms(pod):
        if term.label_selector is not None:
            term.label_selector.match_expressions += [
                *_taken(pod, term.match_label_keys, "In"),
                *_taken(pod, term.mismatch_label_keys, "NotIn"),
            ]


def _confine(pod: Pod) -> None:
    shared = pod.spec.security_context
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        profile = _profile(pod.metadata.annotations.get(f"{APPARMOR}{container.name}", ""))
        if profile is None or (shared is not None and shared.app_armor_profile == profile):
            continue
        own = container.security_context or SecurityContext()
        if own.app_armor_profile is None:
            own.app_armor_profile = profile
            container.security_context = own


def _profile(annotation: str) -> AppArmorProfile | None:
    """None for one that says nothing: it has no effect, as in Kubernetes."""
    kind, _, name = annotation.partition("/")
    if kind == "localhost" and name:
        return AppArmorProfile(type="Localhost", localhost_profile=name)
    types = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}
    return AppArmorProfile(type=types[annotation]) if annotation in types else None


def _taken(pod: Pod, keys: Iterable[str], operator: str) -> Iterator[LabelSelectorRequirement]:
    labels = pod.metadata.labels
    for key in keys:
        if key in labels:
            yield LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]])
