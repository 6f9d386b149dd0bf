"""How a pod's annotations drive its containers in a `FakeRuntime` (tests of step 4 of the pod's walk).

    fake.podwright.io/web.run-for: 3s           it ends by itself so long after its start; without
                                                this it runs until a signal
    fake.podwright.io/web.exit-code: "3"        of that end: 0 to 255
    fake.podwright.io/web.start-error: no sh    why the engine cannot run its program
    fake.podwright.io/web.ignore-term: "true"   only KILL ends it
    fake.podwright.io/web.slow-pull: 40s        how long a pull of its image takes

`web` is a container of the pod, init and ephemeral ones too. Without one (`fake.podwright.io/run-for`) an
annotation counts for all containers of the pod that have none of their own. Each counts from the next
container or pull on, so that a pod is mended or broken by changing it. What no annotation says is as the
runtime's scripts have it.

A value that cannot be used holds up the pod's containers, with all that is wrong in the error. Pulls are
not held up, for they are not the pod's alone; of pods that want one image the slowest counts.

Docker is told nothing of annotations, so they come from the API: whoever makes the runtime says where it
finds the pods. A container is known by its engine name, `k8s_web_pod_namespace_uid_0`. All pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.containers.script import Script, tagged
from api.core import Container, Pod
from api.pods import all_containers, ephemeral_containers
from base.errors import PermanentError
from base.settings import duration

PREFIX = "fake.podwright.io/"


class BadAnnotations(PermanentError):
    """All that is wrong with a pod's annotations for the fake runtime."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What annotations say of one container; None where they say nothing."""

    run_for: float | None = None
    exit_code: int | None = None
    start_error: str | None = None
    ignore_term: bool | None = None
    slow_pull: float | None = None

    def over(self, script: Script) -> Script:
        """The script as changed by what is said."""
        said = {
            "run_for": self.run_for,
            "exit_code": self.exit_code,
            "start_error": self.start_error,
            "ignores_term": self.ignore_term,
        }
        changes: dict[str, Any] = {field: v for field, v in said.items() if v is not None}
        return replace(script, **changes)


def parse(annotations: Mapping[str, str], containers: Iterable[str]) -> dict[str, Behaviour]:
    """What each of a pod's containers does. Raises BadAnnotations."""
    said: dict[str, dict[str, Any]] = {"": {}, **{name: {} for name in containers}}
    wrong = []
    for key, text in sorted(annotations.items()):
        if not key.startswith(PREFIX):
            continue
        container, _, word = key.removeprefix(PREFIX).rpartition(".")
        try:
            if container not in said:
                raise ValueError(f'the pod has no container "{container}"')
            said[container][word.replace("-", "_")] = _value(word, text)
        except ValueError as error:
            wrong.append(f"metadata.annotations[{key}]: {error}")
    everybody = said.pop("")
    found = {name: Behaviour(**(everybody | own)) for name, own in said.items()}
    if wrong:
        raise BadAnnotations("; ".join(wrong))
    return found


def script_for(name: str, script: Script, pods: Iterable[Pod]) -> Script:
    """What the container of this engine name does, when `script` is what it does unannotated."""
    parts = name.split("_")
    if parts[0] != "k8s" or len(parts) != 6:
        return script
    _, container, pod_name, namespace, _, _ = parts
    for pod in pods:
        if (pod.metadata.name, pod.metadata.namespace) != (pod_name, namespace):
            continue
        # The sandbox is none of them: it comes up even where annotations are wrong.
        if any(its.name == container for its in _containers(pod)):
            return _of(pod)[container].over(script)
    return script


def pull_seconds(reference: str, pods: Iterable[Pod]) -> float:
    """How long a pull of the image takes by the annotations of those that want it."""
    slowest = 0.0
    for pod in pods:
        try:
            found = _of(pod)
        except BadAnnotations:
            continue  # its containers say so
        for container in _containers(pod):
            if tagged(container.image) == tagged(reference):
                slowest = max(slowest, found[container.name].slow_pull or 0.0)
    return slowest


def _of(pod: Pod) -> dict[str, Behaviour]:
    return parse(pod.metadata.annotations, [container.name for container in _containers(pod)])


def _containers(pod: Pod) -> list[Container]:
    return [*all_containers(pod.spec), *ephemeral_containers(pod.spec)]


def _value(word: str, text: str) -> Any:
    if word not in _READERS:
        raise ValueError(f'"{word}" is not one of {", ".join(_READERS)}')
    try:
        return _READERS[word](text)
    except ValueError:
        raise ValueError(f'"{text}" is not {_READERS[word].__doc__}') from None


def _code(text: str) -> int:
    """an exit code from 0 to 255"""
    if not (text.isascii() and text.isdigit() and int(text) <= 255):
        raise ValueError(text)
    return int(text)


def _words(text: str) -> str:
    """a message of at least one letter"""
    if not text.strip():
        raise ValueError(text)
    return text


def _truth(text: str) -> bool:
    """true or false"""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "run-for": duration,
    "exit-code": _code,
    "start-error": _words,
    "ignore-term": _truth,
    "slow-pull": duration,
}
