"""Which of the engine's runtimes a pod is run with (step 4 of the pod's walk). Pure.

A pod names a RuntimeClass, the class a handler. The handler is the name of a runtime of the Docker
Engine (`runtimes` in its daemon.json), unless the setting `runtime-handlers` gives it another name here.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.containers.records import EngineInfo
from base.errors import PermanentError


class NoSuchRuntime(PermanentError):
    """The handler means nothing on this node."""


def handler(text: str) -> str:
    """a handler and the runtime of the engine that it means, such as gvisor=runsc"""
    name, equals, runtime = text.partition("=")
    if not (name and equals and runtime):
        raise ValueError(text)
    return text


def engine_runtime(name: str, given: Mapping[str, str], engine: EngineInfo) -> str:
    """The engine's runtime for a handler. Raises NoSuchRuntime."""
    runtime = given.get(name, name)
    if runtime not in engine.runtimes:
        there = ", ".join(sorted(engine.runtimes))
        also = f", as {runtime}" if runtime != name else ""
        raise NoSuchRuntime(
            f'no runtime for "{name}" is configured{also} (the engine has: {there})',
            hint="Add it to the runtimes in the Docker Engine's daemon.json, or schedule such pods to "
            "the nodes that have it (scheduling.nodeSelector of the RuntimeClass).",
        )
    return runtime


def handlers(given: Mapping[str, str], engine: EngineInfo) -> list[str]:
    """Every handler that works here; the empty one is the engine's own."""
    named = [name for name, runtime in given.items() if runtime in engine.runtimes]
    return ["", *sorted({*named, *engine.runtimes})]
