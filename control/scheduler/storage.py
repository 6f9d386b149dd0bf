"""Claims and volumes as placement sees them. Walk step 3.

A pod runs where all of its volumes can be reached. A claim that is bound settles that by its volume;
one whose class waits for the first pod leaves it to the scheduler, which then chooses a free volume
within the node's reach, or has one made there. Rules and words are those of Kubernetes' plugins
VolumeBinding and VolumeZone.

Single-threaded, part of the snapshot; kept from the informers. A volume that was chosen a moment ago
is nobody else's, although the informer does not show it yet (`assumed`).
"""

from collections.abc import Iterator, Mapping
from enum import Enum

from api import nodes
from api.core import Node, PersistentVolume, PersistentVolumeClaim
from api.informer import Informer
from api.objects import controller_of, key
from api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from api.struct import ApiStruct
from control.controllers.volumes.deciding import BIND_COMPLETED
from control.controllers.volumes.matching import SELECTED_NODE, best, class_of_volume, is_free
from control.resources.core.persistentvolumeclaim import class_of
from control.scheduler.capacity import Room
from control.scheduler.request import Request

ClaimKey = tuple[str, str]
"""(namespace, name) of a claim."""

Picks = Mapping[ClaimKey, PersistentVolume | None]
"""What is chosen for claims that waited for their pod: a volume, or None: one is to be made."""

Attached = tuple[str, str]
"""(driver, handle) of a volume; of one that is not made yet, its claim stands for the handle."""


class Lack(Enum):
    """What a node has not enough of for a pod's claims."""

    VOLUMES = "volumes"
    ROOM = "room"


UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
_IN_TREE = "kubernetes.io/"
_ZONES = (
    nodes.ZONE,
    nodes.REGION,
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
_ZONES_APART = "__"


class Storage:
    """Every claim, volume and class, and what the nodes' drivers can take."""

    def __init__(self) -> None:
        self.claims: dict[ClaimKey, PersistentVolumeClaim] = {}
        self.volumes: dict[str, PersistentVolume] = {}
        self._for: dict[ClaimKey | str, dict[str, PersistentVolume]] = {}
        """The volumes that a claim may find: those that name it, those that are free, by class."""
        self.classes: dict[str, StorageClass] = {}
        self.limits: dict[str, dict[str, int]] = {}
        """By node, how many volumes of a driver it takes, as far as the driver says so."""
        self.attachments: dict[str, dict[str, VolumeAttachment]] = {}
        """By node, those that there are, by name."""
        self.room = Room()
        self.assumed: dict[str, ClaimKey] = {}

    def follow(
        self,
        claims: Informer[PersistentVolumeClaim],
        volumes: Informer[PersistentVolume],
        classes: Informer[StorageClass],
        drivers: Informer[CSINode],
        installed: Informer[CSIDriver],
        capacities: Informer[CSIStorageCapacity],
        attachments: Informer[VolumeAttachment],
    ) -> None:
        """Keep up with them."""

        def on_claim(old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> None:
            self.set_claim(key(_either(old, new)), new)

        def on_volume(old: PersistentVolume | None, new: PersistentVolume | None) -> None:
            self.set_volume(key(_either(old, new)).name, new)

        def on_class(old: StorageClass | None, new: StorageClass | None) -> None:
            self.set_class(key(_either(old, new)).name, new)

        def on_drivers(old: CSINode | None, new: CSINode | None) -> None:
            self.set_drivers(key(_either(old, new)).name, new)

        def on_installed(old: CSIDriver | None, new: CSIDriver | None) -> None:
            self.room.set_driver(key(_either(old, new)).name, new)

        def on_room(old: CSIStorageCapacity | None, new: CSIStorageCapacity | None) -> None:
            self.room.set_capacity(key(_either(old, new)), old, new)

        installed.subscribe(on_installed)
        capacities.subscribe(on_room)
        attachments.subscribe(self.set_attachment)
        claims.subscribe(on_claim)
        volumes.subscribe(on_volume)
        classes.subscribe(on_class)
        drivers.subscribe(on_drivers)

    def set_claim(self, key: ClaimKey, claim: PersistentVolumeClaim | None) -> None:
        """A claim as it is now; None: it is gone."""
        if claim is None:
            self.claims.pop(key, None)
        else:
            self.claims[key] = claim

    def set_volume(self, name: str, volume: PersistentVolume | None) -> None:
        """A volume as it is now; None: it is gone."""
        before = self.volumes.pop(name, None)
        if before is not None and (for_ := _found_by(before)) is not None:
            self._for[for_].pop(name)
            if not self._for[for_]:
                del self._for[for_]
        if volume is not None:
            self.volumes[name] = volume
            if (for_ := _found_by(volume)) is not None:
                self._for.setdefault(for_, {})[name] = volume
        if volume is None or volume.spec.claim_ref is not None:
            self.assumed.pop(name, None)

    def set_class(self, name: str, class_: StorageClass | None) -> None:
        """A class as it is now; None: it is gone."""
        if class_ is None:
            self.classes.pop(name, None)
        else:
            self.classes[name] = class_

    def set_drivers(self, node: str, drivers: CSINode | None) -> None:
        """A node's drivers as they are now; None: they are gone."""
        counts = {
            one.name: one.allocatable.count
            for one in (drivers.spec.drivers if drivers is not None else ())
            if one.allocatable is not None and one.allocatable.count is not None
        }
        if counts:
            self.limits[node] = counts
        else:
            self.limits.pop(node, None)

    def set_attachment(self, old: VolumeAttachment | None, new: VolumeAttachment | None) -> None:
        """An attachment as it was, and as it is now; its node never changes."""
        one = new or old
        assert one is not None, "an informer told of nothing"
        there = self.attachments.setdefault(one.spec.node_name, {})
        if new is not None:
            there[new.metadata.name] = new
            return
        there.pop(one.metadata.name, None)
        if not there:
            del self.attachments[one.spec.node_name]

    def attached_to(self, node: str) -> set[Attached]:
        """The volumes that drivers attach to a node, though no pod may use them any more."""
        found: set[Attached] = set()
        for one in self.attachments.get(node, {}).values():
            source = one.spec.source
            volume = self.volumes.get(source.persistent_volume_name or "")
            spec = volume.spec if volume is not None else source.inline_volume_spec
            if spec is not None and spec.csi is not None:
                found.add((one.spec.attacher, spec.csi.volume_handle))
        return found

    def attached(self, request: Request) -> set[Attached]:
        """The volumes of drivers that the pod's claims have, or will have."""
        found: set[Attached] = set()
        for where in _keys(request):
            claim = self.claims.get(where)
            if claim is None:
                continue
            volume = self.volumes.get(claim.spec.volume_name)
            class_ = self.classes.get(class_of(claim) or "")
            if volume is not None and volume.spec.csi is not None:
                found.add((volume.spec.csi.driver, volume.spec.csi.volume_handle))
            elif not claim.spec.volume_name and class_ is not None:
                found.add((class_.provisioner, "/".join(where)))
        return found

    def assume(self, picks: Picks) -> None:
        """These are taken."""
        self.assumed |= {one.metadata.name: key for key, one in picks.items() if one is not None}

    def forget(self, picks: Picks) -> None:
        """They are not, after all."""
        for one in picks.values():
            if one is not None:
                self.assumed.pop(one.metadata.name, None)

    def trouble(self, request: Request) -> str:
        """Why the pod can run nowhere as its claims are; empty when they are in order."""
        for name in request.claims:
            if why := self._trouble(request, name):
                return why
        waiting = [key for key in _keys(request) if not self._is_settled(key)]
        return UNBOUND if waiting else ""

    def _trouble(self, request: Request, name: str) -> str:
        claim = self.claims.get((request.namespace, name))
        made_for_it = name in _ephemeral(request)
        if claim is None and made_for_it:
            what = "waiting for ephemeral volume controller to create the persistentvolumeclaim"
            return f'{what} "{name}"'
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        owner = controller_of(claim)
        if made_for_it and (owner is None or owner.uid != request.uid):
            return (
                f'PVC "{request.namespace}/{name}" was not created for pod '
                f'"{request.namespace}/{request.name}" (pod is not owner)'
            )
        if claim.status.phase == "Lost":
            gone = claim.spec.volume_name
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{gone}"'
        if claim.metadata.deletion_timestamp:
            return f'persistentvolumeclaim "{name}" is being deleted'
        return ""

    def _is_settled(self, key: ClaimKey) -> bool:
        claim = self.claims[key]
        return is_bound(claim) or (not claim.spec.volume_name and self._waits(claim))

    def _waits(self, claim: PersistentVolumeClaim) -> bool:
        class_ = self.classes.get(class_of(claim) or "")
        return class_ is not None and class_.volume_binding_mode == "WaitForFirstConsumer"

    def bound(self, request: Request) -> list[PersistentVolume]:
        """The volumes that the pod's claims have, as far as they are there."""
        names = [self.claims[key].spec.volume_name for key in _keys(request) if key in self.claims]
        return [self.volumes[name] for name in names if name in self.volumes]

    def waiting(self, request: Request) -> list[PersistentVolumeClaim]:
        """The pod's claims that get a volume when its node is known."""
        found = (self.claims.get(key) for key in _keys(request))
        return [one for one in found if one is not None and not is_bound(one)]

    def choose(self, request: Request, node: Node) -> Picks | Lack:
        """A volume on this node for each claim that waits for one, or what there is not enough of."""
        picks: dict[ClaimKey, PersistentVolume | None] = {}
        waiting = sorted(self.waiting(request), key=lambda claim: claim.metadata.name)
        for claim in waiting:
            key = (claim.metadata.namespace, claim.metadata.name)
            taken = {one.metadata.name for one in picks.values() if one is not None}
            free = (
                one
                for for_ in (key, class_of(claim) or "")
                for name, one in self._for.get(for_, {}).items()
                if name not in taken and self.assumed.get(name, key) == key
            )
            found = best(claim, free, reaches=lambda volume: reaches(volume, node))
            if found is None and (lack := self._lack_to_make(claim, node)) is not None:
                return lack
            picks[key] = found
        return picks

    def _lack_to_make(self, claim: PersistentVolumeClaim, node: Node) -> Lack | None:
        """What keeps a volume from being made for the claim; None: nothing does."""
        class_ = self.classes.get(class_of(claim) or "")
        if class_ is None or class_.provisioner.startswith(_IN_TREE):
            return Lack.VOLUMES
        asked = claim.metadata.annotations.get(SELECTED_NODE, node.metadata.name)
        if asked != node.metadata.name:
            return Lack.VOLUMES  # it is being made elsewhere
        labels = node.metadata.labels
        if class_.allowed_topologies and not any(
            all(labels.get(one.key) in one.values for one in term.match_label_expressions)
            for term in class_.allowed_topologies
        ):
            return Lack.VOLUMES
        return None if self.room.suffices(claim, class_, node) else Lack.ROOM


def is_bound(claim: PersistentVolumeClaim) -> bool:
    """Whether the claim has its volume for good."""
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def reaches(volume: PersistentVolume, node: Node) -> bool:
    """Whether the volume can be reached from the node by its own word."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    return nodes.matches_selector(affinity.required, node)


def in_zone(volume: PersistentVolume, node: Node) -> bool:
    """Whether the node is in one of the zones and regions that the volume's labels name."""
    labels, here = volume.metadata.labels, node.metadata.labels
    return all(
        here.get(name) in labels[name].split(_ZONES_APART) for name in _ZONES if name in labels
    )


def _found_by(volume: PersistentVolume) -> ClaimKey | str | None:
    """The claim that the volume names, or the class whose claims may have it; None: nobody may."""
    reference = volume.spec.claim_ref
    if reference is not None:
        return reference.namespace, reference.name
    return class_of_volume(volume) if is_free(volume) else None


def _either(old: ApiStruct | None, new: ApiStruct | None) -> ApiStruct:
    one = new if new is not None else old
    assert one is not None, "an informer told of nothing"
    return one


def _keys(request: Request) -> Iterator[ClaimKey]:
    return ((request.namespace, name) for name in request.claims)


def _ephemeral(request: Request) -> set[str]:
    volumes = request.spec.volumes
    return {f"{request.name}-{one.name}" for one in volumes if one.ephemeral is not None}
