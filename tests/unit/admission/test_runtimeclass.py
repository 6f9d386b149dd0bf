"""The RuntimeClass plugin: what a pod gets from the class that it names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.core import Container, Pod, PodSpec, Toleration
from api.errors import ApiError
from api.meta import ObjectMeta
from api.node import Overhead, RuntimeClass, Scheduling
from api.scheme import resource_of
from control.admission.chain import Attributes, Operation
from control.admission.runtimeclass import RuntimeClassPlugin, covers, merged
from control.auth.user import in_process

SANDBOX = RuntimeClass(
    metadata=ObjectMeta(name="sandbox"),
    handler="sandbox",
    overhead=Overhead(pod_fixed={"cpu": "250m", "memory": "64Mi"}),
    scheduling=Scheduling(
        node_selector={"runtime": "sandbox"},
        tolerations=[Toleration(key="runtime", operator="Exists")],
    ),
)
PLAIN = RuntimeClass(metadata=ObjectMeta(name="plain"), handler="plain")


class Classes:
    """A reader of classes."""

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        return {"sandbox": SANDBOX, "plain": PLAIN}.get(name)

    def list(self, type_: type[Any], namespace: str = "") -> Any:
        raise AssertionError("a pod names its class")

    async def fresh(self, type_: type[Any]) -> None:
        return None


PLUGIN = RuntimeClassPlugin(Classes())


def request(name: str | None, **spec: Any) -> Attributes:
    pod = Pod(
        metadata=ObjectMeta(name="p", namespace="n"),
        spec=PodSpec(containers=[Container(name="c", image="i")], runtime_class_name=name, **spec),
    )
    return Attributes(
        operation=Operation.CREATE,
        resource=resource_of(Pod),
        namespace="n",
        name="p",
        user=in_process("test"),
        object=pod,
    )


def admitted(name: str | None, **spec: Any) -> PodSpec:
    asked = request(name, **spec)
    asyncio.run(PLUGIN.admit(asked))
    asyncio.run(PLUGIN.validate(asked))
    found: PodSpec = asked.object.spec
    return found


def test_a_pod_gets_overhead_nodes_and_tolerations_of_its_class() -> None:
    own = Toleration(key="own", operator="Exists")
    spec = admitted("sandbox", node_selector={"disk": "ssd"}, tolerations=[own])
    assert spec.overhead == {"cpu": "250m", "memory": "64Mi"}
    assert spec.node_selector == {"disk": "ssd", "runtime": "sandbox"}
    assert [one.key for one in spec.tolerations] == ["own", "runtime"]
    assert SANDBOX.overhead and spec.overhead is not SANDBOX.overhead.pod_fixed


def test_other_pods_are_left_alone() -> None:
    for name in (None, "plain"):
        spec = admitted(name)
        assert (spec.overhead, spec.node_selector, spec.tolerations) == ({}, {}, [])


def test_who_says_the_same_may_say_it() -> None:
    same = {"cpu": "0.25", "memory": "65536Ki"}
    assert admitted("sandbox", overhead=same).overhead == {"cpu": "250m", "memory": "64Mi"}
    spec = admitted("sandbox", node_selector={"runtime": "sandbox"})
    assert spec.node_selector == {"runtime": "sandbox"}


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("missing", {}, 'pods "p" is forbidden: pod rejected: RuntimeClass "missing" not found'),
        ("sandbox", {"overhead": {"cpu": "1"}}, "doesn't match RuntimeClass's defined Overhead"),
        ("plain", {"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding Runtime"),
        (None, {"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding RuntimeClass"),
        (
            "sandbox",
            {"node_selector": {"runtime": "other"}},
            "conflict: runtimeClass.scheduling.nodeSelector[runtime] = sandbox; "
            "pod.spec.nodeSelector[runtime] = other",
        ),
    ],
)
def test_refused(name: str | None, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError) as refused:
        admitted(name, **spec)
    assert refused.value.status.code == 403
    assert words in refused.value.status.message


def test_what_others_change_afterwards_is_seen() -> None:
    asked = request("sandbox")
    asyncio.run(PLUGIN.admit(asked))
    asked.object.spec.overhead = {"cpu": "1m"}
    with pytest.raises(ApiError, match="doesn't match"):
        asyncio.run(PLUGIN.validate(asked))


EXISTS = Toleration(key="a", operator="Exists")
VALUE = Toleration(key="a", operator="Equal", value="b")
LONG = Toleration(key="a", operator="Exists", effect="NoExecute", toleration_seconds=60)
SHORT = Toleration(key="a", operator="Exists", effect="NoExecute", toleration_seconds=30)
FOREVER = Toleration(key="a", operator="Exists", effect="NoExecute")


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        (EXISTS, EXISTS, True),
        (EXISTS, VALUE, True),
        (VALUE, EXISTS, False),
        (Toleration(operator="Exists"), VALUE, True),
        (Toleration(key="b", operator="Exists"), VALUE, False),
        (VALUE, Toleration(key="a", value="b"), True),
        (VALUE, Toleration(key="a", value="c"), False),
        (EXISTS, LONG, True),
        (LONG, EXISTS, False),
        (LONG, SHORT, True),
        (SHORT, LONG, False),
        (LONG, FOREVER, False),
        (FOREVER, LONG, True),
    ],
)
def test_which_toleration_covers_which(wide: Toleration, narrow: Toleration, covered: bool) -> None:
    assert covers(wide, narrow) is covered


def test_tolerations_that_others_cover_are_left_out() -> None:
    assert merged([VALUE], [EXISTS]) == [EXISTS]
    assert merged([EXISTS], [VALUE, EXISTS]) == [EXISTS]
    assert merged([VALUE, SHORT], [FOREVER]) == [VALUE, FOREVER]
