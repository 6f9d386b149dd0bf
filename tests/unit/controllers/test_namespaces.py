"""What a namespace on its way out says of itself, and in which order it is emptied."""

from datetime import UTC, datetime

from api.core import Namespace
from api.meta import ObjectMeta
from api.scheme import SERVED, Catalogue
from control.controllers.lifecycle.namespace import Remains, deletion_sequence, told_conditions

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _told(remains: Remains) -> dict[str, tuple[str, str, str]]:
    namespace = Namespace(metadata=ObjectMeta(name="shop"))
    return {
        condition.type: (condition.status, condition.reason, condition.message)
        for condition in told_conditions(namespace, remains, NOW)
    }


FINE = {
    "NamespaceDeletionDiscoveryFailure": (
        "False",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "False",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": (
        "False",
        "ContentRemoved",
        "All content successfully removed",
    ),
    "NamespaceFinalizersRemaining": (
        "False",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}


def test_nothing_remains() -> None:
    assert _told(Remains()) == FINE


def test_what_remains_is_counted_by_kind_and_by_finalizer() -> None:
    remains = Remains()
    remains.counts.update({"pods.": 2, "deployments.apps": 1})
    remains.finalizers.update({"example.com/b": 1, "example.com/a": 2})
    assert _told(remains) == {
        **FINE,
        "NamespaceContentRemaining": (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: deployments.apps has 1 resource instances,"
            " pods. has 2 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: example.com/a in 2 resource"
            " instances, example.com/b in 1 resource instances",
        ),
    }


def test_what_could_not_be_deleted_is_told_with_the_reason() -> None:
    remains = Remains(failures=["secrets: no answer", "configmaps c: refused"])
    assert not remains.empty
    assert _told(remains)["NamespaceDeletionContentFailure"] == (
        "True",
        "ContentDeletionFailed",
        "Failed to delete all resource types, 2 remaining:"
        " configmaps c: refused, secrets: no answer",
    )


def test_a_condition_keeps_its_moment_until_it_changes() -> None:
    namespace = Namespace(metadata=ObjectMeta(name="shop"))
    namespace.status.conditions = told_conditions(namespace, Remains(), NOW)
    later = NOW.replace(hour=1)
    assert told_conditions(namespace, Remains(), later) == namespace.status.conditions
    remains = Remains()
    remains.counts["pods."] = 1
    times = {c.type: c.last_transition_time for c in told_conditions(namespace, remains, later)}
    changed = {type_ for type_, when in times.items() if when == "2026-01-01T01:00:00Z"}
    assert changed == {"NamespaceContentRemaining"}


def test_pods_go_first_and_every_other_kind_of_a_namespace_once() -> None:
    names = [resource.qualified_name for resource in deletion_sequence(Catalogue(SERVED))]
    assert names[0] == "pods"
    assert len(names) == len(set(names))
    assert {"configmaps", "deployments.apps", "leases.coordination.k8s.io"} <= set(names)
    assert not {"nodes", "namespaces", "bindings"} & set(names)
