"""Objects with anything anywhere: accepted or refused with a reason, never a crash of ours."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.codec.decode import decode_object
from api.errors import ApiError
from api.scheme import RESOURCES, Resource, find
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.apiserver.agents.webhooks import Webhooks
from control.apiserver.build import make_registry
from control.apiserver.registry import creating, updating
from control.apiserver.registry.call import Call
from control.apiserver.registry.patching import patcher
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.versions import as_stored
from control.auth.user import in_process
from control.settings import ControlSettings
from control.store.memory import MemoryStore
from tests.thorough import examples
from tests.unit.resources.examples import tree

EXAMPLES = examples(20, long=500)

CONTAINER = {
    "name": "c",
    "image": "i",
    "command": ["a"],
    "env": [
        {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "F", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ],
    "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP", "name": "http"}],
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}},
    "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
    "readinessProbe": {"exec": {"command": ["x"]}},
    "startupProbe": {"tcpSocket": {"port": 80}},
    "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
    "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "y"}],
    "securityContext": {"runAsUser": 1, "capabilities": {"add": ["X"]}},
}
POD = {
    "containers": [CONTAINER],
    "initContainers": [{**CONTAINER, "name": "i", "restartPolicy": "Always"}],
    "volumes": [
        {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "w", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
        {"name": "x", "projected": {"sources": [{"downwardAPI": {"items": []}}]}},
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                ]
            }
        }
    },
    "tolerations": [
        {"key": "k", "operator": "Exists", "tolerationSeconds": 5, "effect": "NoExecute"}
    ],
    "nodeSelector": {"a": "b"},
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a"]}],
    "dnsConfig": {"nameservers": ["127.0.0.1"], "options": [{"name": "a"}]},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "terminationGracePeriodSeconds": 5,
}
WORKLOAD = {
    "replicas": 1,
    "selector": {"matchLabels": {"a": "b"}, "matchExpressions": []},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD},
}
SPECS: dict[str, Any] = {
    "Pod": POD,
    "Deployment": {
        **WORKLOAD,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
    },
    "ReplicaSet": WORKLOAD,
    "Service": {
        "type": "NodePort",
        "ports": [{"port": 80, "targetPort": "http", "nodePort": 30001, "name": "a"}],
        "selector": {"a": "b"},
        "clusterIP": "10.96.0.9",
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}},
    },
    "Node": {"podCIDR": "10.0.0.0/24", "taints": [{"key": "k", "effect": "NoSchedule"}]},
    "Lease": {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000000Z"},
}
PARTS: dict[str, Any] = {
    "ConfigMap": {"data": {"a": "b"}, "binaryData": {"c": "AA=="}, "immutable": False},
    "Secret": {"data": {"a": "AA=="}, "stringData": {"b": "c"}, "type": "Opaque"},
    "EndpointSlice": {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}],
        "ports": [{"port": 80, "protocol": "TCP", "name": ""}],
    },
    "Endpoints": {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
    "Event": {
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "p"},
        "reason": "R",
        "type": "Normal",
        "count": 1,
    },
}
METADATA = {
    "name": "a",
    "namespace": "ns",
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "finalizers": ["x.y/z"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}],
}

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "0", "-1", "1e400", "None", "Always", "9223372036854775808", "%", "a/b"]),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just([{}]),
    st.just({"": ""}),
)


def sample(resource: Resource) -> dict[str, Any]:
    """The sound object of a kind, or where it says little, what is written above."""
    sound = tree(resource.kind)
    metadata = {**METADATA, "name": sound["metadata"]["name"]}
    if not resource.namespaced:
        del metadata["namespace"]
    made: dict[str, Any] = {**sound, "metadata": metadata, **PARTS.get(resource.kind, {})}
    if resource.kind in SPECS:
        made["spec"] = SPECS[resource.kind]
    return copy.deepcopy(made)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (parent, key) of a tree."""
    if isinstance(tree, dict):
        keys: list[Any] = list(tree)
    else:
        keys = list(range(len(tree))) if isinstance(tree, list) else []
    for key in keys:
        yield tree, key
        yield from places(tree[key])


async def attempt(registry: Registry, resource: Resource, sent: Any, patch: Any) -> None:
    kind = registry.kind(resource)
    call = Call(user=in_process("fuzz"))
    try:
        body = json.dumps(sent).encode()
        obj = decode_object(body, "application/json", resource).obj
        namespace = "ns" if resource.namespaced else ""
        stored = await creating.create(registry, kind, call, obj, namespace=namespace)
        metadata = kind.decode(stored.body).metadata
        change = patcher(
            as_stored(kind), call, json.dumps(patch).encode(), "application/merge-patch+json"
        )
        await updating.change(registry, kind, call, metadata.namespace, metadata.name, change)
    except ApiError as error:
        assert 400 <= error.code < 500, error
        assert error.message and "Traceback" not in error.message


async def session(resource: Resource, sent: Any, patch: Any, path: Path) -> None:
    loaded = ControlSettings(
        state_dir=path,
        pki_dir=path,
        kubeconfig_out=path,
        disable_admission_plugins=("ServiceAccount",),  # nobody makes accounts here
    )
    registry = make_registry(
        settings=loaded,
        store=MemoryStore(),
        clock=FakeClock(),
        source=random.Random(1),
        caller=Webhooks(),
    )
    async with TaskGuard("fuzz") as guard:
        for kind in registry.kinds:
            guard.start(kind.cache.run(), name=kind.resource.plural)
        namespaces = find("", "v1", "namespaces")
        assert namespaces is not None
        await attempt(registry, namespaces, {"metadata": {"name": "ns"}}, {})
        await attempt(registry, resource, sent, patch)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.kind)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_anything_anywhere(resource: Resource, tmp_path: Path, data: st.DataObject) -> None:
    body = sample(resource)
    patch = copy.deepcopy(body)
    patch["metadata"] = {"labels": {"a": "c"}}
    for target, times in ((body, data.draw(st.integers(0, 2))), (patch, 1)):
        for _ in range(times):
            found = list(places(target))
            parent, key = found[data.draw(st.integers(0, len(found) - 1))]
            parent[key] = copy.deepcopy(data.draw(ANYTHING))
    asyncio.run(session(resource, body, patch, tmp_path))
