"""When something changed that endpoints follow: what is measured against when they are written.

The annotation `endpoints.kubernetes.io/last-change-trigger-time` (API reference of Endpoints) is the
earliest change of a pod or of the Service since endpoints were written before. A pod changes when its
Ready condition does, a Service when it is made. What one write does not follow from anything that is
dated has no such annotation, for an old one would tell of a delay that there was not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from api import pods
from api.core import Pod, Service
from api.objects import Key

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class _Seen:
    """When each pod and the Service had changed, as of the last look."""

    pods: dict[str, str] = field(default_factory=dict)
    service: str = ""


class Triggers:
    """What each Service's last look has seen."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def look(self, key: Key, service: Service, selected: Iterable[Pod]) -> str:
        """The time of the earliest change since the last look; of the first look, the Service's."""
        seen = _Seen(
            {pod.metadata.name: when for pod in selected if (when := _changed(pod))},
            service.metadata.creation_timestamp or "",
        )
        before, self._seen[key] = self._seen.get(key), seen
        if before is None:
            return seen.service
        changed = [when for name, when in seen.pods.items() if when > before.pods.get(name, "")]
        if seen.service > before.service:
            changed.append(seen.service)
        return min(changed, default="")

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._seen.pop(key, None)


def dated(annotations: Mapping[str, str], when: str) -> dict[str, str]:
    """Annotations of endpoints that are written because of a change at `when`; "": of no dated one."""
    others = {name: value for name, value in annotations.items() if name != ANNOTATION}
    return {**others, ANNOTATION: when} if when else others


def _changed(pod: Pod) -> str:
    ready = pods.condition(pod, "Ready")
    return (ready.last_transition_time if ready is not None else "") or ""
