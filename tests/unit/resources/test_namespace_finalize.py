"""Finalizing a namespace: only the finalizers of its spec change, and nothing of the old one does."""

from api.core import Namespace, NamespaceSpec
from api.meta import ObjectMeta
from control.resources.core.namespace import STRATEGY


def test_the_old_one_is_left_as_it_is() -> None:
    old = Namespace(
        metadata=ObjectMeta(name="shop", labels={"a": "1"}),
        spec=NamespaceSpec(finalizers=["kubernetes"]),
    )
    new = Namespace(metadata=ObjectMeta(name="shop", labels={"b": "2"}), spec=NamespaceSpec())
    STRATEGY.prepare_subresource("finalize", new, old)
    assert new.metadata == old.metadata and new.spec.finalizers == []
    new.metadata.resource_version = "7"
    new.metadata.labels["c"] = "3"
    assert old.metadata == ObjectMeta(name="shop", labels={"a": "1"})
