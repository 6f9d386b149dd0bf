"""What a revision keeps, and which revisions are too many."""

from __future__ import annotations

import json

import msgspec

from api.apps import ControllerRevision
from api.codec import decode
from api.meta import ObjectMeta
from api.patch.strategic import apply as patched
from control.controllers.workloads import history
from tests.unit.controllers.making import daemon_set


def revision(name: str, number: int) -> ControllerRevision:
    return ControllerRevision(metadata=ObjectMeta(name=name), data={}, revision=number)


def names(revisions: list[ControllerRevision]) -> list[str]:
    return [one.metadata.name for one in revisions]


def test_a_revision_leads_back_to_its_template() -> None:
    old = daemon_set(image="log:1")
    made = history.new_revision(old, 3, None, label=history.REVISION)
    assert made.revision == 3
    assert made.metadata.name == f"log-{made.metadata.labels[history.REVISION]}"
    assert made.metadata.labels["app"] == "log"
    assert made.metadata.owner_references[0].kind == "DaemonSet"
    assert history.template_of(made) == old.spec.template
    now = daemon_set(image="log:2", minReadySeconds=5)
    now.spec.template.metadata.annotations = {"restartedAt": "now"}
    tree = patched(decode.to_tree(now), made.data, type(now))
    back = msgspec.convert(tree, type=type(now))
    assert back.spec.template == old.spec.template
    assert back.spec.min_ready_seconds == 5


def test_what_is_stored_is_equal_to_what_was_meant() -> None:
    """Data of a revision that was read again is compared with that of the owner as it is now."""
    owner = daemon_set()
    made = history.new_revision(owner, 1, None, label=history.REVISION)
    assert json.loads(decode.encode(made))["data"] == history.data_of(owner)


def test_another_name_where_one_is_taken() -> None:
    owner = daemon_set()
    taken = history.new_revision(owner, 1, None, label=history.HASH).metadata.name
    assert history.new_revision(owner, 1, 1, label=history.HASH).metadata.name != taken


def test_the_users_own_notes_are_copied_but_not_kubectls() -> None:
    owner = daemon_set()
    owner.metadata.annotations = {history.LAST_APPLIED: "{}", "kubernetes.io/change-cause": "why"}
    made = history.new_revision(owner, 1, None, label=history.HASH)
    assert made.metadata.annotations == {"kubernetes.io/change-cause": "why"}


def test_surplus() -> None:
    ordered = history.in_order([revision("c", 3), revision("a", 1), revision("b", 2)])
    assert names(ordered) == ["a", "b", "c"]
    assert names(history.surplus(ordered, {"c"}, 1)) == ["a"]
    assert names(history.surplus(ordered, {"a", "c"}, 0)) == ["b"]
    assert history.surplus(ordered, {"c"}, 2) == []
    assert history.surplus(ordered, set(), -1) == []
    assert history.surplus(ordered, set(), None) == []


def test_data_is_laid_out_as_kubectl_does_it() -> None:
    text = json.dumps(history.data_of(daemon_set())["spec"]["template"])
    assert text.startswith(
        '{"$patch": "replace", "metadata": {"creationTimestamp": null, "labels": {"app": "log"}},'
        ' "spec": {"containers": [{"image"'
    )


def test_a_revision_of_the_same_template_is_known_however_it_is_laid_out() -> None:
    owner = daemon_set()
    made = history.new_revision(owner, 1, None, label=history.REVISION)
    assert history.keeps(made, owner.spec.template)
    made.data = {"spec": {"template": {**decode.to_tree(owner.spec.template), "$patch": "replace"}}}
    assert history.keeps(made, owner.spec.template)
    assert not history.keeps(made, daemon_set(image="log:9").spec.template)
    for odd in (None, {}, {"spec": None}, {"spec": {"template": 7}}, ["x"]):
        made.data = odd
        assert not history.keeps(made, owner.spec.template)
