"""Claims in use, where the cache and the store do not agree."""

from typing import Any

import pytest

from api import objects
from api.core import PersistentVolumeClaim, Pod
from api.informer import Informer
from api.interface import Listed
from base.clock import FakeClock
from base.tasks import TaskGuard
from control.controllers.context import Context, Informers
from control.controllers.controller import Behind
from control.controllers.volumes.protection import ClaimProtection
from tests.unit.controllers.test_volumes import claim
from tests.unit.scheduler.making import pod


async def test_a_user_that_the_cache_never_shows_is_asked_for_again() -> None:
    """It may be gone before a list begins anew: no event would ever tell."""
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    found: list[Pod] = [pod("p", nodeName="n1", volumes=volumes)]  # type: ignore[arg-type]
    written: list[Any] = []

    class Client:
        async def list(self, *_: Any, **__: Any) -> Listed[Any]:
            return Listed(found, "1")

        async def patch(self, type_: type, name: str, namespace: str, body: Any) -> None:
            written.append(body["metadata"]["finalizers"])

    client: Any = Client()
    leaving = claim(metadata__deletionTimestamp="2026-01-02T03:04:05Z")
    leaving.metadata.finalizers = ["kubernetes.io/pvc-protection"]
    clock, key = FakeClock(), objects.key(leaving)
    async with TaskGuard("test") as guard:
        nothing: Any = None
        informers = Informers(client, clock)
        context = Context(client=client, informers=informers, clock=clock, ca=nothing, guard=guard)
        controller = ClaimProtection(context)
        claims: Informer[PersistentVolumeClaim] = informers.of(PersistentVolumeClaim)
        claims._put(key, leaving)

        with pytest.raises(Behind):
            await controller.reconcile(key)
        assert not written
        found.clear()
        await controller.reconcile(key)
        assert written == [[]]
