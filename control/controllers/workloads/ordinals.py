"""Who a StatefulSet's pods are: their numbers, names and claims. Pure; walk step 1.

Pod `web-2` has the hostname `web-2` in the domain of the set's Service, labels that name it and its
number, and for each claim template `data` the claim `data-web-2`, whoever it was before and wherever
it runs. From the StatefulSet concept page ("Pod Identity") and the API reference.
"""

from collections.abc import Iterable

from api import objects
from api.apps import StatefulSet
from api.core import (
    PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodTemplateSpec,
    Volume,
)
from api.meta import ObjectMeta
from control.controllers.workloads.history import REVISION

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


def numbers(owner: StatefulSet) -> range:
    """The ordinals of the wanted pods."""
    start = owner.spec.ordinals.start if owner.spec.ordinals else 0
    return range(start, start + (owner.spec.replicas or 0))


def number_of(owner: StatefulSet, pod_name: str) -> int | None:
    """The ordinal in a pod's name; None when it is no name of this set's pods."""
    parent, _, text = pod_name.rpartition("-")
    if parent != owner.metadata.name or not text.isdecimal() or str(int(text)) != text:
        return None
    return int(text)


def name_of(owner: StatefulSet, number: int) -> str:
    """The pod's name."""
    return f"{owner.metadata.name}-{number}"


def claim_names(owner: StatefulSet, number: int) -> dict[str, str]:
    """The claims of one pod, by the name of their template."""
    templates = (claim.metadata.name for claim in owner.spec.volume_claim_templates)
    return {template: f"{template}-{name_of(owner, number)}" for template in templates}


def labels_of(owner: StatefulSet, number: int) -> dict[str, str]:
    """The labels that tell a pod from its siblings."""
    return {POD_NAME: name_of(owner, number), POD_INDEX: str(number)}


def new_pod(owner: StatefulSet, number: int, template: PodTemplateSpec, revision: str) -> Pod:
    """One pod of the set, of a template that a revision keeps."""
    template = objects.copy(template)
    spec, name = template.spec, name_of(owner, number)
    spec.hostname, spec.subdomain = name, owner.spec.service_name
    claims = claim_names(owner, number)
    others = [volume for volume in spec.volumes if volume.name not in claims]
    spec.volumes = [*(_mounted(volume, claims[volume]) for volume in claims), *others]
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace=owner.metadata.namespace,
            labels={**template.metadata.labels, **labels_of(owner, number), REVISION: revision},
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[objects.controller_reference(owner)],
        ),
        spec=spec,
    )


def _mounted(volume: str, claim: str) -> Volume:
    source = PersistentVolumeClaimVolumeSource(claim_name=claim)
    return Volume(name=volume, persistent_volume_claim=source)


def new_claims(owner: StatefulSet, number: int) -> Iterable[PersistentVolumeClaim]:
    """The claims of one pod, with the labels by which the set chooses its pods."""
    names = claim_names(owner, number)
    labels = owner.spec.selector.match_labels if owner.spec.selector else {}
    for template in owner.spec.volume_claim_templates:
        claim = objects.copy(template)
        claim.metadata = ObjectMeta(
            name=names[template.metadata.name],
            namespace=owner.metadata.namespace,
            labels={**claim.metadata.labels, **labels},
            annotations=claim.metadata.annotations,
            finalizers=claim.metadata.finalizers,
        )
        yield claim
