"""The node's Lease: its cheapest sign of life (before step 3 of the pod's walk).

Renewed every 10 s; a control plane that is away is no reason to do anything but try again. Intervals are
measured on the monotonic clock: a jump of the wall clock must not silence a node.
"""

from __future__ import annotations

import logging

import msgspec

from api import timestamps
from api.client import Client
from api.coordination import Lease, LeaseSpec
from api.errors import ApiError, is_not_found
from api.meta import ObjectMeta, OwnerReference
from base.clock import Clock
from base.errors import PodwrightError

log = logging.getLogger(__name__)

NAMESPACE = "kube-node-lease"
SECONDS = 40
RENEW = 10.0
RETRY = 2.0


class NodeLease:
    """Keeps one Lease current."""

    def __init__(self, client: Client, name: str, *, clock: Clock) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self.owner = ""
        """Uid of the Node, once it is known: a Lease that belongs to nobody would outlive it."""
        self.failures = 0
        """In a row."""

    async def renew_forever(self) -> None:
        """Until cancelled."""
        lease: Lease | None = None
        while True:
            try:
                lease = await self._renew(lease)
                self.failures = 0
            except PodwrightError as error:
                lease = None  # whatever it was, begin with what the API has
                self.failures += 1
                log.warning("lease is not renewed: %s", error)
            await self._clock.sleep(RENEW if self.failures == 0 else RETRY)

    async def _renew(self, lease: Lease | None) -> Lease:
        if lease is None:
            try:
                lease = await self._client.get(Lease, self._name, NAMESPACE)
            except ApiError as error:
                if not is_not_found(error):
                    raise
                return await self._client.create(self._new())
        spec = LeaseSpec(
            holder_identity=self._name,
            lease_duration_seconds=SECONDS,
            acquire_time=lease.spec.acquire_time,
            renew_time=timestamps.now_micro_string(self._clock),
            lease_transitions=lease.spec.lease_transitions,
        )
        owners = lease.metadata.owner_references or self._owners()
        meta = msgspec.structs.replace(lease.metadata, owner_references=owners)
        return await self._client.update(msgspec.structs.replace(lease, metadata=meta, spec=spec))

    def _owners(self) -> list[OwnerReference]:
        if not self.owner:
            return []
        return [OwnerReference(api_version="v1", kind="Node", name=self._name, uid=self.owner)]

    def _new(self) -> Lease:
        name = self._name
        return Lease(
            metadata=ObjectMeta(name=name, namespace=NAMESPACE, owner_references=self._owners()),
            spec=LeaseSpec(
                holder_identity=name,
                lease_duration_seconds=SECONDS,
                renew_time=timestamps.now_micro_string(self._clock),
            ),
        )
