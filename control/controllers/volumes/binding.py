"""Claims get volumes, volumes follow their claims. Walk step 3: before a pod is placed.

What is to happen is decided by pure functions (`control/controllers/volumes/deciding.py`); here it is
written down, each write for the very version that was looked at, and each only where it changes
something. One worker: two claims never choose the same volume, and a cache that is behind shows as a
conflict. A key without a namespace is a volume's.
"""

from __future__ import annotations

from typing import Any, TypeVar

from api import objects, timestamps
from api.core import PersistentVolume, PersistentVolumeClaim
from api.errors import is_not_found
from api.objects import Key
from api.storage import StorageClass
from api.struct import ApiStruct
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.volumes import deciding
from control.controllers.volumes.deciding import AskClaim, Bind, Free, Lose, Phase, Told, Wait
from control.controllers.volumes.matching import class_of_volume, is_free
from control.resources.core.persistentvolumeclaim import class_of
from control.resources.storage.storageclass import default_class

T = TypeVar("T", bound=ApiStruct)

AGAIN_SECONDS = 300.0
"""How often a claim that waits says so again; what could help it is seen at once."""

_CLASS = "class"
_CLAIM = "claim"
_FREE = "free"


class PersistentVolumeController(Controller):
    """Binds, and takes note of what is bound, free or left behind."""

    name = "persistentvolume-binder"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder("persistentvolume-controller")
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._volumes = context.informers.of(PersistentVolume)
        self._classes = context.informers.of(StorageClass)
        self._claims.add_index(_CLASS, _waiting_class)
        self._volumes.add_index(_CLAIM, _named_claim)
        self._volumes.add_index(_FREE, _free_class)
        self._claims.subscribe(self._claim_changed)
        self._volumes.subscribe(self._volume_changed)
        self._classes.subscribe(self._class_changed)

    def _claim_changed(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> None:
        claim = new or old
        assert claim is not None
        if new is not None:
            self.enqueue(new)
        name = f"{claim.metadata.namespace}/{claim.metadata.name}"
        for volume in self._volumes.by_index(_CLAIM, name):
            self.enqueue(volume)

    def _volume_changed(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        volume = new or old
        assert volume is not None
        if new is not None:
            self.enqueue(new)
        reference = volume.spec.claim_ref
        if reference is not None:
            self.queue.add(Key(reference.namespace, reference.name))
        elif new is not None:
            for claim in self._claims.by_index(_CLASS, class_of_volume(volume)):
                self.enqueue(claim)

    def _class_changed(self, old: StorageClass | None, new: StorageClass | None) -> None:
        if new is not None:
            for name in ("", new.metadata.name):
                for claim in self._claims.by_index(_CLASS, name):
                    self.enqueue(claim)

    async def reconcile(self, key: Key) -> float | None:
        if not key.namespace:
            volume = self._volumes.get(key.name)
            if volume is not None:
                await self._look_at_volume(volume)
            return None
        claim = self._claims.get(key.name, key.namespace)
        return None if claim is None else await self._look_at_claim(claim)

    async def _look_at_claim(self, claim: PersistentVolumeClaim) -> float | None:
        if await self._give_default_class(claim):
            return None
        class_ = self._classes.get(class_of(claim) or "")
        match deciding.of_claim(claim, self._candidates(claim), class_):
            case Bind(volume):
                await self._bind(claim, volume)
            case Lose(told):
                if claim.status.phase != "Lost":
                    self._tell(claim, told)
                    await self._patched(claim, {"status": {"phase": "Lost"}}, "status")
            case Wait(told, provisioner):
                self._tell(claim, told)
                if provisioner and deciding.PROVISIONER not in claim.metadata.annotations:
                    asked = dict.fromkeys(
                        (deciding.PROVISIONER, deciding.PROVISIONER_BEFORE), provisioner
                    )
                    await self._patched(claim, {"metadata": {"annotations": asked}})
                return AGAIN_SECONDS if told is not None else None
        return None

    def _candidates(self, claim: PersistentVolumeClaim) -> dict[str, PersistentVolume]:
        """By name: the volume that the claim names, those that name it, and what is free.

        There may be very many that are others': those are not looked at.
        """
        if named := claim.spec.volume_name:
            volume = self._volumes.get(named)
            return {} if volume is None else {named: volume}
        metadata = claim.metadata
        kept = self._volumes.by_index(_CLAIM, f"{metadata.namespace}/{metadata.name}")
        free = self._volumes.by_index(_FREE, class_of(claim) or "")
        return {one.metadata.name: one for one in (*kept, *free)}

    async def _give_default_class(self, claim: PersistentVolumeClaim) -> bool:
        """A claim from before there was a default class gets it late; returns whether it did."""
        if claim.spec.volume_name or class_of(claim) is not None:
            return False
        name = default_class(self._classes.items())
        if name is not None:
            await self._patched(claim, {"spec": {"storageClassName": name}})
        return name is not None

    async def _bind(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        """Write the binding down on both sides, the volume's first."""
        volume = await self._patched(volume, volume_binding(claim, volume))
        if volume.status.phase != "Bound":
            await self._set_phase(volume, Phase("Bound"))
        claim = await self._patched(claim, claim_binding(claim, volume))
        if status := bound_status(claim, volume):
            await self._patched(claim, {"status": status}, "status")

    async def _look_at_volume(self, volume: PersistentVolume) -> None:
        reference = volume.spec.claim_ref
        claim = None
        if reference is not None:
            claim = self._claims.get(reference.name, reference.namespace)
            if claim is None or claim.metadata.uid != reference.uid:
                claim = await self._live_claim(reference.name, reference.namespace)
        match deciding.of_volume(volume, claim):
            case Phase() as wanted:
                if (volume.status.phase, volume.status.message) != (wanted.phase, wanted.message):
                    await self._set_phase(volume, wanted)
            case Free(kept):
                await self._patched(volume, unbinding(kept))
            case AskClaim():
                assert claim is not None
                self.enqueue(claim)

    async def _live_claim(self, name: str, namespace: str) -> PersistentVolumeClaim | None:
        """The claim, if it is there: nothing is given up because a cache is behind."""
        try:
            return await self.client.get(PersistentVolumeClaim, name, namespace)
        except PodwrightError as error:
            if not is_not_found(error):
                raise
            return None

    async def _set_phase(self, volume: PersistentVolume, wanted: Phase) -> None:
        status: dict[str, Any] = {"phase": wanted.phase, "message": wanted.message or None}
        if volume.status.phase != wanted.phase:
            status["lastPhaseTransitionTime"] = timestamps.now_string(self.clock)
        await self._patched(volume, {"status": status}, "status")
        if wanted.phase == "Failed":
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", wanted.message)

    async def _patched(self, obj: T, body: dict[str, Any], subresource: str = "") -> T:
        """The object after this change of the very version that was looked at."""
        if not body:
            return obj
        metadata = objects.meta(obj)
        seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        body = {**body, "metadata": {**body.get("metadata", {}), **seen}}
        return await self.client.patch(
            type(obj), metadata.name, metadata.namespace, body, subresource=subresource
        )

    def _tell(self, claim: PersistentVolumeClaim, told: Told | None) -> None:
        if told is not None:
            self._recorder.event(claim, told.type, told.reason, told.message)


def volume_binding(claim: PersistentVolumeClaim, volume: PersistentVolume) -> dict[str, Any]:
    """What the volume lacks to name the claim; empty when it does."""
    known = volume.spec.claim_ref
    if known is not None and known.uid:
        return {}
    metadata = claim.metadata
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
    }
    body: dict[str, Any] = {"spec": {"claimRef": reference}}
    if known is None:
        body["metadata"] = {"annotations": {deciding.BOUND_BY_CONTROLLER: "yes"}}
    return body


def claim_binding(claim: PersistentVolumeClaim, volume: PersistentVolume) -> dict[str, Any]:
    """What the claim lacks to name the volume; empty when it does."""
    if claim.spec.volume_name and deciding.BIND_COMPLETED in claim.metadata.annotations:
        return {}
    notes = {deciding.BIND_COMPLETED: "yes"}
    if not claim.spec.volume_name:
        notes[deciding.BOUND_BY_CONTROLLER] = "yes"
    return {
        "metadata": {"annotations": notes},
        "spec": {"volumeName": volume.metadata.name},
    }


def bound_status(claim: PersistentVolumeClaim, volume: PersistentVolume) -> dict[str, Any]:
    """What the claim's status lacks; its size is taken over once, whoever resizes it tells later."""
    status: dict[str, Any] = {}
    if claim.status.phase != "Bound":
        status = {"phase": "Bound", "capacity": volume.spec.capacity}
    if claim.status.access_modes != volume.spec.access_modes:
        status["accessModes"] = volume.spec.access_modes
    return status


def unbinding(kept: bool) -> dict[str, Any]:
    """The volume is free; `kept`: it still waits for the claim that its maker named."""
    if kept:
        return {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
    return {
        "metadata": {"annotations": {deciding.BOUND_BY_CONTROLLER: None}},
        "spec": {"claimRef": None},
    }


def _waiting_class(claim: PersistentVolumeClaim) -> list[str]:
    return [] if claim.spec.volume_name else [class_of(claim) or ""]


def _named_claim(volume: PersistentVolume) -> list[str]:
    reference = volume.spec.claim_ref
    return [] if reference is None else [f"{reference.namespace}/{reference.name}"]


def _free_class(volume: PersistentVolume) -> list[str]:
    return [class_of_volume(volume)] if is_free(volume) else []
