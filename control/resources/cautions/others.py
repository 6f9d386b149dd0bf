"""Cautions about kinds that hold no pods."""

from __future__ import annotations

from collections.abc import Iterator

from api import quantity
from api.core import PersistentVolume, PersistentVolumeClaim, Service, ServiceAccount
from api.networking import Ingress
from api.node import RuntimeClass
from api.storage import StorageClass
from control.resources.cautions import fading

_INGRESS_CLASS = "kubernetes.io/ingress.class"
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_HINTS = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY = "service.kubernetes.io/topology-mode"
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
    "recommended approach is to use dynamic provisioning."
)


def of_volume(volume: PersistentVolume) -> Iterator[str]:
    spec, annotations = volume.spec, volume.metadata.annotations
    yield from fading.storage_class(annotations, "metadata.annotations")
    if _MOUNT_OPTIONS in annotations:
        yield (
            f"metadata.annotations[{_MOUNT_OPTIONS}]: deprecated since v1.31; "
            'use "mountOptions" attribute instead'
        )
    if spec.persistent_volume_reclaim_policy == "Recycle":
        yield _RECYCLE
    yield from fading.volume(spec, "spec")
    chosen = spec.node_affinity.required if spec.node_affinity is not None else None
    for position, term in enumerate(chosen.node_selector_terms if chosen else ()):
        yield from fading.term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{position}]")


def of_claim(claim: PersistentVolumeClaim) -> Iterator[str]:
    yield from fading.storage_class(claim.metadata.annotations, "metadata.annotations")
    resources = claim.spec.resources
    text = resources.requests.get("storage", "") if resources is not None else ""
    if text and quantity.milli(text) % 1000:
        yield (
            f'spec.resources.requests[storage]: fractional byte value "{text}" is invalid, must be '
            "an integer"
        )


def of_service(service: Service) -> Iterator[str]:
    spec = service.spec
    if _HINTS in service.metadata.annotations:
        yield f"annotation {_HINTS} is deprecated, please use {_TOPOLOGY} instead"
    if spec.type == "ExternalName" and spec.external_ips:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.type != "ExternalName" and spec.external_name:
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.cluster_ip == "None" and spec.session_affinity == "ClientIP":
        yield "spec.SessionAffinity is ignored for headless services"


def of_account(account: ServiceAccount) -> Iterator[str]:
    if _MOUNTABLE in account.metadata.annotations:
        yield (
            f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces "
            "to isolate access to mounted secrets"
        )


def of_ingress(ingress: Ingress) -> Iterator[str]:
    if _INGRESS_CLASS in ingress.metadata.annotations:
        yield f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def of_runtime_class(one: RuntimeClass) -> Iterator[str]:
    if one.scheduling is not None:
        yield from fading.selector(one.scheduling.node_selector, "scheduling.nodeSelector")


def of_storage_class(one: StorageClass) -> Iterator[str]:
    for position, term in enumerate(one.allowed_topologies):
        where = f"allowedTopologies[{position}].matchLabelExpressions"
        yield from fading.keys([row.key for row in term.match_label_expressions], where, "key")
