"""The official Python client, unmodified."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config, watch

from tests.integration.apiserver.conftest import Server


@pytest.fixture
def official(server: Server) -> Iterator[client.ApiClient]:
    made = config.new_client_from_config(config_file=str(server.kubeconfig))
    yield made
    made.close()


@pytest.fixture
def core(official: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(official)


@pytest.fixture
def namespace(core: client.CoreV1Api) -> str:
    name = f"p-{uuid.uuid4().hex[:8]}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    return name


def test_config_maps_live_and_die(core: client.CoreV1Api, namespace: str) -> None:
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "v"})
    made = core.create_namespaced_config_map(namespace, body)
    assert made.metadata.uid
    made.data["k"] = "w"
    assert core.replace_namespaced_config_map("a", namespace, made).data == {"k": "w"}
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"x": "y"}})
    assert patched.data == {"k": "w", "x": "y"}
    assert [item.metadata.name for item in core.list_namespaced_config_map(namespace).items] == [
        "a"
    ]
    core.delete_namespaced_config_map("a", namespace)
    with pytest.raises(client.ApiException) as caught:
        core.read_namespaced_config_map("a", namespace)
    assert caught.value.status == 404


def test_pods_and_nodes_are_typed(core: client.CoreV1Api, namespace: str) -> None:
    container = client.V1Container(
        name="c",
        image="i",
        resources=client.V1ResourceRequirements(requests={"cpu": "0.5", "memory": "1024Mi"}),
    )
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="p"), spec=client.V1PodSpec(containers=[container])
    )
    made = core.create_namespaced_pod(namespace, pod)
    assert made.spec.containers[0].resources.requests == {"cpu": "500m", "memory": "1Gi"}
    assert made.status.phase == "Pending" and made.spec.restart_policy == "Always"
    core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name=namespace)))
    status = {"status": {"capacity": {"cpu": "2"}, "nodeInfo": None}}
    core.patch_node_status(namespace, {"status": {"capacity": status["status"]["capacity"]}})
    assert core.read_node(namespace).status.capacity == {"cpu": "2"}
    gone = core.delete_namespaced_pod("p", namespace)
    assert gone.metadata.name == "p"


def test_deployments_scale(official: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(official)
    labels = {"app": "d"}
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i")]),
    )
    spec = client.V1DeploymentSpec(
        replicas=1, selector=client.V1LabelSelector(match_labels=labels), template=template
    )
    body = client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec)
    apps.create_namespaced_deployment(namespace, body)
    scale = apps.read_namespaced_deployment_scale("d", namespace)
    scale.spec.replicas = 3
    apps.replace_namespaced_deployment_scale("d", namespace, scale)
    assert apps.read_namespaced_deployment("d", namespace).spec.replicas == 3


def test_watch_tells_of_changes(core: client.CoreV1Api, namespace: str) -> None:
    listed = core.list_namespaced_config_map(namespace)

    def change() -> None:
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"))
        core.create_namespaced_config_map(namespace, body)
        core.delete_namespaced_config_map("a", namespace)

    changing = threading.Timer(0.2, change)
    changing.start()
    told = []
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=60,
    ):
        told.append((event["type"], event["object"].metadata.name))
        if len(told) == 2:
            watcher.stop()
    changing.join()
    assert told == [("ADDED", "a"), ("DELETED", "a")]


def test_pages(core: client.CoreV1Api, namespace: str) -> None:
    for number in range(5):
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"m{number}"))
        core.create_namespaced_config_map(namespace, body)
    first = core.list_namespaced_config_map(namespace, limit=3)
    assert first.metadata.remaining_item_count == 2
    rest = core.list_namespaced_config_map(namespace, limit=3, _continue=first.metadata._continue)
    names = [item.metadata.name for item in (*first.items, *rest.items)]
    assert names == [f"m{number}" for number in range(5)]


def test_the_server_introduces_itself(official: client.ApiClient) -> None:
    found = client.VersionApi(official).get_code()
    assert (found.major, found.minor) == ("1", "34")
    groups = {group.name for group in client.ApisApi(official).get_api_versions().groups}
    assert {"apps", "coordination.k8s.io"} <= groups


LISTED_ELSEWHERE = 404
"""What a newer client knows and this server does not have."""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Server]:
    """A server with its controllers, and what they make and tell of a few workloads."""
    made = Server(tmp_path)
    made.start(whole=True)
    try:
        made.kubectl("create", "deployment", "web", "--image=i", "--replicas=2")
        made.kubectl("expose", "deployment", "web", "--port=80")
        made.kubectl("create", "job", "once", "--image=i")
        made.kubectl("create", "cronjob", "often", "--image=i", "--schedule=* * * * *")
        made.kubectl("autoscale", "deployment", "web", "--max=3")
        made.kubectl("wait", "--for=create", "--timeout=30s", "pod", "-l", "app=web")
        for _ in range(200):
            if "FailedScheduling" in made.kubectl("get", "events").stdout:
                break
            time.sleep(0.1)
        yield made
    finally:
        made.stop()


def test_every_list_and_every_group_is_read(busy: Server) -> None:
    """Each call of each API class that asks for many objects, or for what there is."""
    official = config.new_client_from_config(config_file=str(busy.kubeconfig))
    read, wrong = 0, []
    for name in dir(client):
        if not name.endswith("Api") or name == "CustomObjectsApi":
            continue
        api = getattr(client, name)(official)
        for call in dir(api):
            if call.startswith("list_namespaced_"):
                arguments = ["default"]
            elif call.startswith("list_") or call in ("get_api_resources", "get_api_group"):
                arguments = []
            else:
                continue
            if call.endswith("_with_http_info"):
                continue
            try:
                getattr(api, call)(*arguments)
                read += 1
            except client.ApiException as error:
                if error.status != LISTED_ELSEWHERE:
                    wrong.append(f"{name}.{call}: {error.status} {error.body}")
            except ValueError as error:  # a model that refuses what was sent
                wrong.append(f"{name}.{call}: {error}")
    official.close()
    assert not wrong, "\n".join(wrong)
    assert read > 120
