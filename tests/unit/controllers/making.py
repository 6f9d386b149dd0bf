"""Workload objects in one line, as the server would have completed them."""

from typing import Any

import msgspec

from api.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from api.core import Pod, ReplicationController, Service
from api.scheme import resource_of
from control.resources import strategy_of

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "web:1"}]},
}


def deployment(
    name: str = "web", *, replicas: int = 3, image: str = "web:1", **spec: Any
) -> Deployment:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    made: Deployment = msgspec.convert(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": f"uid-{name}",
                "generation": 1,
            },
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template,
                **spec,
            },
        },
        type=Deployment,
    )
    strategy_of(resource_of(Deployment)).default(made)
    return made


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


def replica_set(name: str, *, size: int = 0, available: int = 0, **more: Any) -> ReplicaSet:
    made: ReplicaSet = msgspec.convert(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": f"uid-{name}",
                "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
                "annotations": more.pop("annotations", {}),
                "ownerReferences": more.pop("owners", []),
            },
            "spec": {
                "replicas": size,
                "selector": {"matchLabels": {"app": "web"}},
                "template": TEMPLATE,
                **more,
            },
            "status": {
                "replicas": size,
                "readyReplicas": available,
                "availableReplicas": available,
            },
        },
        type=ReplicaSet,
    )
    return made


def replication_controller(name: str = "web", **spec: Any) -> ReplicationController:
    made: ReplicationController = msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"template": TEMPLATE, **spec},
        },
        type=ReplicationController,
    )
    strategy_of(resource_of(ReplicationController)).default(made)
    return made


def daemon_set(name: str = "log", *, image: str = "log:1", **spec: Any) -> DaemonSet:
    pod_spec = {"containers": [{"name": "c", "image": image}], **spec.pop("pod", {})}
    made: DaemonSet = msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec},
                **spec,
            },
        },
        type=DaemonSet,
    )
    strategy_of(resource_of(DaemonSet)).default(made)
    return made


def stateful_set(
    name: str = "web", *, replicas: int = 3, image: str = "web:1", **spec: Any
) -> StatefulSet:
    made: StatefulSet = msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
            "spec": {
                "replicas": replicas,
                "serviceName": name,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "c", "image": image}]},
                },
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": claim},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1Gi"}},
                        },
                    }
                    for claim in spec.pop("claims", ())
                ],
                **spec,
            },
        },
        type=StatefulSet,
    )
    strategy_of(resource_of(StatefulSet)).default(made)
    return made


def pod(name: str, *, ready: bool = True, owner: str = "", **more: Any) -> Pod:
    references = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner,
            "uid": owner,
            "controller": True,
        }
    ]
    conditions = [
        {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": more.pop("since", "2026-01-01T00:00:00Z"),
        }
    ]
    made: Pod = msgspec.convert(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": name,
                "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
                "labels": more.pop("labels", {"app": "web"}),
                "annotations": more.pop("annotations", {}),
                "ownerReferences": references if owner else [],
                **(
                    {"deletionTimestamp": "2026-01-01T00:00:00Z"}
                    if more.pop("deleting", False)
                    else {}
                ),
            },
            "spec": {
                "nodeName": more.pop("node", "n1"),
                "containers": [
                    {"name": "c", "image": "i", "ports": more.pop("ports", [])},
                ],
                "hostname": more.pop("hostname", ""),
                "subdomain": more.pop("subdomain", ""),
            },
            "status": {
                "phase": more.pop("phase", "Running"),
                "podIP": more.pop("ip", "10.244.0.9"),
                "conditions": conditions,
            },
        },
        type=Pod,
    )
    assert not more, f"unknown: {more}"
    return made


def service(name: str = "web", **spec: Any) -> Service:
    made: Service = msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
            "spec": {
                "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
                "clusterIP": "10.96.0.7",
                **spec,
            },
        },
        type=Service,
    )
    strategy_of(resource_of(Service)).default(made)
    return made
