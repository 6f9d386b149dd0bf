"""Which pods are a pod's like: those of its services and of what controls it. Walk step 3.

Spread constraints that a profile has for pods without any of their own count these, and so does the score
that keeps the pods of a service apart. The rule is that of Kubernetes' default constraints: the selectors
of all services that select the pod, and that of the ReplicaSet, ReplicationController or StatefulSet
that controls it, hold together; a pod that nothing selects has no siblings.

Single-threaded, kept from the informers. Size: one selector per service, and what was found for the
last few hundred sorts of labels.
"""

from collections.abc import Iterator

from api.apps import ReplicaSet, StatefulSet
from api.core import Pod, ReplicationController, Service
from api.informer import Informer
from api.objects import controller_of
from api.selectors import Selector, from_label_selector, from_labels
from control.scheduler.terms import PodSet, siblings_of

MAX_REMEMBERED = 512


class Siblings:
    """The selectors of services, and where those of controllers are looked up."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, Selector]] = {}
        self._serving: dict[tuple[str, frozenset[tuple[str, str]]], list[Selector]] = {}
        self._sets: dict[str, Informer[ReplicaSet] | Informer[StatefulSet]] = {}
        self._old: Informer[ReplicationController] | None = None

    def follow(
        self,
        services: Informer[Service],
        replica_sets: Informer[ReplicaSet],
        stateful_sets: Informer[StatefulSet],
        replication_controllers: Informer[ReplicationController],
    ) -> None:
        """Keep up with them."""
        services.subscribe(self._on_service)
        self._sets = {"ReplicaSet": replica_sets, "StatefulSet": stateful_sets}
        self._old = replication_controllers

    def of(self, pod: Pod) -> PodSet | None:
        """The pods that are like this one, itself among them; None when nothing selects it."""
        found = [one for one in self._selecting(pod) if not one.empty]
        if not found:
            return None
        requirements = dict.fromkeys(rule for one in found for rule in one.requirements)
        return siblings_of(pod, Selector(tuple(requirements)))

    def _selecting(self, pod: Pod) -> Iterator[Selector]:
        owner, namespace = controller_of(pod), pod.metadata.namespace
        yield from self._services_of(namespace, pod.metadata.labels)
        if owner is None:
            return
        if owner.kind == "ReplicationController" and self._old is not None:
            old = self._old.get(owner.name, namespace)
            if old is not None:
                yield from_labels(old.spec.selector)
        elif (informer := self._sets.get(owner.kind)) is not None:
            known = informer.get(owner.name, namespace)
            if known is not None:
                yield from_label_selector(known.spec.selector)

    def _services_of(self, namespace: str, labels: dict[str, str]) -> list[Selector]:
        """The selectors of the services that select a pod with these labels."""
        like = (namespace, frozenset(labels.items()))
        known = self._serving.get(like)
        if known is None:
            if len(self._serving) >= MAX_REMEMBERED:
                self._serving.clear()
            here = self._services.get(namespace, {}).values()
            known = self._serving[like] = [one for one in here if one.matches(labels)]
        return known

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        one = new or old
        assert one is not None, "an informer told of nothing"
        here = self._services.setdefault(one.metadata.namespace, {})
        before = here.pop(one.metadata.name, None)
        if new is not None and new.spec.selector:
            here[new.metadata.name] = from_labels(new.spec.selector)
        if here.get(one.metadata.name) != before:
            self._serving.clear()
        if not here:
            del self._services[one.metadata.namespace]
