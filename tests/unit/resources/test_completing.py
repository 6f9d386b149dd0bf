"""What a new pod says of itself as soon as it is made."""

from __future__ import annotations

from typing import Any

import pytest

from api.core import AppArmorProfile, Pod, PodSecurityContext, SecurityContext
from tests.unit.resources.examples import strategy_of
from tests.unit.scheduler.making import pod

POD = strategy_of("Pod")
KEYS = {"matchLabelKeys": ["hash", "none"], "mismatchLabelKeys": ["tenant"]}
TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}, **KEYS}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def made(**spec: Any) -> Pod:
    one = pod("p", labels={"app": "web", "hash": "7", "tenant": "a"}, **spec)
    POD.prepare_create(one)
    POD.complete_create(one)
    return one


def test_a_gated_pod_says_so_from_the_beginning() -> None:
    (condition,) = made(schedulingGates=[{"name": "a/b"}]).status.conditions
    assert (condition.type, condition.status) == ("PodScheduled", "False")
    assert (condition.reason, condition.message) == (
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates",
    )
    assert not made().status.conditions


@pytest.mark.parametrize("sort", ["podAffinity", "podAntiAffinity"])
@pytest.mark.parametrize("required", [True, False])
def test_labels_of_its_own_stand_in_the_selectors_of_its_terms(sort: str, required: bool) -> None:
    rules = (
        {REQUIRED: [TERM]} if required else {PREFERRED: [{"weight": 1, "podAffinityTerm": TERM}]}
    )
    affinity = made(affinity={sort: rules}).spec.affinity
    assert affinity is not None
    group: Any = affinity.pod_affinity or affinity.pod_anti_affinity
    (one,) = group.required_during_scheduling_ignored_during_execution or [
        group.preferred_during_scheduling_ignored_during_execution[0].pod_affinity_term
    ]
    found = [(e.key, e.operator, e.values) for e in one.label_selector.match_expressions]
    assert found == [("hash", "In", ["7"]), ("tenant", "NotIn", ["a"])]
    assert one.match_label_keys == KEYS["matchLabelKeys"]


def test_a_term_without_a_selector_gets_none() -> None:
    term = {"topologyKey": "zone", **KEYS}
    affinity = made(affinity={"podAffinity": {REQUIRED: [term]}}).spec.affinity
    assert affinity is not None and affinity.pod_affinity is not None
    (one,) = affinity.pod_affinity.required_during_scheduling_ignored_during_execution
    assert one.label_selector is None


@pytest.mark.parametrize(
    ("annotation", "shared", "own", "expected"),
    [
        ("localhost/a/b", None, None, ("Localhost", "a/b")),
        ("runtime/default", None, None, ("RuntimeDefault", None)),
        ("unconfined", {"type": "RuntimeDefault"}, None, ("Unconfined", None)),
        ("unconfined", None, {"type": "RuntimeDefault"}, ("RuntimeDefault", None)),
        ("unconfined", {"type": "Unconfined"}, None, None),
        ("localhost/", None, None, None),
        ("nonsense", None, None, None),
        (None, {"type": "Unconfined"}, None, None),
    ],
)
def test_profiles_of_apparmor_in_annotations(
    annotation: str | None,
    shared: dict[str, str] | None,
    own: dict[str, str] | None,
    expected: tuple[str, str | None] | None,
) -> None:
    one = pod("p")
    (container,) = one.spec.containers
    container.security_context = SecurityContext(
        app_armor_profile=None if own is None else AppArmorProfile(**own)  # type: ignore[arg-type]
    )
    if shared is not None:
        profile = AppArmorProfile(**shared)  # type: ignore[arg-type]
        one.spec.security_context = PodSecurityContext(app_armor_profile=profile)
    if annotation is not None:
        key = f"container.apparmor.security.beta.kubernetes.io/{container.name}"
        one.metadata.annotations = {key: annotation}
    POD.prepare_create(one)
    POD.complete_create(one)
    found = container.security_context.app_armor_profile
    assert (None if found is None else (found.type, found.localhost_profile)) == expected
