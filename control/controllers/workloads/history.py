"""ControllerRevisions: what a StatefulSet's or DaemonSet's template has been, to go back to. Walk step 1.

A revision holds the template as a patch of its owner, so that whoever goes back (`kubectl rollout
undo`) sends its data as it is. Before that, kubectl compares it byte for byte with what its own
library makes of the owner: data is laid out as that does it. One template is one revision: coming back
to a former one gives the old revision the highest number instead of making a new one. Its name has the
template's hash; where that is taken by something else, the owner's `collisionCount` makes another one.

The first half is pure; `Histories` finds, adopts, makes and deletes the revisions of an owner.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from api import objects
from api.apps import ControllerRevision, DaemonSet, StatefulSet
from api.codec import decode
from api.core import PodTemplateSpec
from api.deletion import delete_if_there
from api.errors import is_already_exists
from api.meta import ObjectMeta
from api.selectors import from_label_selector
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.claims import adopt, claim, release
from control.controllers.context import Context
from control.controllers.workloads.rollout import template_hash

HASH = "controller.kubernetes.io/hash"
"""Label of a StatefulSet's revisions."""
REVISION = "controller-revision-hash"
"""Label of pods: which revision they were made from. Also of a DaemonSet's revisions."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Owner = StatefulSet | DaemonSet


def data_of(owner: Owner) -> dict[str, Any]:
    """The present template, as a revision keeps it: a strategic merge patch that replaces it."""
    return _data(owner.spec.template)


def _data(template: PodTemplateSpec) -> dict[str, Any]:
    tree = {"metadata": {}, **decode.to_tree(template), "$patch": "replace"}
    return {"spec": {"template": _spelled_out(tree)}}


_SPELLED_OUT: dict[str, dict[str, Any]] = {
    "dataSource": {"apiGroup": None},
    "dataSourceRef": {"apiGroup": None},
    "metadata": {"creationTimestamp": None},
    "resourceFieldRef": {"divisor": "0"},
}
"""What Go's library writes though it is not set, in objects under these names."""


def _spelled_out(tree: Any) -> Any:
    """With what Go's library writes in any case, and names in their order."""
    if isinstance(tree, list):
        return [_spelled_out(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: _spelled_out({**_SPELLED_OUT[name], **tree[name]})
        if name in _SPELLED_OUT and isinstance(tree[name], dict)
        else _spelled_out(tree[name])
        for name in sorted(tree)
    }


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """The template that a revision keeps."""
    tree = {**revision.data["spec"]["template"]}
    tree.pop("$patch", None)
    return decode.convert(tree, PodTemplateSpec).obj


def keeps(revision: ControllerRevision, template: PodTemplateSpec) -> bool:
    """Whether it is the revision of this template, however that is laid out in it."""
    try:
        return _data(template_of(revision)) == _data(template)
    except (LookupError, TypeError, AttributeError, PodwrightError):
        return False  # somebody else's: it has our name, or was left for anybody to adopt


def in_order(revisions: Collection[ControllerRevision]) -> list[ControllerRevision]:
    """The oldest first."""
    return sorted(
        revisions,
        key=lambda one: (one.revision, one.metadata.creation_timestamp or "", one.metadata.name),
    )


def surplus(
    ordered: Sequence[ControllerRevision], live: Collection[str], limit: int | None
) -> list[ControllerRevision]:
    """Revisions beyond `revisionHistoryLimit`, the oldest first; `live` names those in use."""
    if limit is None or limit < 0:
        return []
    unused = [one for one in ordered if one.metadata.name not in live]
    return unused[: max(0, len(unused) - limit)]


def new_revision(
    owner: Owner, number: int, collisions: int | None, *, label: str
) -> ControllerRevision:
    """The revision of the present template; `label` carries the hash of its name."""
    hashed = template_hash(owner.spec.template, collisions)
    annotations = owner.metadata.annotations.items()
    return ControllerRevision(
        metadata=ObjectMeta(
            name=f"{owner.metadata.name}-{hashed}",
            namespace=owner.metadata.namespace,
            labels={**owner.spec.template.metadata.labels, label: hashed},
            annotations={key: value for key, value in annotations if key != LAST_APPLIED},
            owner_references=[objects.controller_reference(owner)],
        ),
        data=data_of(owner),
        revision=number,
    )


@dataclass(frozen=True, slots=True)
class Present:
    """The revision of the present template, all of them in order, and how often names collided."""

    revision: ControllerRevision
    ordered: tuple[ControllerRevision, ...]
    collisions: int | None


class Histories:
    """The revisions of one kind of owners, whose label is `label`."""

    def __init__(self, context: Context, *, label: str) -> None:
        self._client = context.client
        self._revisions = context.informers.of(ControllerRevision)
        self._label = label
        indexes.index_controlled(self._revisions)

    async def of(self, owner: Owner) -> list[ControllerRevision]:
        """Those that the owner controls, the oldest first; adopts what nobody has."""
        metadata = owner.metadata
        candidates = [
            *indexes.controlled_by(self._revisions, metadata.uid),
            *indexes.uncontrolled(self._revisions, metadata.namespace),
        ]
        claimed = claim(
            metadata.uid,
            from_label_selector(owner.spec.selector),
            candidates,
            lives=not metadata.deletion_timestamp,
        )
        await release(self._client, owner, claimed.release)
        return in_order([*claimed.mine, *await adopt(self._client, owner, claimed.adopt)])

    async def present(self, owner: Owner, ordered: Sequence[ControllerRevision]) -> Present:
        """Make sure that the present template has a revision, and that none has a higher number."""
        collisions = owner.status.collision_count
        number = ordered[-1].revision + 1 if ordered else 1
        equal = [one for one in ordered if keeps(one, owner.spec.template)]
        if not equal:
            return await self._make(owner, ordered, number, collisions)
        found = equal[-1]
        if found is not ordered[-1]:
            found = await self._client.update(msgspec.structs.replace(found, revision=number))
        others = [one for one in ordered if one.metadata.uid != found.metadata.uid]
        return Present(found, (*others, found), collisions)

    async def _make(
        self,
        owner: Owner,
        ordered: Sequence[ControllerRevision],
        number: int,
        collisions: int | None,
    ) -> Present:
        while True:
            new = new_revision(owner, number, collisions, label=self._label)
            try:
                made = await self._client.create(new)
            except PodwrightError as error:
                if not is_already_exists(error):
                    raise
                live = await self._client.get(
                    ControllerRevision, new.metadata.name, new.metadata.namespace
                )
                if not keeps(live, owner.spec.template) or not _controls(owner, live):
                    collisions = (collisions or 0) + 1
                    continue
                made = live  # made before, and not shown yet
            return Present(made, (*ordered, made), collisions)

    async def clean(self, owner: Owner, present: Present, live: Collection[str]) -> None:
        """Delete the history beyond the owner's limit; `live` names the revisions in use."""
        used = {*live, present.revision.metadata.name}
        for one in surplus(present.ordered, used, owner.spec.revision_history_limit):
            await delete_if_there(self._client, one)


def _controls(owner: Owner, revision: ControllerRevision) -> bool:
    reference = objects.controller_of(revision)
    return reference is not None and reference.uid == owner.metadata.uid


def hash_of(labels: Mapping[str, str]) -> str:
    """Which revision an object belongs to, as its labels say; empty where they do not."""
    return labels.get(REVISION, "")
