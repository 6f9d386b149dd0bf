"""Claims for pods' ephemeral volumes, which live and die with the pod. Walk step 3."""

from __future__ import annotations

import msgspec

from api import objects, pods
from api.core import PersistentVolumeClaim, Pod, Volume
from api.errors import is_already_exists
from api.meta import ObjectMeta
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Controller


class EphemeralVolumeController(Controller):
    """Makes each claim once; that one of its name is somebody else's, the scheduler tells."""

    name = "ephemeral-volume-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._pods.subscribe(self._pod_changed)
        self._claims.subscribe(self._claim_changed)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and any(one.ephemeral is not None for one in new.spec.volumes):
            self.enqueue(new)

    def _claim_changed(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> None:
        owner = objects.controller_of(old) if new is None and old is not None else None
        if old is not None and owner is not None and owner.kind == "Pod":
            self.queue.add(Key(old.metadata.namespace, owner.name))

    async def reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or pod.metadata.deletion_timestamp or pods.is_terminal(pod):
            return None
        for volume in pod.spec.volumes:
            if volume.ephemeral is None:
                continue
            if self._claims.get(pods.ephemeral_claim(pod, volume), key.namespace) is None:
                await self._make(pod, volume)
        return None

    async def _make(self, pod: Pod, volume: Volume) -> None:
        claim = claim_for(pod, volume)
        try:
            await self.client.create(claim)
        except PodwrightError as error:
            if not is_already_exists(error):
                raise


def claim_for(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """The claim of a pod's ephemeral volume; it goes with the pod. Pure."""
    assert volume.ephemeral is not None and volume.ephemeral.volume_claim_template is not None
    template = volume.ephemeral.volume_claim_template
    return PersistentVolumeClaim(
        metadata=ObjectMeta(
            name=pods.ephemeral_claim(pod, volume),
            namespace=pod.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            owner_references=[objects.controller_reference(pod)],
        ),
        spec=msgspec.structs.replace(template.spec),
    )
