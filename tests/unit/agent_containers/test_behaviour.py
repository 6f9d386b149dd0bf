"""What annotations for the fake runtime mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest

from agent.containers.behaviour import (
    PREFIX,
    BadAnnotations,
    Behaviour,
    parse,
    pull_seconds,
    script_for,
)
from agent.containers.script import Script
from api.core import Container, EphemeralContainer, Pod, PodSpec
from api.meta import ObjectMeta


def pod(name: str = "pod", *, namespace: str = "ns", **annotations: str) -> Pod:
    """`init`, `web` and `debug`; an annotation's `__` is its dot and `_` its dash."""
    said = {
        PREFIX + key.replace("__", ".").replace("_", "-"): text for key, text in annotations.items()
    }
    return Pod(
        metadata=ObjectMeta(name=name, namespace=namespace, annotations=said),
        spec=PodSpec(
            init_containers=[Container(name="init", image="app:1")],
            containers=[Container(name="web", image="web")],
            ephemeral_containers=[EphemeralContainer(name="debug", image="debug:1")],
        ),
    )


def test_everything_that_may_be_said() -> None:
    said = {
        f"{PREFIX}web.run-for": "1m30s",
        f"{PREFIX}web.exit-code": "3",
        f"{PREFIX}web.start-error": "no such program",
        f"{PREFIX}web.ignore-term": "true",
        f"{PREFIX}web.slow-pull": "500ms",
        "example.com/web.run-for": "not ours",
    }
    assert parse(said, ["web", "db"]) == {
        "web": Behaviour(
            run_for=90,
            exit_code=3,
            start_error="no such program",
            ignore_term=True,
            slow_pull=0.5,
        ),
        "db": Behaviour(),
    }


def test_a_container_of_its_own_mind() -> None:
    said = {f"{PREFIX}run-for": "5s", f"{PREFIX}exit-code": "1", f"{PREFIX}web.exit-code": "0"}
    found = parse(said, ["web", "db"])
    assert found["db"] == Behaviour(run_for=5, exit_code=1)
    assert found["web"] == Behaviour(run_for=5, exit_code=0)


@pytest.mark.parametrize(
    ("key", "text", "error"),
    [
        ("web.run-for", "soon", '"soon" is not a duration such as 500ms, 10s, 1m30s or 2h'),
        ("run-for", "-1s", '"-1s" is not a duration such as 500ms, 10s, 1m30s or 2h'),
        ("slow-pull", "", '"" is not a duration such as 500ms, 10s, 1m30s or 2h'),
        ("web.exit-code", "256", '"256" is not an exit code from 0 to 255'),
        ("web.exit-code", "-1", '"-1" is not an exit code from 0 to 255'),
        ("web.ignore-term", "yes", '"yes" is not true or false'),
        ("web.start-error", " ", '" " is not a message of at least one letter'),
        ("wbe.run-for", "3s", 'the pod has no container "wbe"'),
        (
            "web.runs-for",
            "3s",
            '"runs-for" is not one of run-for, exit-code, start-error, ignore-term, slow-pull',
        ),
    ],
)
def test_what_cannot_be_used(key: str, text: str, error: str) -> None:
    with pytest.raises(BadAnnotations) as caught:
        parse({PREFIX + key: text}, ["web"])
    assert caught.value.message == f"metadata.annotations[{PREFIX}{key}]: {error}"


def test_all_errors_at_once() -> None:
    with pytest.raises(BadAnnotations) as caught:
        parse({f"{PREFIX}run-for": "x", f"{PREFIX}web.exit-code": "y"}, ["web"])
    assert [part.partition(":")[0] for part in caught.value.message.split("; ")] == [
        f"metadata.annotations[{PREFIX}run-for]",
        f"metadata.annotations[{PREFIX}web.exit-code]",
    ]


def test_annotations_change_only_what_they_name() -> None:
    base = Script(run_for=9, exit_code=4, term_seconds=2)
    assert Behaviour().over(base) == base
    assert Behaviour(exit_code=0).over(base) == Script(run_for=9, exit_code=0, term_seconds=2)
    stubborn = Script(ignores_term=True)
    assert Behaviour(ignore_term=False).over(stubborn) == Script()


@pytest.mark.parametrize("container", ["init", "web", "debug"])
def test_containers_of_every_kind(container: str) -> None:
    pods = [pod("other", run_for="1s"), pod(namespace="else", run_for="2s"), pod(run_for="3s")]
    found = script_for(f"k8s_{container}_pod_ns_uid_4", Script(), pods)
    assert found == Script(run_for=3)


@pytest.mark.parametrize(
    "name", ["k8s_POD_pod_ns_uid_0", "k8s_web_gone_ns_uid_0", "web", "k8s_web"]
)
def test_what_no_annotation_is_about(name: str) -> None:
    for text in ("3s", "wrong"):
        assert script_for(name, Script(exit_code=7), [pod(run_for=text)]) == Script(exit_code=7)


def test_the_slowest_pull_of_an_image_counts() -> None:
    pods = [
        pod("a", slow_pull="3s"),
        pod("b", web__slow_pull="40s"),
        pod("c", web__slow_pull="99s", run_for="wrong"),
    ]
    assert pull_seconds("web:latest", pods) == 40
    assert pull_seconds("app:1", pods) == 3
    assert pull_seconds("debug:1", pods) == 3
    assert pull_seconds("other:1", pods) == 0
