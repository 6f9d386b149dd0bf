"""What StatefulSet, DaemonSet, ReplicationController and their like may say, and how they may change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from control.resources.strategy import Scaled
from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    make,
    said,
    strategy_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLLING = "spec.updateStrategy.rollingUpdate"
RETENTION = "spec.persistentVolumeClaimRetentionPolicy"
CLAIMS = "spec.volumeClaimTemplates"
LABELS = "spec.template.metadata.labels"
OWNED: Change = {
    "metadata.ownerReferences": [
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": "web",
            "uid": "1",
            "controller": True,
        }
    ]
}

SOUND: list[tuple[str, Change]] = [
    ("StatefulSet", {}),
    ("StatefulSet", {"spec.serviceName": REMOVE}),
    ("StatefulSet", {"spec.podManagementPolicy": "Parallel"}),
    ("StatefulSet", {"spec.updateStrategy": {"type": "OnDelete"}}),
    ("StatefulSet", {f"{ROLLING}.partition": 7}),
    ("StatefulSet", {f"{ROLLING}.maxUnavailable": "30%"}),
    ("StatefulSet", {f"{RETENTION}.whenDeleted": "Delete"}),
    ("StatefulSet", {"spec.ordinals": {"start": 5}}),
    # a claim takes the place of a volume of its name
    ("StatefulSet", {"spec.template.spec.volumes": [{"name": "data", "emptyDir": {}}]}),
    ("DaemonSet", {}),
    ("DaemonSet", {"spec.updateStrategy": {"type": "OnDelete"}}),
    ("DaemonSet", {f"{ROLLING}.maxUnavailable": "50%"}),
    ("DaemonSet", {f"{ROLLING}.maxUnavailable": 0, f"{ROLLING}.maxSurge": "10%"}),
    ("ReplicationController", {}),
    ("ReplicationController", {"spec.replicas": 0}),
    ("PodTemplate", {}),
    ("PodTemplate", {"template.spec.activeDeadlineSeconds": 5}),
    ("ControllerRevision", {}),
    ("ControllerRevision", {"data": [1, 2]}),
]

BROKEN: list[tuple[str, Change, str, str]] = [
    (
        "StatefulSet",
        {"spec.podManagementPolicy": "Reversed"},
        "spec.podManagementPolicy",
        "Invalid value: \"Reversed\": must be 'OrderedReady' or 'Parallel'",
    ),
    (
        "StatefulSet",
        {"spec.updateStrategy": {"type": "Recreate"}},
        "spec.updateStrategy",
        "must be 'RollingUpdate' or 'OnDelete'",
    ),
    (
        "StatefulSet",
        {"spec.updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
        ROLLING,
        "only allowed for updateStrategy 'RollingUpdate'",
    ),
    (
        "StatefulSet",
        {f"{ROLLING}.partition": -1},
        f"{ROLLING}.partition",
        "must be greater than or equal to 0",
    ),
    (
        "StatefulSet",
        {f"{ROLLING}.maxUnavailable": "0%"},
        f"{ROLLING}.maxUnavailable",
        "cannot be 0",
    ),
    (
        "StatefulSet",
        {f"{ROLLING}.maxUnavailable": "101%"},
        f"{ROLLING}.maxUnavailable",
        "must not be greater than 100%",
    ),
    (
        "StatefulSet",
        {f"{RETENTION}.whenScaled": "Recycle"},
        f"{RETENTION}.whenScaled",
        'Unsupported value: "Recycle"',
    ),
    ("StatefulSet", {"spec.replicas": -1}, "spec.replicas", "greater than or equal to 0"),
    ("StatefulSet", {"spec.ordinals": {"start": -1}}, "spec.ordinals.start", "or equal to 0"),
    (
        "StatefulSet",
        {"spec.selector": {}},
        "spec.selector",
        "empty selector is invalid for statefulset",
    ),
    ("StatefulSet", {"spec.selector": REMOVE}, "spec.selector", "Required value"),
    ("StatefulSet", {LABELS: {"app": "x"}}, LABELS, "`selector` does not match template `labels`"),
    (
        "StatefulSet",
        {"spec.template.spec.restartPolicy": "Never"},
        "spec.template.spec.restartPolicy",
        'Unsupported value: "Never": supported values: "Always"',
    ),
    (
        "StatefulSet",
        {f"{CLAIMS}[0].metadata.name": "other"},
        "spec.template.spec.containers[0].volumeMounts[0].name",
        'Not found: "data"',
    ),
    ("StatefulSet", {f"{CLAIMS}[0].metadata": {}}, f"{CLAIMS}[0].metadata.name", "Required value"),
    (
        "StatefulSet",
        {f"{CLAIMS}[1]": {"metadata": {"name": "data"}}},
        f"{CLAIMS}[1].metadata.name",
        'Duplicate value: "data"',
    ),
    (
        "StatefulSet",
        {f"{CLAIMS}[0].spec.accessModes": []},
        f"{CLAIMS}[0].spec.accessModes",
        "at least 1 access mode is required",
    ),
    ("StatefulSet", {"spec.serviceName": "a_b"}, "spec.serviceName", "RFC 1123 subdomain"),
    (
        "DaemonSet",
        {"spec.selector": {}},
        "spec.selector",
        "empty selector is invalid for daemonset",
    ),
    ("DaemonSet", {LABELS: {"app": "x"}}, LABELS, "`selector` does not match template `labels`"),
    (
        "DaemonSet",
        {"spec.updateStrategy.type": "Recreate"},
        "spec.updateStrategy",
        "Unsupported value",
    ),
    (
        "DaemonSet",
        {f"{ROLLING}.maxUnavailable": 0},
        f"{ROLLING}.maxUnavailable",
        "Required value: cannot be 0 when maxSurge is 0",
    ),
    (
        "DaemonSet",
        {f"{ROLLING}.maxSurge": 1},
        f"{ROLLING}.maxSurge",
        "Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ),
    ("DaemonSet", {f"{ROLLING}.maxSurge": "all"}, f"{ROLLING}.maxSurge", "a valid percent string"),
    ("DaemonSet", {"spec.minReadySeconds": -1}, "spec.minReadySeconds", "or equal to 0"),
    ("DaemonSet", {"spec.revisionHistoryLimit": -1}, "spec.revisionHistoryLimit", "or equal to 0"),
    ("ReplicationController", {"spec.template": REMOVE}, "spec.template", "Required value"),
    ("ReplicationController", {LABELS: {}}, "spec.selector", "Required value"),
    ("ReplicationController", {"spec.replicas": -1}, "spec.replicas", "or equal to 0"),
    (
        "ReplicationController",
        {"spec.selector": {"app": "x"}},
        LABELS,
        "`selector` does not match template `labels`",
    ),
    (
        "ReplicationController",
        {"spec.template.spec.restartPolicy": "OnFailure"},
        "spec.template.spec.restartPolicy",
        'supported values: "Always"',
    ),
    (
        "PodTemplate",
        {"template.spec.containers": []},
        "template.spec.containers",
        "Required value",
    ),
    ("ControllerRevision", {"data": REMOVE}, "data", "Required value: data is mandatory"),
    ("ControllerRevision", {"revision": -1}, "revision", "greater than or equal to 0"),
]

BROKEN += [
    (
        kind,
        {"spec.template.spec.activeDeadlineSeconds": 5},
        "spec.template.spec.activeDeadlineSeconds",
        f"Forbidden: activeDeadlineSeconds in {kind} is not Supported",
    )
    for kind in ("StatefulSet", "DaemonSet", "ReplicationController")
]

FIXED = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'"

ALLOWED: list[tuple[str, Change]] = [
    ("StatefulSet", {"spec.replicas": 1, "spec.minReadySeconds": 5, "spec.ordinals": {"start": 1}}),
    ("StatefulSet", {"spec.updateStrategy": {"type": "OnDelete"}, "spec.revisionHistoryLimit": 1}),
    ("StatefulSet", {f"{RETENTION}.whenScaled": "Delete"}),
    ("StatefulSet", {"spec.template.spec.containers[0].image": "busybox:2"}),
    ("DaemonSet", {"spec.template.spec.containers[0].image": "busybox:2"}),
    ("ReplicationController", {"spec.selector": {"a": "b"}, LABELS: {"a": "b"}}),
    ("ControllerRevision", {"revision": 9}),
]

REFUSED: list[tuple[str, Change, str, str]] = [
    ("StatefulSet", {"spec.serviceName": "other"}, "spec", FIXED),
    ("StatefulSet", {"spec.podManagementPolicy": "Parallel"}, "spec", FIXED),
    ("StatefulSet", {f"{CLAIMS}[0].spec.storageClassName": "fast"}, "spec", FIXED),
    (
        "StatefulSet",
        {"spec.selector.matchLabels[tier]": "a", f"{LABELS}[tier]": "a"},
        "spec",
        FIXED,
    ),
    ("DaemonSet", {"spec.selector.matchLabels[a]": "b"}, "spec.selector", "field is immutable"),
    ("ControllerRevision", {"data": {}}, "data", "field is immutable"),
]

COUNTS: list[tuple[str, dict[str, int], str, str]] = [
    ("StatefulSet", {"replicas": -1}, "status.replicas", "greater than or equal to 0"),
    ("StatefulSet", {"ready_replicas": 1}, "status.readyReplicas", "cannot be greater than status"),
    ("StatefulSet", {"collision_count": 1}, "status.collisionCount", "cannot be decremented"),
    (
        "StatefulSet",
        {"replicas": 2, "available_replicas": 1},
        "status.availableReplicas",
        "cannot be greater than status.readyReplicas",
    ),
    ("DaemonSet", {"number_ready": -1}, "status.numberReady", "greater than or equal to 0"),
    ("DaemonSet", {"collision_count": 0}, "status.collisionCount", "cannot be decremented"),
    (
        "ReplicationController",
        {"fully_labeled_replicas": 1},
        "status.fullyLabeledReplicas",
        "cannot be greater than status.replicas",
    ),
]

CELLS: list[tuple[str, Change, dict[str, Any]]] = [
    ("StatefulSet", {"status": {"readyReplicas": 2}}, {"Ready": "2/3", "Images": "busybox"}),
    (
        "DaemonSet",
        {"status": {"desiredNumberScheduled": 3, "numberReady": 1, "numberAvailable": 1}},
        {
            "Desired": 3,
            "Current": 0,
            "Ready": 1,
            "Node Selector": "disk=ssd",
            "Selector": "app=log",
        },
    ),
    (
        "ReplicationController",
        {"status": {"replicas": 2, "readyReplicas": 1}},
        {"Desired": 2, "Current": 2, "Ready": 1, "Selector": "app=web"},
    ),
    ("PodTemplate", {}, {"Containers": "app", "Images": "busybox", "Pod Labels": "app=once"}),
    ("ControllerRevision", {}, {"Controller": "<none>", "Revision": "1"}),
    ("ControllerRevision", OWNED, {"Controller": "statefulset.apps/web"}),
]


@pytest.mark.parametrize(("kind", "change"), SOUND)
def test_sound(kind: str, change: Change) -> None:
    errors = strategy_of(kind).validate(complete(kind, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(("kind", "change", "field", "words"), BROKEN)
def test_broken(kind: str, change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(kind).validate(complete(kind, change)), field, words)


@pytest.mark.parametrize(("kind", "change"), ALLOWED)
def test_allowed(kind: str, change: Change) -> None:
    old = complete(kind)
    errors = strategy_of(kind).validate_update(changed(kind, old, change), old)
    assert not errors, said(errors)


@pytest.mark.parametrize(("kind", "change", "field", "words"), REFUSED)
def test_refused(kind: str, change: Change, field: str, words: str) -> None:
    old = complete(kind)
    assert_says(strategy_of(kind).validate_update(changed(kind, old, change), old), field, words)


@pytest.mark.parametrize(("kind", "counts", "field", "words"), COUNTS)
def test_counts(kind: str, counts: dict[str, int], field: str, words: str) -> None:
    old, new = complete(kind), complete(kind)
    if kind != "ReplicationController":
        old.status.collision_count = 2
    for name, value in counts.items():
        setattr(new.status, name, value)
    assert_says(strategy_of(kind).validate_subresource("status", new, old), field, words)


@pytest.mark.parametrize(("kind", "change", "expected"), CELLS)
def test_cells(kind: str, change: Change, expected: dict[str, Any]) -> None:
    obj = make(kind, change)
    strategy_of(kind).default(obj)
    shown = {column.name: column.cell(obj, NOW) for column in strategy_of(kind).columns}
    assert shown.items() >= expected.items()


def test_defaults_of_a_stateful_set() -> None:
    spec = complete("StatefulSet", {"spec.replicas": REMOVE}).spec
    assert (spec.replicas, spec.revision_history_limit) == (1, 10)
    assert (spec.pod_management_policy, spec.update_strategy.type) == (
        "OrderedReady",
        "RollingUpdate",
    )
    assert spec.update_strategy.rolling_update.partition == 0
    policy = spec.persistent_volume_claim_retention_policy
    assert (policy.when_deleted, policy.when_scaled) == ("Retain", "Retain")
    claim = spec.volume_claim_templates[0]
    assert (claim.spec.volume_mode, claim.status.phase) == ("Filesystem", "Pending")


def test_defaults_of_a_daemon_set() -> None:
    spec = complete("DaemonSet").spec
    rolling = spec.update_strategy.rolling_update
    assert (rolling.max_unavailable, rolling.max_surge, spec.revision_history_limit) == (1, 0, 10)


def test_a_replication_controller_takes_from_its_template_what_it_does_not_say() -> None:
    rc = complete("ReplicationController", {"spec.replicas": REMOVE})
    assert (rc.spec.replicas, rc.spec.selector, rc.metadata.labels) == (
        1,
        {"app": "web"},
        {"app": "web"},
    )
    assert strategy_of("ReplicationController").scale(rc) == Scaled(1, 0, "app=web")


def test_a_template_counts_its_generations() -> None:
    rules, old = strategy_of("PodTemplate"), complete("PodTemplate")
    assert old.metadata.generation == 1
    assert rules.generation_changes(
        changed("PodTemplate", old, {"template.spec.hostname": "a"}), old
    )
    assert not rules.generation_changes(changed("PodTemplate", old, {"metadata.labels": {}}), old)


def test_what_a_stateful_set_is_warned_of() -> None:
    rules = strategy_of("StatefulSet")
    named = complete("StatefulSet", {"metadata.name": "web.a", "spec.revisionHistoryLimit": -1})
    told = " ".join(rules.warnings(named))
    assert "metadata.name: this is used in Pod names and hostnames" in told
    assert "spec.revisionHistoryLimit: a negative value retains all" in told
    assert not [text for text in rules.warnings(complete("StatefulSet")) if "metadata" in text]
