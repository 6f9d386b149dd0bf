"""Events as findings: what was told of a pod, and of one that is not there. Pure."""

from collections.abc import Iterable

from api.core import Event
from api.why import Finding

EVENTS = 6
_TOLD_ELSEWHERE = frozenset({"FailedScheduling", "Scheduled"})
_ENDS = frozenset({"Killing", "Preempted", "Evicted", "TaintManagerEviction", "FailedCreate"})


def told(events: Iterable[Event]) -> list[Finding]:
    """The latest warnings, the last first."""
    warnings = [
        event for event in events if event.type == "Warning" and event.reason not in _TOLD_ELSEWHERE
    ]
    return _latest(warnings)


def told_of_missing(name: str, own: Iterable[Event], others: Iterable[Event]) -> list[Finding]:
    """What became of a pod that is not there: how it ended, or who was not allowed to make it.

    `own` are events of pods of that name, `others` those in which controllers tell of failures.
    """
    refused = [one for one in others if one.reason == "FailedCreate" and _names(one, name)]
    ends = [one for one in own if one.type == "Warning" or one.reason in _ENDS]
    return _latest([*refused, *ends])


def _names(event: Event, name: str) -> bool:
    """Whether a pod's name is said in it, as a word of its own."""
    return name in event.message.replace('"', " ").split()


def _latest(events: list[Event]) -> list[Finding]:
    events.sort(key=last_seen, reverse=True)
    return [
        Finding(topic="Event", message=spelled(one), since=last_seen(one) or None)
        for one in events[:EVENTS]
    ]


def spelled(event: Event) -> str:
    """`Unhealthy: Readiness probe failed (3 times)`"""
    times = f" ({event.count} times)" if event.count > 1 else ""
    return f"{event.reason}: {event.message}{times}"


def last_seen(event: Event) -> str:
    """When it was told last, as a timestamp that sorts; empty if it does not say."""
    return event.last_timestamp or event.event_time or event.metadata.creation_timestamp or ""
