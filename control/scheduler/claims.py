"""Claims that waited for their pod get their volumes, before the pod is bound. Walk step 3.

The volume that was chosen is made to name the claim, or the claim is made to name the node on which a
provisioner is to make one; the binding itself is finished by its controller
(`control/controllers/volumes/binding.py`). The pod counts on its node meanwhile. If it takes too long,
or the provisioner gives up on the node, the pod is tried again.
"""

from api.client import Client
from api.core import PersistentVolume, PersistentVolumeClaim
from base.clock import Clock
from base.errors import TemporaryError
from control.controllers.volumes.binding import volume_binding
from control.controllers.volumes.matching import SELECTED_NODE
from control.scheduler.request import Request
from control.scheduler.storage import ClaimKey, Picks, Storage, is_bound

LOOK_SECONDS = 0.1


class ClaimBinder:
    """Sees to it that a pod's claims are bound."""

    def __init__(self, client: Client, storage: Storage, clock: Clock) -> None:
        self._client = client
        self._storage = storage
        self._clock = clock

    async def bind(self, request: Request, picks: Picks, node: str, patience: float) -> None:
        """Returns when all of them are bound, which may take `patience` seconds.

        Raises:
            TemporaryError: they are not, and will not be for now.
            ApiError: somebody was faster.
        """
        for key, volume in picks.items():
            claim = self._storage.claims.get(key)
            if claim is None:
                raise TemporaryError(f"claim {key[0]}/{key[1]} is gone")
            if volume is not None:
                await self._offer(claim, volume)
            else:
                await self._ask_for(claim, node)
        ends = self._clock.monotonic() + patience
        while not all(self._is_done(key, node) for key in picks):
            if self._clock.monotonic() > ends:
                raise TemporaryError(f"the claims of {request.name} were not bound in time")
            await self._clock.sleep(LOOK_SECONDS)

    def _is_done(self, key: ClaimKey, node: str) -> bool:
        claim = self._storage.claims.get(key)
        if claim is None:
            raise TemporaryError(f"claim {key[0]}/{key[1]} is gone")
        if is_bound(claim):
            return True
        if claim.metadata.annotations.get(SELECTED_NODE, node) != node:
            raise TemporaryError(f"claim {key[0]}/{key[1]} is being served on another node")
        return False

    async def _offer(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        body = volume_binding(claim, volume)
        if body:
            metadata = volume.metadata
            seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
            body = {**body, "metadata": {**body.get("metadata", {}), **seen}}
            await self._client.patch(PersistentVolume, metadata.name, "", body)

    async def _ask_for(self, claim: PersistentVolumeClaim, node: str) -> None:
        metadata = claim.metadata
        if metadata.annotations.get(SELECTED_NODE) != node:
            body = {"metadata": {"uid": metadata.uid, "annotations": {SELECTED_NODE: node}}}
            await self._client.patch(PersistentVolumeClaim, metadata.name, metadata.namespace, body)
