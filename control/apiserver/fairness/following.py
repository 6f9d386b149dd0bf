"""The gate follows the objects: FlowSchemas and PriorityLevelConfigurations as they are now.

Before step 1 of the pod's walk. One task: it waits for a change of either kind, makes a new book, gives
it to the gate, and writes into the status of each schema whether its level exists (`Dangling`). The gate
is current within a moment of any change. What cannot be written (a webhook, another writer) is tried
again after a while; nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from api import errors
from api.client import Client
from api.flowcontrol import (
    FlowSchema,
    FlowSchemaCondition,
    FlowSchemaStatus,
    PriorityLevelConfiguration,
)
from api.timestamps import now_string
from base.clock import Clock
from base.tasks import TaskGuard, persist
from control.admission.chain import Reader
from control.apiserver.fairness.book import Book, missing_level
from control.apiserver.fairness.gate import Gate
from control.store.errors import CompactedError
from control.store.watchcache import WatchCache

log = logging.getLogger(__name__)

DANGLING = "Dangling"
RESYNC_SECONDS = 60.0


class Following:
    """Keeps a gate's book."""

    def __init__(
        self,
        gate: Gate,
        reader: Reader,
        client: Client,
        caches: Sequence[WatchCache],
        clock: Clock,
    ) -> None:
        self._gate = gate
        self._reader = reader
        self._client = client
        self._caches = caches
        self._clock = clock
        self._changed = asyncio.Event()

    def start(self, guard: TaskGuard) -> None:
        """Once the caches are full."""
        self._read()
        for cache in self._caches:
            guard.start(self._watch(cache), name=f"changes of {cache.prefix}")
        following = persist(self._step, what="following flow schemas", clock=self._clock)
        guard.start(following, name="flow schemas")

    async def _watch(self, cache: WatchCache) -> None:
        while True:
            try:
                async for _ in cache.subscribe(cache.revision):
                    self._changed.set()
            except CompactedError:
                self._changed.set()

    async def _step(self) -> None:
        schemas, levels = self._read()
        for schema in schemas:
            await self._tell(schema, missing_level(schema, levels))
        try:
            async with asyncio.timeout(RESYNC_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    def _read(self) -> tuple[Sequence[FlowSchema], Sequence[PriorityLevelConfiguration]]:
        schemas = self._reader.list(FlowSchema)
        levels = self._reader.list(PriorityLevelConfiguration)
        if schemas:  # before the first ones are made, the gate has a book of its own
            self._gate.follow(Book(schemas, levels))
        return schemas, levels

    async def _tell(self, schema: FlowSchema, missing: bool) -> None:
        status = told(schema, missing, now_string(self._clock))
        if status is None:
            return
        schema.status = status
        try:
            await self._client.update(schema, subresource="status")
        except errors.ApiError as error:
            if not errors.is_conflict(error) and not errors.is_not_found(error):
                log.warning("the status of flow schema %s: %s", schema.metadata.name, error)


def told(schema: FlowSchema, missing: bool, now: str) -> FlowSchemaStatus | None:
    """The status that says whether the level is missing; None when it says so already. Pure."""
    level = schema.spec.priority_level_configuration.name
    if missing:
        status, reason = "True", "NotFound"
        words = f"it references the priority level configuration {level!r} and there is none"
    else:
        status, reason = "False", "Found"
        words = f"it references the priority level configuration {level!r} and it exists"
    conditions = schema.status.conditions
    known = next((one for one in conditions if one.type == DANGLING), None)
    if known is not None and (known.status, known.message) == (status, words):
        return None
    since = known.last_transition_time if known and known.status == status else now
    made = FlowSchemaCondition(
        type=DANGLING, status=status, reason=reason, message=words, last_transition_time=since
    )
    return FlowSchemaStatus(conditions=[*(one for one in conditions if one.type != DANGLING), made])
