"""What has expired: events, bootstrap tokens, requests for certificates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from api import timestamps
from api.certificates import CertificateSigningRequest
from api.core import Event, Secret
from api.meta import ObjectMeta
from base.clock import FakeClock
from control.controllers.lifecycle.expiry import event_expired, request_expired, token_expired

NOW = FakeClock().now()
LATE, EARLY = NOW - timedelta(minutes=61), NOW - timedelta(minutes=59)


def text(when: datetime) -> str:
    return timestamps.format(when)


def event(created: datetime | None = None, **more: Any) -> Event:
    metadata: dict[str, Any] = {"name": "e", "namespace": "default"}
    if created is not None:
        metadata["creationTimestamp"] = text(created)
    body = {"metadata": metadata, "involvedObject": {}, "reportingComponent": "", **more}
    return msgspec.convert({"reportingInstance": "", **body}, type=Event)


@pytest.mark.parametrize(
    ("told", "expired"),
    [
        (event(lastTimestamp=text(LATE)), True),
        (event(lastTimestamp=text(EARLY)), False),
        (event(firstTimestamp=text(LATE), lastTimestamp=text(EARLY)), False),
        (event(eventTime=timestamps.format_micro(LATE)), True),
        (event(eventTime=timestamps.format_micro(EARLY)), False),
        (event(firstTimestamp=text(LATE)), True),
        (event(LATE), True),
        (event(EARLY), False),
        (event(), False),
        (
            event(
                eventTime=timestamps.format_micro(LATE),
                series={"count": 2, "lastObservedTime": timestamps.format_micro(EARLY)},
            ),
            False,
        ),
        (
            event(
                eventTime=timestamps.format_micro(LATE),
                series={"count": 2, "lastObservedTime": timestamps.format_micro(LATE)},
            ),
            True,
        ),
    ],
)
def test_an_event_expires_an_hour_after_it_was_seen_last(told: Event, expired: bool) -> None:
    hour = timedelta(hours=1)
    assert event_expired(told, NOW, hour) is expired
    assert not event_expired(told, NOW, timedelta(hours=2))


@pytest.mark.parametrize(
    ("type_", "data", "expired"),
    [
        ("bootstrap.kubernetes.io/token", {"expiration": text(NOW - timedelta(seconds=1))}, True),
        ("bootstrap.kubernetes.io/token", {"expiration": text(NOW + timedelta(seconds=1))}, False),
        ("bootstrap.kubernetes.io/token", {"expiration": "tomorrow"}, True),
        ("bootstrap.kubernetes.io/token", {}, False),
        ("Opaque", {"expiration": text(LATE)}, False),
    ],
)
def test_a_token_expires_at_its_date(type_: str, data: dict[str, str], expired: bool) -> None:
    secret = Secret(
        metadata=ObjectMeta(name="bootstrap-token-abcdef", namespace="kube-system"),
        type=type_,
        data={key: value.encode() for key, value in data.items()},
    )
    assert token_expired(secret, NOW) is expired


@pytest.mark.parametrize(
    ("hours", "decided", "expired"),
    [(0.9, True, False), (1.1, True, True), (1.1, False, False), (24.1, False, True)],
)
def test_a_request_waits_a_day_and_is_kept_an_hour(
    hours: float, decided: bool, expired: bool
) -> None:
    conditions = [{"type": "Approved", "status": "True"}] if decided else []
    request = msgspec.convert(
        {
            "metadata": {"name": "r", "creationTimestamp": text(NOW - timedelta(hours=hours))},
            "spec": {"request": "", "signerName": "example.com/s"},
            "status": {"conditions": conditions},
        },
        type=CertificateSigningRequest,
    )
    assert request_expired(request, NOW) is expired
