"""The DefaultIngressClass plugin: which class an Ingress gets that names none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.meta import ObjectMeta
from api.networking import Ingress, IngressClass, IngressSpec
from api.scheme import resource_of
from control.admission.chain import Attributes, Operation
from control.admission.ingressclass import DEFAULT_ANNOTATION, DefaultIngressClass
from control.auth.user import in_process

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


class Classes:
    """A reader of classes."""

    def __init__(self, *classes: IngressClass) -> None:
        self.found = classes

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        raise AssertionError("plugins of classes list them")

    def list(self, type_: type[Any], namespace: str = "") -> Any:
        return self.found

    async def fresh(self, type_: type[Any]) -> None:
        return None


def ingress_class(name: str, born: str, default: str = "true") -> IngressClass:
    annotations = {DEFAULT_ANNOTATION: default}
    meta = ObjectMeta(name=name, creation_timestamp=born, annotations=annotations)
    return IngressClass(metadata=meta)


def chosen(*classes: IngressClass, name: str | None = None, **annotations: str) -> str | None:
    ingress = Ingress(
        metadata=ObjectMeta(name="i", namespace="n", annotations=annotations),
        spec=IngressSpec(ingress_class_name=name),
    )
    request = Attributes(
        operation=Operation.CREATE,
        resource=resource_of(Ingress),
        namespace="n",
        name="i",
        user=in_process("test"),
        object=ingress,
    )
    asyncio.run(DefaultIngressClass(Classes(*classes)).admit(request))
    return ingress.spec.ingress_class_name


def test_the_default_is_filled_in() -> None:
    assert chosen(ingress_class("other", LATE, "false"), ingress_class("a", EARLY)) == "a"


def test_there_need_be_none() -> None:
    assert chosen() is None
    assert chosen(ingress_class("a", EARLY, "yes")) is None


def test_of_several_the_newest_counts_and_then_the_name() -> None:
    assert chosen(ingress_class("a", EARLY), ingress_class("b", LATE)) == "b"
    assert chosen(ingress_class("c", LATE), ingress_class("b", LATE)) == "b"


def test_what_is_said_stays() -> None:
    assert chosen(ingress_class("a", EARLY), name="mine") == "mine"
    assert chosen(ingress_class("a", EARLY), name="") == ""
    assert chosen(ingress_class("a", EARLY), **{"kubernetes.io/ingress.class": "old"}) is None


@pytest.mark.parametrize(
    ("operation", "subresource", "handled"),
    [
        (Operation.CREATE, "", True),
        (Operation.UPDATE, "", False),
        (Operation.UPDATE, "status", False),
    ],
)
def test_only_creations_are_looked_at(
    operation: Operation, subresource: str, handled: bool
) -> None:
    plugin = DefaultIngressClass(Classes())
    assert plugin.handles(resource_of(Ingress), operation, subresource) is handled
