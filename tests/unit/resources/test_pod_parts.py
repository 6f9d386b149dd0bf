"""Containers added to a running pod, and other amounts for one that waits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.codec import decode
from api.core import Pod
from api.scheme import resource_of
from control.resources import strategy_of

STRATEGY = strategy_of(resource_of(Pod))


def pod(**spec: Any) -> Pod:
    container = {
        "name": "app",
        "image": "a:1",
        "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}},
    }
    tree = {
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"containers": [container], **spec},
    }
    made = decode.convert(tree, Pod).obj
    STRATEGY.default(made)
    STRATEGY.prepare_create(made)
    STRATEGY.complete_create(made)
    return made


def change(part: str, old: Pod, edit: Any) -> tuple[Pod, list[str]]:
    tree = decode.to_tree(old)
    edit(tree)
    new = decode.convert(tree, Pod).obj
    STRATEGY.default(new)
    STRATEGY.prepare_subresource(part, new, old)
    return new, [str(error) for error in STRATEGY.validate_subresource(part, new, old)]


def debugging(*containers: dict[str, Any]) -> Any:
    def edit(tree: dict[str, Any]) -> None:
        tree["spec"]["ephemeralContainers"] = list(containers)
        tree["spec"]["nodeName"] = "stolen"
        tree["metadata"]["labels"] = {"a": "b"}

    return edit


def test_a_container_is_added_and_nothing_else_changes() -> None:
    shell = {"name": "sh", "image": "busybox", "stdin": True, "targetContainerName": "app"}
    new, errors = change("ephemeralcontainers", pod(), debugging(shell))
    assert errors == []
    assert [one.name for one in new.spec.ephemeral_containers] == ["sh"]
    assert new.spec.ephemeral_containers[0].termination_message_policy == "File"
    assert (new.spec.node_name, new.metadata.labels) == ("", {})
    assert STRATEGY.warnings(new) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ports": [{"containerPort": 80}]}, "ports: Forbidden: cannot be set for an Ephemeral"),
        ({"resources": {"limits": {"cpu": "1"}}}, "resources: Forbidden: cannot be set"),
        ({"livenessProbe": {"tcpSocket": {"port": 1}}}, "livenessProbe: Forbidden"),
        ({"lifecycle": {}}, "lifecycle: Forbidden"),
        ({"targetContainerName": "no"}, 'targetContainerName: Not found: "no"'),
        ({"image": ""}, "image: Required value"),
        ({"name": "app"}, 'name: Duplicate value: "app"'),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}]},
            "volumeMounts[0].subPath: Forbidden: cannot be set",
        ),
    ],
)
def test_what_such_a_container_may_not_have(more: dict[str, Any], words: str) -> None:
    old = pod(volumes=[{"name": "v", "emptyDir": {}}])
    _, errors = change(
        "ephemeralcontainers", old, debugging({"name": "sh", "image": "busybox", **more})
    )
    assert any(f"spec.ephemeralContainers[0].{words}" in error for error in errors), errors


def test_what_was_added_stays() -> None:
    old, _ = change("ephemeralcontainers", pod(), debugging({"name": "sh", "image": "b"}))
    _, errors = change("ephemeralcontainers", old, debugging())
    assert 'existing ephemeral containers "sh" may not be removed' in errors[0]
    _, errors = change("ephemeralcontainers", old, debugging({"name": "sh", "image": "c"}))
    assert 'existing ephemeral containers "sh" may not be changed' in errors[0]


def wanting(**resources: Any) -> Any:
    def edit(tree: dict[str, Any]) -> None:
        tree["spec"]["containers"][0]["resources"] = resources
        tree["spec"]["containers"][0]["image"] = "other"

    return edit


def test_amounts_change_and_nothing_else_does() -> None:
    new, errors = change("resize", pod(), wanting(requests={"cpu": "200m"}, limits={"cpu": "2"}))
    assert errors == []
    container = new.spec.containers[0]
    assert (container.image, container.resources.limits) == ("a:1", {"cpu": "2"})


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, ""),
        ({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, "must be less than or equal to cpu"),
        ({"requests": {"cpu": "100m"}}, "resource limits cannot be removed"),
        ({}, "Pod QOS Class may not change as a result of resizing"),
        (
            {
                "requests": {"cpu": "100m", "ephemeral-storage": "1Gi"},
                "limits": {"cpu": "1"},
            },
            "only cpu and memory resources are mutable",
        ),
    ],
)
def test_resizing_within_its_rules(wanted: dict[str, Any], words: str) -> None:
    _, errors = change("resize", pod(), wanting(**wanted))
    assert any(words in error for error in errors) if words else errors == [], errors


RENAMED = "Forbidden: containers may not be renamed or reordered on resize"


@pytest.mark.parametrize(
    ("names", "errors"),
    [
        (("app", "log"), []),
        (("log", "app"), [f"spec.containers[{n}].name: {RENAMED}" for n in (0, 1)]),
        (("app", "new"), [f"spec.containers[1].name: {RENAMED}"]),
        (("app",), ["spec: Forbidden: containers may not be added or removed on resize"]),
    ],
)
def test_the_containers_of_a_pod_stay_where_they_are(names: list[str], errors: list[str]) -> None:
    spec = pod().spec.containers[0]
    both = [decode.to_tree(msgspec.structs.replace(spec, name=name)) for name in ("app", "log")]

    def edit(tree: dict[str, Any]) -> None:
        tree["spec"]["containers"] = [{**both[0], "name": name} for name in names]

    assert change("resize", pod(containers=both), edit)[1] == errors


def test_a_pod_with_amounts_of_its_own_is_not_resized() -> None:
    old = pod(resources={"limits": {"cpu": "4"}})
    _, errors = change("resize", old, wanting(requests={"cpu": "100m"}, limits={"cpu": "2"}))
    assert errors == ["spec: Forbidden: pods with pod-level resources cannot be resized"]


def test_a_running_pod_needs_a_node_that_can() -> None:
    old = pod()
    status = {"name": "app", "state": {"running": {}}}
    tree = decode.to_tree(old)
    tree["status"]["containerStatuses"] = [status]
    running = decode.convert(tree, Pod).obj
    edit = wanting(requests={"cpu": "200m"}, limits={"cpu": "1"})
    _, errors = change("resize", running, edit)
    assert errors == ["spec: Forbidden: Pod running on node without support for resize"]
    running.status.container_statuses[0].resources = running.spec.containers[0].resources
    assert change("resize", running, edit)[1] == []


# Mirrors.


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("", "", ""),
        ("uid-1", "uid-1", ""),
        ("", "uid-1", "may not add mirror pod annotation"),
        ("uid-1", "", "may not remove or update mirror pod annotation"),
        ("uid-1", "uid-2", "may not remove or update mirror pod annotation"),
    ],
)
@pytest.mark.parametrize("subresource", ["", "status"])
def test_who_is_a_mirror_stays_one(before: str, after: str, words: str, subresource: str) -> None:
    """A node does not look at mirrors as at pods: one that ran would be left alone."""
    old, new = (pod(), pod())
    for one, value in ((old, before), (new, after)):
        if value:
            one.metadata.annotations = {"kubernetes.io/config.mirror": value}
    errors = (
        STRATEGY.validate_subresource(subresource, new, old)
        if subresource
        else STRATEGY.validate_update(new, old)
    )
    where = "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: "
    assert [str(error) for error in errors] == ([where + words] if words else [])
