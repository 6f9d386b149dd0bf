"""What expires: events after `--event-ttl`, bootstrap tokens at their date, old certificate requests."""

import asyncio
from datetime import datetime, timedelta

from api import timestamps
from api.certificates import CertificateSigningRequest
from api.client import Client
from api.core import Event, Secret
from api.deletion import delete_if_there
from api.errors import is_conflict
from api.objects import Key
from api.struct import ApiStruct
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.controllers.context import Context
from control.controllers.controller import Controller

DECIDED_CSR_TTL = timedelta(hours=1)
PENDING_CSR_TTL = timedelta(hours=24)
PERIOD_SECONDS = 60.0
TOKEN_NAMESPACE = "kube-system"
TOKEN_TYPE = "bootstrap.kubernetes.io/token"
PAGE = 500


class ExpiryController(Controller):
    """Looks once a minute; deletes in small portions so that nothing else waits."""

    name = "expiry-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._event_ttl = timedelta(seconds=context.event_ttl)
        self._secrets = context.informers.of(Secret)
        self._requests = context.informers.of(CertificateSigningRequest)

    def start(self, guard: TaskGuard) -> None:
        self.every(guard, PERIOD_SECONDS, self._sweep)

    async def reconcile(self, key: Key) -> float | None:
        raise NotImplementedError("expiry has no keys: see _sweep")

    async def _sweep(self) -> None:
        now = self.clock.now()
        await self._expire_events(now)
        for secret in self._secrets.items(TOKEN_NAMESPACE):
            if token_expired(secret, now):
                await delete_quietly(self.client, secret)
        for request in self._requests.items():
            if request_expired(request, now):
                await delete_quietly(self.client, request)

    async def _expire_events(self, now: datetime) -> None:
        """Events have no informer: they are many, and nothing else here reads them."""
        if not self._event_ttl:
            return
        continue_ = ""
        while True:
            page = await self.client.list(Event, limit=PAGE, continue_=continue_)
            for event in page.items:
                if event_expired(event, now, self._event_ttl):
                    await delete_quietly(self.client, event)
            await asyncio.sleep(0)
            continue_ = page.continue_
            if not continue_:
                return


def event_expired(event: Event, now: datetime, ttl: timedelta) -> bool:
    """Whether the event was last seen longer ago than events are kept."""
    series = event.series.last_observed_time if event.series is not None else None
    seen = (
        series
        or event.last_timestamp
        or event.event_time
        or event.first_timestamp
        or event.metadata.creation_timestamp
    )
    return bool(seen) and now - timestamps.parse(seen or "") > ttl


def token_expired(secret: Secret, now: datetime) -> bool:
    """Whether this is a bootstrap token whose `expiration` is past (or unreadable)."""
    if secret.type != TOKEN_TYPE or "expiration" not in secret.data:
        return False
    try:
        return timestamps.parse(secret.data["expiration"].decode()) < now
    except ValueError:
        return True


def request_expired(request: CertificateSigningRequest, now: datetime) -> bool:
    """Whether a certificate request was decided an hour ago, or has waited for a day."""
    created = request.metadata.creation_timestamp
    age = now - timestamps.parse(created) if created else timedelta()
    return age > (DECIDED_CSR_TTL if request.status.conditions else PENDING_CSR_TTL)


async def delete_quietly(client: Client, obj: ApiStruct) -> None:
    """Delete an object as it was seen; one that is gone, or has changed since, is left alone."""
    try:
        await delete_if_there(client, obj, unchanged=True)
    except PodwrightError as error:
        if not is_conflict(error):
            raise
