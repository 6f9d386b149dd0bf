"""What objects get from the class that they name, or from the default one, on a real server."""

from __future__ import annotations

from typing import Any

from tests.integration.apiserver.conftest import Api

RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
NETWORKING = "/apis/networking.k8s.io/v1"
DEFAULT = {"ingressclass.kubernetes.io/is-default-class": "true"}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def ingress(name: str, **spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {"metadata": {"name": name}, "spec": {"defaultBackend": backend, **spec}}


async def test_a_pod_gets_what_its_runtime_class_says(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    toleration = {"key": "runtime", "operator": "Exists", "effect": "NoSchedule"}
    body = {
        "metadata": {"name": namespace},
        "handler": "sandbox",
        "overhead": {"podFixed": {"cpu": "0.25", "memory": "64Mi"}},
        "scheduling": {"nodeSelector": {"runtime": "sandbox"}, "tolerations": [toleration]},
    }
    named = {"runtimeClassName": namespace}
    code, answer = await api.post(path, pod("early", **named))
    assert code == 403
    assert answer["message"] == (
        f'pods "early" is forbidden: pod rejected: RuntimeClass "{namespace}" not found'
    )
    await api.ok("POST", RUNTIMES, body)
    spec = (await api.ok("POST", path, pod("a", **named)))["spec"]  # at once: nothing lags behind
    assert spec["overhead"] == {"cpu": "250m", "memory": "64Mi"}
    assert spec["nodeSelector"] == {"runtime": "sandbox"}
    assert toleration in spec["tolerations"]
    for wrong, words in (
        ({**named, "overhead": {"cpu": "1"}}, "Pod's Overhead doesn't match RuntimeClass's"),
        ({**named, "nodeSelector": {"runtime": "x"}}, "conflict: runtimeClass.scheduling.node"),
        ({"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding RuntimeClass"),
    ):
        code, answer = await api.post(path, pod("wrong", **wrong))
        assert code == 403 and words in answer["message"]


async def test_an_ingress_without_a_class_gets_the_default_one(api: Api, namespace: str) -> None:
    path, classes = f"{NETWORKING}/namespaces/{namespace}/ingresses", f"{NETWORKING}/ingressclasses"
    assert "ingressClassName" not in (await api.ok("POST", path, ingress("early")))["spec"]
    for name, marks in ((f"{namespace}-a", DEFAULT), (f"{namespace}-b", {})):
        metadata = {"name": name, "annotations": marks}
        body = {"metadata": metadata, "spec": {"controller": "example.com/proxy"}}
        await api.ok("POST", classes, body)
    made = await api.ok("POST", path, ingress("late"))
    assert made["spec"]["ingressClassName"] == f"{namespace}-a"
    own = await api.ok("POST", path, ingress("own", ingressClassName=f"{namespace}-b"))
    assert own["spec"]["ingressClassName"] == f"{namespace}-b"
    await api.ok("DELETE", f"{classes}/{namespace}-a")
    # An Ingress keeps what it got, and an older one is not given a class by a change.
    code, found = await api.patch(f"{path}/early", {"metadata": {"labels": {"a": "b"}}})
    assert code == 200 and "ingressClassName" not in found["spec"]


async def test_an_ingress_says_where_it_is_reached(api: Api, namespace: str) -> None:
    path = f"{NETWORKING}/namespaces/{namespace}/ingresses"
    made = await api.ok("POST", path, ingress("web"))
    assert made["status"] == {"loadBalancer": {}} and made["metadata"]["generation"] == 1
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7", "hostname": "web.example.com"}]}}
    changed = await api.ok("PUT", f"{path}/web/status", {**made, "spec": {}, "status": status})
    assert changed["status"] == status
    assert changed["spec"] == made["spec"] and changed["metadata"]["generation"] == 1
    await api.ok("PUT", f"{path}/web", {**changed, "status": {}})
    assert (await api.ok("GET", f"{path}/web"))["status"] == status
    wrong = {"loadBalancer": {"ingress": [{"ip": "192.0.2"}]}}
    code, answer = await api.patch(f"{path}/web/status", {"status": wrong})
    assert code == 422
    assert answer["details"]["causes"][0]["field"] == "status.loadBalancer.ingress[0].ip"
