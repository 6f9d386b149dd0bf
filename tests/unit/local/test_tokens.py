from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from api.core import Secret
from api.meta import ObjectMeta
from local import tokens

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_token_has_kubernetes_form_and_hides_its_secret() -> None:
    token = tokens.generate()
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", str(token))
    assert token.secret not in repr(token)
    assert str(tokens.generate(lambda letters: letters[0])) == "aaaaaa.aaaaaaaaaaaaaaaa"


def test_its_secret_says_what_it_is_for_and_until_when() -> None:
    token = tokens.generate()
    secret = tokens.secret_of(token, now=NOW, seconds=3600, description="lab")
    assert secret.metadata.name == f"bootstrap-token-{token.id}"
    assert secret.metadata.namespace == "kube-system"
    assert secret.type == "bootstrap.kubernetes.io/token"
    assert secret.data["usage-bootstrap-authentication"] == b"true"
    assert secret.data["expiration"] == b"2026-01-01T01:00:00Z"

    listed = tokens.read(secret)
    assert listed is not None
    assert (listed.id, listed.description) == (token.id, "lab")
    assert listed.expires == NOW + timedelta(hours=1)
    assert not listed.expired(NOW)
    assert listed.expired(NOW + timedelta(hours=1))


def test_a_token_may_last_for_ever() -> None:
    listed = tokens.read(tokens.secret_of(tokens.generate(), now=NOW, seconds=None))
    assert listed is not None
    assert listed.expires is None


def test_other_secrets_are_no_tokens() -> None:
    assert tokens.read(Secret(metadata=ObjectMeta(name="x"), type="Opaque")) is None
    named = ObjectMeta(name="bootstrap-token-abcdef")
    assert tokens.read(Secret(metadata=named, type="Opaque")) is None
    broken = Secret(metadata=named, type=tokens.TYPE, data={"expiration": b"soon"})
    assert tokens.read(broken) is None
