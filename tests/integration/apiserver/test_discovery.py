"""What clients read before they say what they want: versions, groups, schemas, health, metrics."""

from __future__ import annotations

from tests.integration.apiserver.conftest import Api, config_map

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
OLD = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


async def test_the_old_form(api: Api) -> None:
    assert (await api.ok("GET", "/api"))["versions"] == ["v1"]
    groups = {group["name"]: group for group in (await api.ok("GET", "/apis"))["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert (await api.ok("GET", "/apis/apps"))["kind"] == "APIGroup"
    found = await api.ok("GET", "/apis/apps/v1?timeout=32s")
    resources = {resource["name"]: resource for resource in found["resources"]}
    assert resources["deployments"]["shortNames"] == ["deploy"]
    assert resources["deployments/scale"]["group"] == "autoscaling"
    assert resources["deployments/scale"]["kind"] == "Scale"
    core = {one["name"]: one for one in (await api.ok("GET", "/api/v1"))["resources"]}
    assert core["pods"]["categories"] == ["all"] and "pods/exec" in core
    assert (await api.get("/apis/none"))[0] == 404
    assert (await api.get("/api/v2"))[0] == 404


async def test_the_root_names_every_path(api: Api) -> None:
    """What `kubectl get --raw /` and `curl localhost:8001/` begin with."""
    paths = (await api.ok("GET", "/"))["paths"]
    assert paths == sorted(paths)
    assert {"/api/v1", "/apis/apps", "/apis/apps/v1", "/openapi/v3", "/readyz/ping"} <= set(paths)
    for path in paths:
        assert (await api.get(path))[0] == 200, path
    code, _ = await api.post("/", {})
    assert code == 405


async def test_the_new_form_echoes_what_was_negotiated(api: Api) -> None:
    for accept in (f"{V2},{OLD},application/json", OLD):
        for path in ("/api", "/apis"):
            answer = await api.ok("GET", path, headers={"Accept": accept})
            assert answer["kind"] == "APIGroupDiscoveryList"
            assert api.headers["Content-Type"] == accept.split(",", maxsplit=1)[0]
    assert answer["items"][0]["versions"][0]["resources"]


async def test_what_is_known_need_not_be_sent_again(api: Api) -> None:
    await api.get("/apis", headers={"Accept": V2})
    etag = api.headers["Etag"]
    code, _ = await api.get("/apis", headers={"Accept": V2, "If-None-Match": etag})
    assert code == 304


async def test_schemas_are_immutable_under_their_hash(api: Api) -> None:
    index = await api.ok("GET", "/openapi/v3")
    url = index["paths"]["api/v1"]["serverRelativeURL"]
    assert url.startswith("/openapi/v3/api/v1?hash=")
    document = await api.ok("GET", url)
    assert "immutable" in api.headers["Cache-Control"] and api.headers["Etag"]
    pod = document["components"]["schemas"]["io.k8s.api.core.v1.Pod"]
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    assert pod["x-kubernetes-group-version-kind"] == [kind]
    spec = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert spec["containers"]["x-kubernetes-patch-merge-key"] == "name"
    assert spec["restartPolicy"]["enum"] == ["Always", "OnFailure", "Never"]
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == kind
    assert {"fieldValidation", "dryRun"} <= {one["name"] for one in patch["parameters"]}


async def test_every_reference_leads_somewhere(api: Api) -> None:
    index = await api.ok("GET", "/openapi/v3")
    for entry in index["paths"].values():
        document = await api.ok("GET", entry["serverRelativeURL"])
        schemas = document["components"]["schemas"]
        for reference in _references(document):
            assert reference.removeprefix("#/components/schemas/") in schemas


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [one for child in value.values() for one in _references(child)]
    if isinstance(value, list):
        return [one for child in value for one in _references(child)]
    return []


async def test_a_v2_document_has_every_kind(api: Api) -> None:
    document = await api.ok("GET", "/openapi/v2")
    assert document["swagger"] == "2.0"
    for path in ("/api/v1/namespaces/{namespace}/pods", "/apis/coordination.k8s.io/v1/leases"):
        assert path in document["paths"]
    assert "io.k8s.api.authorization.v1.SelfSubjectAccessReview" in document["definitions"]
    references = _references(document)
    assert references
    for reference in references:
        assert reference.removeprefix("#/definitions/") in document["definitions"]


async def test_health_in_detail(api: Api) -> None:
    assert await api.get("/livez") == (200, "ok")
    code, text = await api.get("/readyz?verbose")
    assert code == 200 and "[+]ping ok" in text and text.endswith("readyz check passed\n")
    assert (await api.get("/readyz/ping"))[0] == 200
    assert (await api.get("/readyz/none"))[0] == 404
    _, text = await api.get("/readyz?verbose&exclude=store&exclude=none")
    assert "[+]store excluded: ok" in text
    assert 'warn: some health checks cannot be excluded: no matches for "none"' in text


async def test_metrics(api: Api) -> None:
    await api.get("/api/v1/namespaces")
    await api.ok("POST", "/api/v1/namespaces/default/configmaps", config_map("measured"))
    code, text = await api.get("/metrics")
    assert code == 200
    labels = (
        'component="apiserver",dry_run="",group="",resource="namespaces",scope="cluster",'
        'subresource="",verb="LIST",version="v1"'
    )
    assert f'apiserver_request_total{{code="200",{labels}}}' in text
    assert f"apiserver_request_duration_seconds_count{{{labels}}}" in text
    assert f"apiserver_response_sizes_sum{{{labels}}}" in text
    for name in (
        'apiserver_current_inflight_requests{request_kind="readOnly"}',
        'apiserver_storage_objects{resource="namespaces"}',
        'apiserver_flowcontrol_nominal_limit_seats{priority_level="administrators"}',
        "process_resident_memory_bytes",
        'name="NamespaceLifecycle",operation="CREATE",rejected="false",type="admit"',
    ):
        assert name in text
    assert "podwright_event_loop_lag_seconds" in text
    assert "podwright_store_" in text and "podwright_watch_" in text
