"""An operator, as its author writes it with kopf: a ConfigMap for each Widget. Run by `test_kopf`."""

from __future__ import annotations

import os
from typing import Any

import kopf
import kubernetes

GROUP = os.environ["WIDGET_GROUP"]


@kopf.on.login()
def login(**more: Any) -> Any:
    return kopf.login_with_kubeconfig(**more)


@kopf.on.create(GROUP, "v1", "widgets")
def create(spec: Any, name: str, namespace: str, patch: Any, **_: Any) -> dict[str, Any]:
    kubernetes.config.load_kube_config()
    body: dict[str, Any] = {"metadata": {"name": name}, "data": {"size": str(spec["size"])}}
    kopf.adopt(body)
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, body)
    patch.status["phase"] = "Ready"
    return {"configMap": name}


@kopf.on.field(GROUP, "v1", "widgets", field="spec.size")
def resize(new: int, name: str, namespace: str, old: Any, **_: Any) -> None:
    if old is None:
        return
    kubernetes.config.load_kube_config()
    change = {"data": {"size": str(new)}}
    kubernetes.client.CoreV1Api().patch_namespaced_config_map(name, namespace, change)


@kopf.on.delete(GROUP, "v1", "widgets")
def delete(name: str, namespace: str, **_: Any) -> None:
    kubernetes.config.load_kube_config()
    kubernetes.client.CoreV1Api().delete_namespaced_config_map(name, namespace)
