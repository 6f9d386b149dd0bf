"""LimitRanges against a real server: what pods are given, what is refused, what kubectl shows."""

from __future__ import annotations

from typing import Any

from tests.integration.apiserver.conftest import Api, Server

BOUNDS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "bounds"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "max": {"cpu": "1", "memory": "1Gi"},
                "min": {"cpu": "50m"},
                "default": {"cpu": "500m", "memory": "128Mi"},
                "defaultRequest": {"cpu": "100m"},
            },
            {"type": "Pod", "max": {"cpu": "1500m"}},
        ]
    },
}


def pod(name: str, *containers: dict[str, Any]) -> dict[str, Any]:
    made = [
        {"name": f"c{n}", "image": "busybox", **one} for n, one in enumerate(containers or [{}])
    ]
    return {"metadata": {"name": name}, "spec": {"containers": made}}


async def test_containers_get_the_defaults_at_once(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    await api.ok("POST", f"{path}/limitranges", BOUNDS)
    made = await api.ok("POST", f"{path}/pods", pod("p"))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m", "memory": "128Mi"},
        "requests": {"cpu": "100m", "memory": "128Mi"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c0; "
        "cpu, memory limit for container c0"
    )
    assert made["status"]["qosClass"] == "Burstable"


async def test_a_change_is_for_what_comes_later(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    await api.ok("POST", f"{path}/limitranges", BOUNDS)
    before = await api.ok("POST", f"{path}/pods", pod("before"))
    item = {"type": "Container", "max": {"cpu": "200m"}, "default": {"cpu": "200m"}}
    code, _ = await api.patch(f"{path}/limitranges/bounds", {"spec": {"limits": [item]}})
    assert code == 200
    after = await api.ok("POST", f"{path}/pods", pod("after"))
    amounts = {"limits": {"cpu": "200m"}, "requests": {"cpu": "200m"}}
    assert after["spec"]["containers"][0]["resources"] == amounts
    code, same = await api.patch(f"{path}/pods/before", {"metadata": {"labels": {"a": "b"}}})
    assert code == 200 and same["spec"] == before["spec"]


async def test_what_is_out_of_bounds_is_refused(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    await api.ok("POST", f"{path}/limitranges", BOUNDS)
    large = {"resources": {"limits": {"cpu": "2"}}}
    code, answer = await api.post(f"{path}/pods", pod("large", large))
    assert code == 403 and answer["reason"] == "Forbidden"
    assert answer["message"] == (
        'pods "large" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, '
        "maximum cpu usage per Pod is 1500m, but limit is 2]"
    )
    many = [{"resources": {"limits": {"cpu": "600m"}}}] * 3
    code, answer = await api.post(f"{path}/pods", pod("many", *many))
    assert "maximum cpu usage per Pod is 1500m, but limit is 1800m" in answer["message"]


async def test_claims_keep_to_their_bounds(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    item = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}}
    body = {"metadata": {"name": "storage"}, "spec": {"limits": [item]}}
    await api.ok("POST", f"{path}/limitranges", body)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "6Gi"}}}
    claim = {"metadata": {"name": "c"}, "spec": spec}
    code, answer = await api.post(f"{path}/persistentvolumeclaims", claim)
    assert code == 403
    assert answer["message"] == (
        'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim '
        "is 5Gi, but request is 6Gi"
    )


async def test_all_errors_of_bounds(api: Api, namespace: str) -> None:
    spec = {"limits": [{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Thing"}]}
    code, answer = await api.post(
        f"/api/v1/namespaces/{namespace}/limitranges", {**BOUNDS, "spec": spec}
    )
    assert code == 422
    assert [cause["field"] for cause in answer["details"]["causes"]] == [
        "spec.limits[0].default",
        "spec.limits[1].type",
    ]


async def test_kubectl_shows_them(server: Server, api: Api, namespace: str) -> None:
    await api.ok("POST", f"/api/v1/namespaces/{namespace}/limitranges", BOUNDS)
    shown = server.kubectl("get", "limits", "-n", namespace).stdout
    assert shown.splitlines()[0].split() == ["NAME", "CREATED", "AT"]
    told = server.kubectl("describe", "limitrange/bounds", "-n", namespace).stdout
    rows = [line.split() for line in told.splitlines()]
    assert ["Container", "cpu", "50m", "1", "100m", "500m", "-"] in rows
    assert ["Pod", "cpu", "-", "1500m", "-", "-", "-"] in rows
    told = server.kubectl("describe", "namespace", namespace).stdout
    assert "Resource Limits" in told and "Container  cpu" in told
