"""Room: no node is given more than it has, and no namespace more than its quota says."""

from __future__ import annotations

from collections.abc import Iterator

from api import nodes, pods, timestamps
from api.core import Node, Pod, ResourceQuota
from api.resources import Amounts, add, amount
from sim.history import Step
from sim.loop import BEGINNING


class Nodes:
    """Judges what the scheduler gives to nodes."""

    def __init__(self) -> None:
        self._there: dict[str, Amounts] = {}
        self._on: dict[str, dict[str, Amounts]] = {}

    def step(self, step: Step) -> Iterator[str]:
        """What is wrong after a change."""
        if isinstance(step.object, Node):
            name = step.object.metadata.name
            if step.new is None:
                self._there.pop(name, None)
            else:
                self._there[name] = nodes.allocatable(step.new)
            return
        if not isinstance(step.object, Pod) or not step.object.spec.node_name:
            return
        pod, uid = step.object, step.object.metadata.uid
        on_node = self._on.setdefault(pod.spec.node_name, {})
        if step.new is None or pods.is_terminal(pod):
            on_node.pop(uid, None)
            return
        placed = uid not in on_node
        on_node[uid] = {**pods.pod_requests(pod), "pods": 1}
        if placed and step.old is not None:  # else somebody else than the scheduler chose the node
            yield from self._judge(pod.spec.node_name)

    def _judge(self, name: str) -> Iterator[str]:
        there = self._there.get(name)
        if there is None:
            return
        total: Amounts = {}
        for amounts in self._on[name].values():
            add(total, amounts)
        for resource, asked in total.items():
            if asked > there.get(resource, 0):
                yield f"Node {name}: {asked} of {resource} given, of {there.get(resource, 0)}"


class Quotas:
    """Judges what namespaces hold: pods, and what these ask for."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Pod]] = {}
        self._quotas: dict[str, dict[str, ResourceQuota]] = {}

    def step(self, step: Step) -> Iterator[str]:
        """What is wrong after a change."""
        metadata = step.object.metadata
        if isinstance(step.object, ResourceQuota):
            quotas = self._quotas.setdefault(metadata.namespace, {})
            quotas.pop(metadata.uid, None)
            if step.new is not None:
                quotas[metadata.uid] = step.new
        elif isinstance(step.object, Pod):
            held = self._pods.setdefault(metadata.namespace, {})
            held.pop(metadata.uid, None)
            if step.new is not None:
                held[metadata.uid] = step.new
            if step.old is None:
                for quota in self._quotas.get(metadata.namespace, {}).values():
                    yield from self._judge(quota, step.at)

    def _judge(self, quota: ResourceQuota, at: float) -> Iterator[str]:
        if quota.spec.scopes or quota.spec.scope_selector is not None:
            return
        used: Amounts = {}
        for pod in self._pods[quota.metadata.namespace].values():
            if not pods.is_terminal(pod) and not _is_overdue(pod, at):
                add(used, {**pods.pod_requests(pod), "pods": 1, "count/pods": 1})
        for name, text in quota.spec.hard.items():
            resource = name.removeprefix("requests.")
            if resource in used and used[resource] > amount(resource, text):
                where = f"ResourceQuota {quota.metadata.namespace}/{quota.metadata.name}"
                yield f"{where}: {used[resource]} of {name}, where there may be {text}"


def _is_overdue(pod: Pod, at: float) -> bool:
    """Whether it should be gone already: then it counts no more."""
    due = pod.metadata.deletion_timestamp
    return due is not None and (timestamps.parse(due) - BEGINNING).total_seconds() <= at
