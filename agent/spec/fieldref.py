"""Values that a pod may read about itself: fieldRef and resourceFieldRef (step 4). Pure.

Used for environment variables and for downward API volumes; the words of the errors are the
kubelet's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.spec.errors import ConfigError
from api import quantity
from api.core import Container, Node, Pod, ResourceFieldSelector

_UNLIMITED = ("cpu", "memory", "ephemeral-storage")
"""Without a limit, a container may use all that its pod as a whole may use, or the node gives to pods."""
_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the pod runs: what it cannot know from its spec."""

    node: str
    host_ip: str
    pod_ip: str = ""
    allocatable: Mapping[str, str]
    own: Node | None = None
    """The node's object, where it is known."""


def needs_ip(container: Container) -> bool:
    """Whether the container's environment names the pod's address."""
    return any(
        env.value_from is not None
        and env.value_from.field_ref is not None
        and env.value_from.field_ref.field_path in ("status.podIP", "status.podIPs")
        for env in container.env
    )


_FIELDS: dict[str, Callable[[Pod, Place], str]] = {
    "metadata.name": lambda pod, place: pod.metadata.name,
    "metadata.namespace": lambda pod, place: pod.metadata.namespace,
    "metadata.uid": lambda pod, place: pod.metadata.uid,
    "metadata.labels": lambda pod, place: _lines(pod.metadata.labels),
    "metadata.annotations": lambda pod, place: _lines(pod.metadata.annotations),
    "spec.nodeName": lambda pod, place: place.node,
    "spec.serviceAccountName": lambda pod, place: pod.spec.service_account_name,
    "status.hostIP": lambda pod, place: place.host_ip,
    "status.hostIPs": lambda pod, place: place.host_ip,
    "status.podIP": lambda pod, place: place.pod_ip,
    "status.podIPs": lambda pod, place: place.pod_ip,
}


def field(path: str, pod: Pod, place: Place) -> str:
    """The value of a fieldPath."""
    if (subscript := _SUBSCRIPT.fullmatch(path)) is not None:
        which, key = subscript.groups()
        values = pod.metadata.labels if which == "labels" else pod.metadata.annotations
        return values.get(key, "")
    reader = _FIELDS.get(path)
    if reader is None:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return reader(pod, place)


def resource_field(
    selector: ResourceFieldSelector, pod: Pod, container: Container | None, place: Place
) -> str:
    """The value of a resourceFieldRef, in units of its divisor, rounded up."""
    if selector.container_name:
        container = _find(pod, selector.container_name)
    if container is None:
        raise ConfigError("resourceFieldRef needs a container name here")
    kind, _, resource = selector.resource.partition(".")
    resources = container.resources
    if kind == "limits":
        amount = resources.limits.get(resource, "0")
        if resource in _UNLIMITED and quantity.parse(amount).nano == 0:
            whole = pod.spec.resources.limits if pod.spec.resources is not None else {}
            amount = whole.get(resource) or place.allocatable.get(resource, "0")
    elif kind == "requests":
        amount = resources.requests.get(resource, "0")
    else:
        raise ConfigError(f"unsupported container resource : {selector.resource}")
    divisor = quantity.parse(selector.divisor or "1")
    unit = divisor if divisor.nano else quantity.parse("1")
    return str(-(-quantity.parse(amount).nano // unit.nano))


def _find(pod: Pod, name: str) -> Container:
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if container.name == name:
            return container
    raise ConfigError(f"container {name} not found")


def _lines(values: Mapping[str, str]) -> str:
    """`key="value"` per line, sorted."""
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))


def _quoted(text: str) -> str:
    """As Go quotes a string, because programs read the files with Go's rules (strconv.Quote)."""
    return '"' + "".join(map(_written, text)) + '"'


def _written(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
