"""What `kubectl get` prints of each kind, and what field selectors it has: as Kubernetes documents it.

A trailing `*` is a column of `-o wide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.scheme import RESOURCES
from control.apiserver.http.forms import columns_of
from control.resources import STRATEGIES, Strategy
from control.resources.conversions import ALTERNATES

_WEBHOOKS = "Name, Webhooks, Age"
_BINDING = "Name, Role, Age, Users*, Groups*, ServiceAccounts*"

COLUMNS: Mapping[str, str] = {
    "APIService": "Name, Service, Available, Age",
    "CSIDriver": "Name, AttachRequired, PodInfoOnMount, StorageCapacity, "
    "TokenRequests, RequiresRepublish, Modes, Age",
    "CSINode": "Name, Drivers, Age",
    "CSIStorageCapacity": "Name, StorageClassName, Capacity",
    "CertificateSigningRequest": "Name, Age, SignerName, Requestor, RequestedDuration, Condition",
    "ClusterRole": "Name, Created At",
    "ClusterRoleBinding": _BINDING,
    "ConfigMap": "Name, Data, Age",
    "ControllerRevision": "Name, Controller, Revision, Age",
    "CronJob": "Name, Schedule, Timezone, Suspend, Active, "
    "Last Schedule, Age, Containers*, Images*, Selector*",
    "CustomResourceDefinition": "Name, Created At",
    "DaemonSet": "Name, Desired, Current, Ready, Up-to-date, "
    "Available, Node Selector, Age, Containers*, Images*, Selector*",
    "Deployment": "Name, Ready, Up-to-date, Available, Age, Containers*, Images*, Selector*",
    "EndpointSlice": "Name, AddressType, Ports, Endpoints, Age",
    "Endpoints": "Name, Endpoints, Age",
    "Event": "Last Seen, Type, Reason, Object, Subobject*, "
    "Source*, Message, First Seen*, Count*, Name*",
    "FlowSchema": "Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL",
    "HorizontalPodAutoscaler": "Name, Reference, Targets, MinPods, MaxPods, Replicas, Age",
    "IPAddress": "Name, ParentRef, Age",
    "Ingress": "Name, Class, Hosts, Address, Ports, Age",
    "IngressClass": "Name, Controller, Parameters, Age",
    "Job": "Name, Status, Completions, Duration, Age, Containers*, Images*, Selector*",
    "Lease": "Name, Holder, Age",
    "LimitRange": "Name, Created At",
    "MutatingWebhookConfiguration": _WEBHOOKS,
    "Namespace": "Name, Status, Age",
    "NetworkPolicy": "Name, Pod-Selector, Age",
    "Node": "Name, Status, Roles, Age, Version, "
    "Internal-IP*, External-IP*, OS-Image*, Kernel-Version*, Container-Runtime*",
    "PersistentVolume": "Name, Capacity, Access Modes, Reclaim Policy, Status, "
    "Claim, StorageClass, VolumeAttributesClass, Reason, Age, VolumeMode*",
    "PersistentVolumeClaim": "Name, Status, Volume, Capacity, "
    "Access Modes, StorageClass, VolumeAttributesClass, Age, VolumeMode*",
    "Pod": "Name, Ready, Status, Restarts, Age, IP*, Node*, Nominated Node*, Readiness Gates*",
    "PodDisruptionBudget": "Name, Min Available, Max Unavailable, Allowed Disruptions, Age",
    "PodTemplate": "Name, Containers, Images, Pod Labels",
    "PriorityClass": "Name, Value, Global-Default, Age, PreemptionPolicy",
    "PriorityLevelConfiguration": "Name, Type, NominalConcurrencyShares, "
    "Queues, HandSize, QueueLengthLimit, Age",
    "ReplicaSet": "Name, Desired, Current, Ready, Age, Containers*, Images*, Selector*",
    "ReplicationController": "Name, Desired, Current, Ready, Age, Containers*, Images*, Selector*",
    "ResourceQuota": "Name, Request, Limit, Age",
    "Role": "Name, Created At",
    "RoleBinding": _BINDING,
    "RuntimeClass": "Name, Handler, Age",
    "Secret": "Name, Type, Data, Age",
    "Service": "Name, Type, Cluster-IP, External-IP, Port(s), Age, Selector*",
    "ServiceAccount": "Name, Secrets, Age",
    "ServiceCIDR": "Name, CIDRs, Age",
    "StatefulSet": "Name, Ready, Age, Containers*, Images*",
    "StorageClass": "Name, Provisioner, ReclaimPolicy, "
    "VolumeBindingMode, AllowVolumeExpansion, Age",
    "ValidatingAdmissionPolicy": "Name, Validations, ParamKind, Age",
    "ValidatingAdmissionPolicyBinding": "Name, PolicyName, ParamRef, Age",
    "ValidatingWebhookConfiguration": _WEBHOOKS,
    "VolumeAttachment": "Name, Attacher, PV, Node, Attached, Age",
    "VolumeAttributesClass": "Name, DriverName, Age",
}

SELECTORS: Mapping[str, str] = {
    "CertificateSigningRequest": "spec.signerName",
    "Event": "involvedObject.apiVersion involvedObject.fieldPath involvedObject.kind "
    "involvedObject.name involvedObject.namespace involvedObject.resourceVersion "
    "involvedObject.uid reason reportingComponent source type",
    "Job": "status.successful",
    "Namespace": "status.phase",
    "Node": "spec.unschedulable",
    "Pod": "spec.hostNetwork spec.nodeName spec.restartPolicy spec.schedulerName "
    "spec.serviceAccountName status.nominatedNodeName status.phase status.podIP",
    "ReplicaSet": "status.replicas",
    "ReplicationController": "status.replicas",
    "Secret": "type",
    "Service": "spec.clusterIP spec.type",
}
"""Beside the name and the namespace, which every kind has."""

NAMES = ("metadata.name", "metadata.namespace")


def printed(rules: Strategy[Any]) -> str:
    """The columns as the table above spells them."""
    return ", ".join(column.name + ("*" if column.priority else "") for column in columns_of(rules))


def test_every_kind_has_its_row() -> None:
    assert set(COLUMNS) == {resource.kind for resource in RESOURCES}


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.resource.kind)
def test_columns(strategy: Strategy[Any]) -> None:
    assert printed(strategy) == COLUMNS[strategy.resource.kind]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.resource.kind)
def test_field_selectors(strategy: Strategy[Any]) -> None:
    wanted = SELECTORS.get(strategy.resource.kind, "").split()
    assert sorted(strategy.selectable_fields()) == sorted((*NAMES, *wanted))


def test_another_version_prints_the_same() -> None:
    for resource, alternate in ALTERNATES.items():
        assert printed(alternate.rules) == COLUMNS[resource.kind]
