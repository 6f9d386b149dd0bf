"""The printed columns of every kind, and the words for times and selectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.codec import decode
from api.meta import LabelSelector
from control.resources import STRATEGIES
from control.resources.columns import format_labels, format_selector, human_duration, since
from tests.unit.resources.examples import Change, complete, make, strategy_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BORN: Change = {"metadata.creationTimestamp": "2026-01-01T11:00:00Z"}

DURATIONS = [
    (-2, "<invalid>"),
    (-1, "0s"),
    (0, "0s"),
    (119, "119s"),
    (120, "2m"),
    (125, "2m5s"),
    (599, "9m59s"),
    (600, "10m"),
    (179 * 60 + 59, "179m"),
    (180 * 60, "3h"),
    (7 * 3600 + 59 * 60, "7h59m"),
    (8 * 3600 + 60, "8h"),
    (47 * 3600, "47h"),
    (48 * 3600, "2d"),
    (49 * 3600, "2d1h"),
    (8 * 86400, "8d"),
    (729 * 86400, "729d"),
    (730 * 86400, "2y"),
    (731 * 86400, "2y1d"),
    (8 * 365 * 86400 + 86400, "8y"),
]

CELLS: list[tuple[str, Change, dict[str, Any]]] = [
    (
        "APIService",
        {"status.conditions": [{"type": "Available", "status": "True"}]},
        {"Service": "Local", "Available": "True", "Age": "60m"},
    ),
    ("APIService", {}, {"Available": "Unknown"}),
    (
        "APIService",
        {
            "spec.service": {"namespace": "kube-system", "name": "metrics"},
            "status.conditions": [{"type": "Available", "status": "False", "reason": "NoService"}],
        },
        {"Service": "kube-system/metrics", "Available": "False (NoService)"},
    ),
    (
        "FlowSchema",
        {},
        {
            "PriorityLevel": "robots",
            "MatchingPrecedence": "1000",
            "DistinguisherMethod": "ByUser",
            "Age": "60m",
            "MissingPL": "?",
        },
    ),
    ("FlowSchema", {"spec.distinguisherMethod": None}, {"DistinguisherMethod": "<none>"}),
    (
        "PriorityLevelConfiguration",
        {},
        {
            "Type": "Limited",
            "NominalConcurrencyShares": "30",
            "Queues": "64",
            "HandSize": "8",
            "QueueLengthLimit": "50",
            "Age": "60m",
        },
    ),
    (
        "PriorityLevelConfiguration",
        {"spec": {"type": "Exempt", "exempt": {}}},
        {"NominalConcurrencyShares": "0", "Queues": "<none>", "HandSize": "<none>"},
    ),
    ("RuntimeClass", {}, {"Handler": "sandbox", "Age": "60m"}),
    (
        "Ingress",
        {"status.loadBalancer.ingress": [{"ip": "1.2.3.4"}, {"hostname": "b"}, {"hostname": "a"}]},
        {
            "Class": "proxy",
            "Hosts": "a.example.com,*.b.example.com",
            "Address": "1.2.3.4,a,b",
            "Ports": "80, 443",
            "Age": "60m",
        },
    ),
    (
        "Ingress",
        {"spec.rules": [{"host": name} for name in "abcde"], "spec.tls": []},
        {"Hosts": "a,b,c + 2 more...", "Ports": "80", "Address": ""},
    ),
    (
        "Ingress",
        {"spec.rules": [{}], "spec.ingressClassName": None},
        {"Hosts": "*", "Class": "<none>"},
    ),
    ("IngressClass", {}, {"Controller": "example.com/proxy", "Parameters": "<none>", "Age": "60m"}),
    (
        "IngressClass",
        {"spec.parameters": {"apiGroup": "example.com", "kind": "Settings", "name": "all"}},
        {"Parameters": "Settings.example.com/all"},
    ),
    ("NetworkPolicy", {}, {"Pod-Selector": "app=database", "Age": "60m"}),
    ("NetworkPolicy", {"spec.podSelector": {}}, {"Pod-Selector": "<none>"}),
    ("IPAddress", {}, {"ParentRef": "services/default/web", "Age": "60m"}),
    ("ServiceCIDR", {}, {"CIDRs": "10.97.0.0/16,2001:db8::/112", "Age": "60m"}),
    ("Role", {}, {"Created At": "2026-01-01T11:00:00Z"}),
    (
        "RoleBinding",
        {},
        {
            "Role": "Role/reader",
            "Age": "60m",
            "Users": "jane",
            "Groups": "team",
            "ServiceAccounts": "default/robot",
        },
    ),
    ("ClusterRoleBinding", {}, {"Role": "ClusterRole/team:reader", "Groups": "team"}),
    (
        "Deployment",
        {"status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}},
        {
            "Ready": "2/3",
            "Up-to-date": 1,
            "Available": 2,
            "Age": "60m",
            "Containers": "app",
            "Images": "busybox",
            "Selector": "app=web",
        },
    ),
    (
        "ReplicaSet",
        {"status": {"replicas": 1, "readyReplicas": 1}},
        {"Desired": 1, "Current": 1, "Ready": 1, "Selector": "app in (web)"},
    ),
    (
        "ResourceQuota",
        {
            "status": {
                "hard": {"limits.cpu": "4", "pods": "10", "requests.cpu": "2"},
                "used": {"limits.cpu": "1500m", "pods": "3"},
            }
        },
        {"Request": "pods: 3/10, requests.cpu: 0/2", "Limit": "limits.cpu: 1500m/4", "Age": "60m"},
    ),
    ("LimitRange", {}, {"Created At": "2026-01-01T11:00:00Z"}),
    (
        "Service",
        {},
        {
            "Type": "ClusterIP",
            "Cluster-IP": "<none>",
            "External-IP": "<none>",
            "Port(s)": "80/TCP,53/UDP",
            "Selector": "app=web",
        },
    ),
    ("Service", {"spec.clusterIP": "None"}, {"Cluster-IP": "None"}),
    (
        "Service",
        {"spec.type": "NodePort", "spec.ports": [{"port": 80, "nodePort": 30080}]},
        {"Port(s)": "80:30080/TCP", "External-IP": "<none>"},
    ),
    ("Service", {"spec.externalIPs": ["1.1.1.1", "2.2.2.2"]}, {"External-IP": "1.1.1.1,2.2.2.2"}),
    ("Service", {"spec.type": "LoadBalancer"}, {"External-IP": "<pending>"}),
    (
        "Service",
        {"spec.type": "LoadBalancer", "status.loadBalancer.ingress": [{"hostname": "a.b"}]},
        {"External-IP": "a.b"},
    ),
    (
        "Service",
        {
            "spec.type": "ExternalName",
            "spec.externalName": "a.b",
            "spec.ports": [],
            "spec.selector": {},
        },
        {"External-IP": "a.b", "Port(s)": "<none>", "Selector": "<none>"},
    ),
    (
        "Node",
        {},
        {
            "Status": "Unknown",
            "Roles": "worker",
            "Version": "v1.34.0",
            "Age": "60m",
            "Internal-IP": "<none>",
            "OS-Image": "o",
            "Container-Runtime": "docker://20",
        },
    ),
    (
        "Node",
        {
            "status.conditions": [{"type": "Ready", "status": "True"}],
            "spec.unschedulable": True,
            "metadata.labels": {"kubernetes.io/role": "x", "node-role.kubernetes.io/a": ""},
            "status.addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        },
        {"Status": "Ready,SchedulingDisabled", "Roles": "a,x", "Internal-IP": "10.0.0.1"},
    ),
    (
        "Node",
        {"status.conditions": [{"type": "Ready", "status": "Unknown"}], "metadata.labels": {}},
        {"Status": "NotReady", "Roles": "<none>"},
    ),
    (
        "PriorityClass",
        {"globalDefault": True},
        {
            "Value": 1000000,
            "Global-Default": True,
            "Age": "60m",
            "PreemptionPolicy": "PreemptLowerPriority",
        },
    ),
    (
        "PersistentVolume",
        {
            "spec.claimRef": {"namespace": "default", "name": "data"},
            "status": {"phase": "Bound", "reason": "none"},
        },
        {
            "Capacity": "10Gi",
            "Access Modes": "RWO,RWX",
            "Reclaim Policy": "Retain",
            "Claim": "default/data",
            "StorageClass": "fast",
            "VolumeAttributesClass": "<unset>",
            "Age": "60m",
            "VolumeMode": "Filesystem",
        },
    ),
    ("PersistentVolume", {}, {"Status": "", "Claim": "", "Reason": ""}),
    (
        "PersistentVolumeClaim",
        {
            "spec.volumeName": "share",
            "status": {
                "phase": "Bound",
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            },
            "metadata.annotations": {"volume.beta.kubernetes.io/storage-class": "old"},
        },
        {
            "Status": "Bound",
            "Volume": "share",
            "Capacity": "10Gi",
            "Access Modes": "RWO,RWX",
            "StorageClass": "old",
        },
    ),
    (
        "PersistentVolumeClaim",
        {"metadata.deletionTimestamp": "2026-01-01T11:00:00Z"},
        {"Status": "Terminating"},
    ),
    (
        "PersistentVolumeClaim",
        {"status.phase": "Pending"},
        {
            "Status": "Pending",
            "Volume": "",
            "Capacity": "",
            "Access Modes": "",
            "StorageClass": "fast",
            "VolumeAttributesClass": "<unset>",
            "Age": "60m",
            "VolumeMode": "Filesystem",
        },
    ),
    (
        "VolumeAttachment",
        {},
        {
            "Attacher": "disk.example.com",
            "PV": "share",
            "Node": "node-1",
            "Attached": False,
            "Age": "60m",
        },
    ),
    (
        "StorageClass",
        {"allowVolumeExpansion": True},
        {
            "Name": "fast",
            "Provisioner": "example.com/NFS",
            "ReclaimPolicy": "Delete",
            "VolumeBindingMode": "Immediate",
            "AllowVolumeExpansion": True,
            "Age": "60m",
        },
    ),
    (
        "StorageClass",
        {"metadata.annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        {"Name": "fast (default)", "AllowVolumeExpansion": False},
    ),
    (
        "CSIDriver",
        {},
        {
            "AttachRequired": True,
            "PodInfoOnMount": False,
            "StorageCapacity": False,
            "TokenRequests": "vault,",
            "RequiresRepublish": False,
            "Modes": "Persistent,Ephemeral",
        },
    ),
    ("CSIDriver", {"spec": {}}, {"TokenRequests": "<unset>", "Modes": "Persistent"}),
    ("CSINode", {}, {"Drivers": 1}),
    ("CSIStorageCapacity", {}, {"StorageClassName": "fast", "Capacity": "100Gi"}),
    ("VolumeAttributesClass", {}, {"DriverName": "disk.example.com", "Age": "60m"}),
    ("ConfigMap", {}, {"Data": "3", "Age": "60m"}),
    ("Secret", {"type": "kubernetes.io/tls"}, {"Type": "kubernetes.io/tls", "Data": "1"}),
    ("ServiceAccount", {}, {"Secrets": "0"}),
    ("Namespace", {"status.phase": "Active"}, {"Status": "Active"}),
    ("Endpoints", {}, {"Endpoints": "10.244.1.5:80,10.244.1.5:53"}),
    ("Endpoints", {"subsets": []}, {"Endpoints": "<none>"}),
    ("Endpoints", {"subsets[0].ports": []}, {"Endpoints": "10.244.1.5"}),
    (
        "Endpoints",
        {
            "subsets[0].addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 6)],
            "subsets[0].ports": [{"port": 80}],
        },
        {"Endpoints": "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."},
    ),
    (
        "Endpoints",
        {"subsets[0].addresses": [{"ip": "fd00::1"}], "subsets[0].ports": [{"port": 80}]},
        {"Endpoints": "[fd00::1]:80"},
    ),
    ("EndpointSlice", {}, {"AddressType": "IPv4", "Ports": "80", "Endpoints": "10.244.1.5"}),
    ("EndpointSlice", {"ports": [], "endpoints": []}, {"Ports": "<unset>", "Endpoints": "<unset>"}),
    (
        "EndpointSlice",
        {"endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(1, 6)]},
        {"Endpoints": "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more..."},
    ),
    (
        "Event",
        {
            "firstTimestamp": "2026-01-01T11:50:00Z",
            "lastTimestamp": "2026-01-01T11:59:00Z",
            "count": 4,
            "source": {"component": "kubelet", "host": "node-1"},
        },
        {
            "Last Seen": "60s",
            "First Seen": "10m",
            "Count": "4",
            "Object": "pod/web",
            "Source": "kubelet, node-1",
            "Message": "Started container app",
            "Name": "web.1",
        },
    ),
    (
        "Event",
        {
            "eventTime": "2026-01-01T11:58:00.000000Z",
            "involvedObject.name": "",
            "series": {"count": 9, "lastObservedTime": "2026-01-01T11:59:30.000000Z"},
        },
        {"Last Seen": "30s", "First Seen": "2m", "Count": "9", "Object": "pod"},
    ),
    ("Lease", {}, {"Holder": "node-1", "Age": "60m"}),
    (
        "CertificateSigningRequest",
        {"spec.username": "me"},
        {
            "Requestor": "me",
            "RequestedDuration": "60m",
            "Condition": "Pending",
            "SignerName": "kubernetes.io/kube-apiserver-client-kubelet",
        },
    ),
    (
        "CertificateSigningRequest",
        {"status": {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="}},
        {"Condition": "Approved,Issued"},
    ),
    (
        "CertificateSigningRequest",
        {
            "status": {"conditions": [{"type": "Denied", "status": "True"}]},
            "spec.expirationSeconds": None,
        },
        {"Condition": "Denied", "RequestedDuration": "<none>"},
    ),
    (
        "CertificateSigningRequest",
        {"status": {"conditions": [{"type": "Failed", "status": "True"}]}},
        {"Condition": "Pending,Failed"},
    ),
    (
        "Pod",
        {"spec.nodeName": "node-1", "status.podIP": "10.1.1.1"},
        {
            "Node": "node-1",
            "IP": "10.1.1.1",
            "Nominated Node": "<none>",
            "Readiness Gates": "<none>",
        },
    ),
]


def cells(kind: str, obj: Any) -> dict[str, Any]:
    return {column.name: column.cell(obj, NOW) for column in strategy_of(kind).columns}


@pytest.mark.parametrize(("kind", "change", "expected"), CELLS)
def test_cells(kind: str, change: Change, expected: dict[str, Any]) -> None:
    obj = make(kind, {**BORN, **change})
    strategy_of(kind).default(obj)
    found = cells(kind, obj)
    if "Age" in expected and "Age" not in found:  # printed by the table itself
        found["Age"] = since(obj.metadata.creation_timestamp, NOW)
    assert {name: found[name] for name in expected} == expected


def test_every_cell_is_a_json_scalar() -> None:
    for strategy in STRATEGIES:
        kind = strategy.resource.kind
        for name, value in cells(kind, complete(kind)).items():
            assert isinstance(value, str | int | bool | None), f"{kind}: {name}"


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_since() -> None:
    assert since(None, NOW) == since("", NOW) == "<unknown>"
    assert since("2026-01-01T11:00:00Z", NOW) == human_duration(timedelta(hours=1).total_seconds())


def test_labels_and_selectors() -> None:
    assert (
        format_labels({}) == format_selector(None) == format_selector(LabelSelector()) == "<none>"
    )
    assert format_labels({"b": "2", "a": "1"}) == "a=1,b=2"
    document = {
        "matchLabels": {"a": "1"},
        "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "NotIn", "values": ["z"]},
            {"key": "d", "operator": "Exists"},
            {"key": "e", "operator": "DoesNotExist"},
        ],
    }
    selector = decode.convert(document, LabelSelector).obj
    assert format_selector(selector) == "a=1,b in (x,y),c notin (z),d,!e"
