"""READY, STATUS and RESTARTS of a pod, as people know them from `kubectl get pods`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.codec import decode
from api.core import Pod
from control.resources.core import podcells

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

RUN: dict[str, Any] = {"running": {"startedAt": "2026-01-01T11:00:00Z"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
FAILED = {"terminated": {"exitCode": 1, "reason": "Error"}}
OOM = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
ODD = {"terminated": {"exitCode": 3}}
KILLED = {"terminated": {"exitCode": 137, "signal": 9}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
INITIALISING = {"waiting": {"reason": "PodInitializing"}}
CRASHING = {"waiting": {"reason": "CrashLoopBackOff"}}
PULLING = {"waiting": {"reason": "ImagePullBackOff"}}
READY_ = [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]
INITIALISED = [{"type": "Initialized", "status": "True"}]


def container(
    name: str,
    state: dict[str, Any],
    *,
    ready: bool | None = None,
    restarts: int = 0,
    ended: str = "",
    started: bool | None = None,
) -> dict[str, Any]:
    last = {"terminated": {"exitCode": 1, "finishedAt": ended}} if ended else {}
    return {
        "name": name,
        "state": state,
        "lastState": last,
        "ready": state is RUN if ready is None else ready,
        "restartCount": restarts,
        "image": "i",
        "imageID": "",
        "started": started,
    }


def pod(
    phase: str = "Pending",
    *,
    app: list[dict[str, Any]] | None = None,
    init: list[dict[str, Any]] | None = None,
    sidecars: tuple[str, ...] = (),
    conditions: list[dict[str, Any]] | None = None,
    reason: str = "",
    deleted: bool = False,
) -> Pod:
    app, init = app or [], init or []
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"deletionTimestamp": "2026-01-01T11:59:00Z"} if deleted else {},
        "spec": {
            "containers": [{"name": one["name"]} for one in app] or [{"name": "a"}],
            "initContainers": [
                {"name": one["name"]}
                | ({"restartPolicy": "Always"} if one["name"] in sidecars else {})
                for one in init
            ],
        },
        "status": {
            "phase": phase,
            "reason": reason,
            "conditions": conditions or [],
            "containerStatuses": app,
            "initContainerStatuses": init,
        },
    }
    return decode.convert(document, Pod).obj


WORDS: list[tuple[str, str, Pod]] = [
    ("Pending", "0/1", pod()),
    (
        "SchedulingGated",
        "0/1",
        pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
    ),
    ("ContainerCreating", "0/1", pod(app=[container("a", CREATING)])),
    ("ImagePullBackOff", "0/1", pod(app=[container("a", PULLING)])),
    ("Running", "1/1", pod("Running", app=[container("a", RUN)], conditions=READY_)),
    ("Running", "0/1", pod("Running", app=[container("a", RUN, ready=False)])),
    ("Completed", "0/1", pod("Succeeded", app=[container("a", DONE)])),
    ("Error", "0/1", pod("Failed", app=[container("a", FAILED)])),
    ("OOMKilled", "0/1", pod("Failed", app=[container("a", OOM)])),
    ("ExitCode:3", "0/1", pod("Failed", app=[container("a", ODD)])),
    ("Signal:9", "0/1", pod("Failed", app=[container("a", KILLED)])),
    ("CrashLoopBackOff", "0/1", pod("Running", app=[container("a", CRASHING)])),
    ("Evicted", "0/1", pod("Failed", reason="Evicted")),
    # several containers: the first one that has something to say
    (
        "CrashLoopBackOff",
        "1/2",
        pod("Running", app=[container("a", CRASHING), container("b", RUN)]),
    ),
    (
        "CrashLoopBackOff",
        "1/2",
        pod("Running", app=[container("a", RUN), container("b", CRASHING)]),
    ),
    ("Error", "0/2", pod("Failed", app=[container("a", FAILED), container("b", DONE)])),
    ("NotReady", "1/2", pod("Running", app=[container("a", DONE), container("b", RUN)])),
    (
        "Running",
        "1/2",
        pod("Running", app=[container("a", DONE), container("b", RUN)], conditions=READY_),
    ),
    # init containers
    ("Init:0/1", "0/1", pod(init=[container("i", RUN)], app=[container("a", INITIALISING)])),
    (
        "Init:0/2",
        "0/1",
        pod(init=[container("i", RUN, started=True), container("j", INITIALISING)]),
    ),
    ("Init:1/2", "0/1", pod(init=[container("i", DONE), container("j", INITIALISING)])),
    ("Init:Error", "0/1", pod(init=[container("i", FAILED)])),
    ("Init:OOMKilled", "0/1", pod(init=[container("i", OOM)])),
    ("Init:ExitCode:3", "0/1", pod(init=[container("i", ODD)])),
    ("Init:Signal:9", "0/1", pod(init=[container("i", KILLED)])),
    ("Init:CrashLoopBackOff", "0/1", pod(init=[container("i", CRASHING)])),
    ("Init:ImagePullBackOff", "0/1", pod(init=[container("i", PULLING)])),
    (
        "PodInitializing",
        "0/1",
        pod(init=[container("i", DONE)], app=[container("a", INITIALISING)]),
    ),
    (
        "Running",
        "1/1",
        pod("Running", init=[container("i", DONE)], app=[container("a", RUN)], conditions=READY_),
    ),
    # sidecars
    ("Init:0/1", "0/2", pod(init=[container("s", RUN, started=False)], sidecars=("s",))),
    (
        "Init:1/2",
        "1/2",
        pod(init=[container("s", RUN, started=True), container("i", RUN)], sidecars=("s",)),
    ),
    (
        "Running",
        "2/2",
        pod(
            "Running",
            init=[container("s", RUN, started=True)],
            sidecars=("s",),
            app=[container("a", RUN)],
            conditions=READY_,
        ),
    ),
    (
        "Init:CrashLoopBackOff",
        "0/2",
        pod(init=[container("s", CRASHING, started=False)], sidecars=("s",)),
    ),
    (
        "Init:CrashLoopBackOff",
        "1/2",
        pod(
            "Running",
            init=[container("s", CRASHING, started=False)],
            sidecars=("s",),
            app=[container("a", RUN)],
            conditions=INITIALISED,
        ),
    ),
    # on the way out
    ("Terminating", "1/1", pod("Running", app=[container("a", RUN)], deleted=True)),
    ("Terminating", "0/1", pod(deleted=True)),
    ("Completed", "0/1", pod("Succeeded", app=[container("a", DONE)], deleted=True)),
    ("Unknown", "0/1", pod("Running", reason="NodeLost", deleted=True)),
    ("NodeLost", "0/1", pod("Running", reason="NodeLost")),
]

RESTARTS: list[tuple[str, Pod]] = [
    ("0", pod(app=[container("a", RUN)])),
    ("3", pod(app=[container("a", RUN, restarts=3)])),
    ("3 (5m ago)", pod(app=[container("a", RUN, restarts=3, ended="2026-01-01T11:55:00Z")])),
    ("1 (90s ago)", pod(app=[container("a", RUN, restarts=1, ended="2026-01-01T11:58:30Z")])),
    (
        "5 (2m ago)",
        pod(
            app=[
                container("a", RUN, restarts=3, ended="2026-01-01T11:55:00Z"),
                container("b", RUN, restarts=2, ended="2026-01-01T11:58:00Z"),
            ]
        ),
    ),
    # init containers count while they run, sidecars always
    ("2 (60s ago)", pod(init=[container("i", CRASHING, restarts=2, ended="2026-01-01T11:59:00Z")])),
    (
        "0",
        pod(
            init=[container("i", DONE, restarts=2, ended="2026-01-01T11:59:00Z")],
            app=[container("a", RUN)],
        ),
    ),
    (
        "3 (60s ago)",
        pod(
            init=[container("s", RUN, started=True, restarts=2, ended="2026-01-01T11:59:00Z")],
            sidecars=("s",),
            app=[container("a", RUN, restarts=1, ended="2026-01-01T11:00:00Z")],
        ),
    ),
]


@pytest.mark.parametrize(
    ("word", "ready", "obj"), WORDS, ids=[f"{number}-{row[0]}" for number, row in enumerate(WORDS)]
)
def test_status_and_ready(word: str, ready: str, obj: Pod) -> None:
    assert (podcells.status_word(obj), podcells.ready(obj)) == (word, ready)


@pytest.mark.parametrize(("text", "obj"), RESTARTS)
def test_restarts(text: str, obj: Pod) -> None:
    assert podcells.restarts(obj, NOW) == text


@pytest.mark.parametrize(
    ("gates", "conditions", "text"),
    [
        ([], [], "<none>"),
        (["a"], [], "0/1"),
        (["a", "b"], [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}], "1/2"),
    ],
)
def test_readiness_gates(gates: list[str], conditions: list[dict[str, str]], text: str) -> None:
    spec = {"containers": [], "readinessGates": [{"conditionType": gate} for gate in gates]}
    obj = decode.convert({"spec": spec, "status": {"conditions": conditions}}, Pod).obj
    assert podcells.readiness_gates(obj) == text
