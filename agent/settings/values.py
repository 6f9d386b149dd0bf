"""What settings of the agent may say: each function reads one value, or raises ValueError with what was
expected."""

from __future__ import annotations

from agent.node import eviction
from agent.resources import cpumanager, cpusets
from agent.resources.hugepages import PREFIX
from api import quantity, validation
from api.core import Taint
from base import settings

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def amount(text: str) -> str:
    """a resource and its amount such as cpu=2 or memory=4Gi"""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return f"{name}={quantity.canonical(value)}"


def reservation(text: str) -> str:
    """cpu, memory, ephemeral-storage, pid or huge pages, and its amount such as memory=1Gi"""
    name = text.partition("=")[0]
    if name not in ("cpu", "memory", "ephemeral-storage", "pid") and not name.startswith(PREFIX):
        raise ValueError(text)
    return amount(text)


def hard_threshold(text: str) -> str:
    """a threshold such as memory.available<100Mi or nodefs.available<10%"""
    eviction.threshold(text)
    return text


def soft_threshold(text: str) -> str:
    """a threshold and how long it must be met, such as memory.available<200Mi=1m30s"""
    limit, _, grace = text.rpartition("=")
    eviction.threshold(limit)
    settings.duration(grace)
    return text


def reclaim(text: str) -> str:
    """a signal and an amount such as memory.available=100Mi or nodefs.available=5%"""
    signal, equals, value = text.partition("=")
    if not equals or signal not in set(eviction.Signal) or eviction.read_amount(value).number < 0:
        raise ValueError(text)
    return text


def priority_period(text: str) -> str:
    """a priority and a duration such as 10000=20s"""
    priority, _, seconds = text.partition("=")
    int(priority)
    settings.duration(seconds)
    return text


def percent(text: str) -> int:
    """a whole number of percent, 0 to 100"""
    number = int(text)
    if not 0 <= number <= 100:
        raise ValueError(text)
    return number


def size(text: str) -> str:
    """a size such as 10Mi"""
    if quantity.value(text) < 1:
        raise ValueError(text)
    return quantity.canonical(text)


def any_number(text: str) -> int:
    """a whole number, or -1"""
    if (number := int(text)) < -1:
        raise ValueError(text)
    return number


def port_if_any(text: str) -> int:
    """a port number from 1 to 65535, or 0"""
    return 0 if text == "0" else settings.port(text)


def several(text: str) -> int:
    """a whole number above 1"""
    if (number := int(text)) < 2:
        raise ValueError(text)
    return number


def cpu_list(text: str) -> str:
    """CPUs such as 0-1 or 0,4"""
    return cpusets.written(cpusets.parse(text))


def cpu_option(text: str) -> str:
    """full-pcpus-only or strict-cpu-reservation, and true or false"""
    name, _, value = text.partition("=")
    if name not in cpumanager.OPTIONS or value not in ("true", "false"):
        raise ValueError(text)
    return text


def label(text: str) -> str:
    """a label such as topology.kubernetes.io/zone=cellar"""
    name, equals, value = text.partition("=")
    if not equals or validation.qualified_name(name) or validation.label_value(value):
        raise ValueError(text)
    return text


def taint(text: str) -> str:
    """a taint such as dedicated=storage:NoSchedule or dedicated:NoExecute"""
    read_taint(text)
    return text


def read_taint(text: str) -> Taint:
    """`KEY=VALUE:EFFECT`, or without a value `KEY:EFFECT`. Raises ValueError."""
    both, _, effect = text.rpartition(":")
    key, _, value = both.partition("=")
    if validation.qualified_name(key) or validation.label_value(value) or effect not in _EFFECTS:
        raise ValueError(text)
    return Taint(key=key, value=value, effect=effect)
