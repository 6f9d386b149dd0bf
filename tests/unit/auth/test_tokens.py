"""Service accounts' tokens: what is given out is accepted, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from api import errors, timestamps
from api.authentication import BoundObjectReference, TokenRequest, TokenRequestSpec
from api.certificates import CertificateSigningRequest, CertificateSigningRequestSpec
from api.core import Node, NodeStatus, NodeSystemInfo, Pod, PodSpec, Secret, ServiceAccount
from api.meta import ObjectMeta
from api.scheme import resource_of
from base.clock import FakeClock
from base.errors import PermanentError
from control.admission.certificates import CertificateRequester
from control.admission.chain import Attributes, Operation
from control.auth.authentication import Authenticator
from control.auth.tokens import claims, keys
from control.auth.tokens.accounts import INVALID_SINCE, REMEMBERED, ServiceAccountTokens
from control.auth.tokens.claims import Private, Reference
from control.auth.tokens.issuing import TokenIssuer
from control.auth.tokens.keys import BadToken, TokenKeys

ISSUER = "https://kubernetes.default.svc.cluster.local"
US = (ISSUER,)
INFO = NodeSystemInfo(
    **dict.fromkeys((name for name in NodeSystemInfo.__struct_fields__ if name != "swap"), "")
)


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


class Objects:
    """A reader of a few objects."""

    def __init__(self, *objects: Any) -> None:
        self.found: dict[tuple[type, str, str], Any] = {}
        for obj in objects:
            self.put(obj)

    def put(self, obj: Any) -> None:
        self.found[type(obj), obj.metadata.namespace, obj.metadata.name] = obj

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        return self.found.get((type_, namespace, name))

    def list(self, type_: type[Any], namespace: str = "") -> Any:
        return [obj for obj in self.found.values() if type(obj) is type_]

    async def fresh(self, type_: type[Any]) -> None:
        return None


def meta(name: str, uid: str, namespace: str = "ns", **more: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, uid=uid, **more)


class World:
    """An account `robot` with a pod, a Secret and a Node."""

    def __init__(self, signing: keys.PrivateKey | None = None) -> None:
        self.clock = FakeClock()
        self.account = ServiceAccount(metadata=meta("robot", "u-robot"))
        self.pod = Pod(
            metadata=meta("p", "u-p"),
            spec=PodSpec(containers=[], service_account_name="robot", node_name="n1"),
        )
        self.secret = Secret(metadata=meta("s", "u-s"))
        self.node = Node(metadata=meta("n1", "u-n", ""), status=NodeStatus(node_info=INFO))
        self.objects = Objects(self.account, self.pod, self.secret, self.node)
        self.keys = TokenKeys(signing or rsa_key())
        self.tokens = ServiceAccountTokens(
            self.objects, self.keys, issuers=US, audiences=US, clock=self.clock
        )
        self.issuer = TokenIssuer(
            self.objects,
            self.keys,
            issuer=ISSUER,
            audiences=US,
            clock=self.clock,
            identifier=lambda: "id-1",
        )

    async def request(
        self,
        *,
        kind: str = "",
        name: str = "",
        uid: str = "",
        seconds: int | None = None,
        audiences: tuple[str, ...] = (),
        version: str = "v1",
    ) -> TokenRequest:
        ref = BoundObjectReference(kind=kind, api_version=version, name=name, uid=uid)
        asked = TokenRequest(
            spec=TokenRequestSpec(
                audiences=list(audiences),
                expiration_seconds=seconds,
                bound_object_ref=ref if kind else None,
            )
        )
        self.issuer.prepare(asked, self.account)
        await self.issuer.issue(asked, self.account)
        return asked

    async def token(self, **more: Any) -> str:
        return (await self.request(**more)).status.token

    async def refused(self, token: str, audiences: tuple[str, ...] = US) -> str:
        with pytest.raises(BadToken) as caught:
            await self.tokens.find(token, audiences)
        return str(caught.value)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("signing", [rsa_key, ec_key])
async def test_a_token_says_who_shows_it(signing: Callable[[], keys.PrivateKey]) -> None:
    world = World(signing())
    token = await world.token(kind="Pod", name="p", uid="u-p")
    found = await world.tokens.find(token, US)
    assert found is not None and found.audiences == US
    user = found.user
    assert (user.name, user.uid) == ("system:serviceaccount:ns:robot", "u-robot")
    assert user.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    )
    assert dict(user.extra) == {
        "authentication.kubernetes.io/credential-id": ("JTI=id-1",),
        "authentication.kubernetes.io/node-name": ("n1",),
        "authentication.kubernetes.io/node-uid": ("u-n",),
        "authentication.kubernetes.io/pod-name": ("p",),
        "authentication.kubernetes.io/pod-uid": ("u-p",),
    }


async def test_what_stands_in_a_token(world: World) -> None:
    asked = await world.request(kind="Pod", name="p", seconds=600, audiences=("vault",))
    header, payload = read(asked.status.token)
    now = int(world.clock.now().timestamp())
    assert header == {"alg": "RS256", "kid": world.keys.keys[0].id}
    assert payload == {
        "iss": ISSUER,
        "sub": "system:serviceaccount:ns:robot",
        "aud": ["vault"],
        "exp": now + 600,
        "nbf": now,
        "iat": now,
        "jti": "id-1",
        "kubernetes.io": {
            "namespace": "ns",
            "serviceaccount": {"name": "robot", "uid": "u-robot"},
            "pod": {"name": "p", "uid": "u-p"},
            "node": {"name": "n1", "uid": "u-n"},
        },
    }
    ends = timestamps.parse(asked.status.expiration_timestamp or "")
    assert ends.timestamp() == now + 600
    assert asked.metadata.name == "robot" and asked.metadata.namespace == "ns"


async def test_others_can_verify_a_token_by_what_is_published(world: World) -> None:
    token = await world.token(seconds=600, audiences=("vault",))
    for published in (world.keys.jwks(), TokenKeys(ec_key(), [rsa_key().public_key()]).jwks()):
        known = {one["kid"]: jwt.PyJWK(one) for one in published["keys"]}
        key = known[jwt.get_unverified_header(token)["kid"]]
        skip = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        said = jwt.decode(token, key, audience="vault", issuer=ISSUER, options=skip)  # type: ignore[arg-type]
        assert said["sub"] == "system:serviceaccount:ns:robot"
        assert all("d" not in one for one in published["keys"]), "a private part"


# -- forgeries -----------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(data=st.data(), elliptic=st.booleans())
def test_every_altered_bit_is_one_too_many(data: st.DataObject, elliptic: bool) -> None:
    token = sample(elliptic)
    place = data.draw(st.integers(0, len(token) - 1))
    altered = bytearray(token.encode())
    altered[place] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises(BadToken):
        TokenKeys(ec_key() if elliptic else rsa_key()).verify(altered.decode("latin-1"))


def test_the_last_character_has_one_spelling() -> None:
    """Base64 of 256 bytes has four bits to spare: they are part of the token all the same."""
    token, letters = sample(False), "".join(map(chr, range(33, 127)))
    for letter in set(letters) - {token[-1]}:
        with pytest.raises(BadToken):
            TokenKeys(rsa_key()).verify(token[:-1] + letter)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_noise_is_refused(noise: str) -> None:
    keyed = TokenKeys(rsa_key())
    for text in (noise, f"{noise}.{noise}.{noise}", sample(False) + noise or "x"):
        if text != sample(False):
            with pytest.raises(BadToken):
                keyed.verify(text)


def test_other_algorithms_are_refused() -> None:
    header, payload, _ = sample(False).split(".")
    keyed, pem = (
        TokenKeys(rsa_key(), [ec_key().public_key()]),
        keys.public_pem(rsa_key().public_key()),
    )
    kid = keyed.keys[0].id
    for algorithm in ("none", "None", "", "HS256", "HS512", "PS256", "ES256", "RS512"):
        for named in (
            {"kid": kid},
            {},
            {"kid": None},
            {"kid": ["a"]},
            {"jwk": keyed.keys[0].jwk()},
        ):
            forged = encoded({"alg": algorithm, **named})
            signature = hmac.new(pem, f"{forged}.{payload}".encode(), hashlib.sha256).digest()
            for sign in ("", base64.urlsafe_b64encode(signature).rstrip(b"=").decode()):
                with pytest.raises(BadToken):
                    keyed.verify(f"{forged}.{payload}.{sign}")
    with pytest.raises(BadToken):
        keyed.verify(f"{header}.{payload}.")


def test_a_stranger_is_refused_also_under_our_name() -> None:
    own = TokenKeys(rsa_key())
    theirs = jwt.encode({"iss": ISSUER}, rsa_key(1), "RS256", headers={"kid": own.keys[0].id})
    for token in (theirs, jwt.encode({"iss": ISSUER}, rsa_key(1), "RS256")):
        with pytest.raises(BadToken, match="signature"):
            own.verify(token)
    with pytest.raises(BadToken, match="none of ours"):
        own.verify(jwt.encode({"iss": ISSUER}, rsa_key(1), "RS256", headers={"kid": "x"}))


def test_former_keys_still_count() -> None:
    before = TokenKeys(rsa_key()).sign(b"{}")
    after = TokenKeys(ec_key(), [rsa_key().public_key()])
    assert after.verify(before) == b"{}"
    assert after.verify(after.sign(b"{}")) == b"{}"
    with pytest.raises(BadToken):
        TokenKeys(ec_key()).verify(before)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iss": "https://elsewhere"}, "issuer"),
        ({"iss": None}, "cannot be read"),
        ({"aud": "vault"}, "cannot be read"),
        ({"aud": []}, "meant for"),
        ({"sub": "system:serviceaccount:ns:other"}, "not the account"),
        ({"sub": "system:admin"}, "not the account"),
        ({"exp": -1}, "cannot be read"),
        ({"exp": 1e300}, "cannot be read"),
        ({"exp": "9999999999"}, "cannot be read"),
        ({"nbf": 9999999999}, "begins in"),
        ({"kubernetes.io": {}}, "cannot be read"),
        ({"kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "robot"}}}, "made anew"),
    ],
)
async def test_claims_that_do_not_fit(world: World, change: dict[str, Any], why: str) -> None:
    _, payload = read(await world.token())
    token = world.keys.sign(json.dumps({**payload, **change}).encode())
    assert why in await world.refused(token)


# -- time, audience, and what a token is bound to --------------------------------------------------


async def test_a_token_ends(world: World) -> None:
    token = await world.token(seconds=600)
    world.clock.advance(599)
    assert await world.tokens.find(token, US)
    world.clock.advance(1)
    assert "expired" in await world.refused(token)


async def test_a_clock_that_is_set_back(world: World) -> None:
    world.clock.advance(3600)
    token = await world.token()
    earlier = World()
    earlier.clock.advance(3600 - 60)
    assert await earlier.tokens.find(token, US)
    much_earlier = World()
    assert "begins in" in await much_earlier.refused(token)


async def test_a_token_is_for_its_audience(world: World) -> None:
    token = await world.token(audiences=("vault", "registry"))
    assert "meant for" in await world.refused(token)
    found = await world.tokens.find(token, ("a", "registry", "vault"))
    assert found is not None and found.audiences == ("registry", "vault")


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [("Pod", "p", "pod"), ("Secret", "s", "secret"), ("Node", "n1", "node")],
)
@pytest.mark.parametrize("ending", ["gone", "anew", "account gone", "account anew", "deleting"])
async def test_a_token_ends_with_its_object(
    world: World, kind: str, name: str, what: str, ending: str
) -> None:
    token = await world.token(kind=kind, name=name)
    assert await world.tokens.find(token, US)
    obj = world.account if ending.startswith("account") else getattr(world, what)
    if ending.endswith("anew"):
        obj.metadata.uid = "another"
        assert "made anew" in await world.refused(token)
    elif ending == "deleting":
        obj.metadata.deletion_timestamp = timestamps.format(world.clock.now())
        world.clock.advance(60)
        assert await world.tokens.find(token, US)
        world.clock.advance(1)
        assert "gone" in await world.refused(token)
    else:
        del world.objects.found[type(obj), obj.metadata.namespace, obj.metadata.name]
        assert "gone" in await world.refused(token)


async def test_the_node_of_a_pod_may_change(world: World) -> None:
    token = await world.token(kind="Pod", name="p")
    del world.objects.found[Node, "", "n1"]
    assert await world.tokens.find(token, US)


async def test_what_is_remembered_is_bounded_and_no_token(world: World) -> None:
    token = await world.token()
    for _ in range(3):
        await world.tokens.find(token, US)
    assert world.tokens.statistics() == {"remembered": 1}
    small = TokenKeys(ec_key())
    tokens = ServiceAccountTokens(world.objects, small, issuers=US, audiences=US, clock=world.clock)
    private = Private("ns", Reference("robot", "u-robot"))
    for number in range(REMEMBERED + 5):
        said = claims.bound(
            private,
            issuer=ISSUER,
            audiences=[ISSUER],
            now=world.clock.now(),
            lifetime=600,
            identifier=str(number),
        )
        await tokens.find(small.sign(claims.encode(said)), US)
    assert tokens.statistics() == {"remembered": REMEMBERED}
    assert token not in repr(vars(world.tokens))


async def test_what_is_no_token_is_left_to_others(world: World) -> None:
    for text in ("", "abcdef.0123456789abcdef", "a.b.c.d"):
        assert await world.tokens.find(text, US) is None


# -- what may be asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "why"),
    [
        ({"seconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"seconds": 0}, 422, "less than 10 minutes"),
        ({"seconds": (1 << 32) + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"kind": "Pod", "name": "missing"}, 404, 'pods "missing" not found'),
        (
            {"kind": "Pod", "name": "p", "uid": "x"},
            409,
            "the UID in the bound object reference (x)",
        ),
        ({"kind": "Secret", "name": "s", "uid": "x"}, 409, "does not match the UID in record"),
        ({"kind": "Node", "name": "n2"}, 404, 'nodes "n2" not found'),
        ({"kind": "ConfigMap", "name": "c"}, 400, "cannot bind token to object of type"),
        ({"kind": "Pod", "name": "p", "version": "v2"}, 400, "cannot bind token to object of type"),
        ({"kind": "Pod"}, 422, "spec.boundObjectRef.name: Required value"),
    ],
)
async def test_what_is_not_given(world: World, more: dict[str, Any], code: int, why: str) -> None:
    with pytest.raises(errors.ApiError) as caught:
        await world.request(**more)
    assert caught.value.code == code and why in caught.value.message, caught.value


async def test_a_pod_of_another_account(world: World) -> None:
    world.pod.spec.service_account_name = "other"
    with pytest.raises(errors.ApiError, match="different serviceaccount name") as caught:
        await world.request(kind="Pod", name="p")
    assert caught.value.code == 400


async def test_an_hour_where_nothing_is_said(world: World) -> None:
    asked = await world.request()
    assert asked.spec.expiration_seconds == 3600 and asked.spec.audiences == [ISSUER]


# -- tokens in Secrets -----------------------------------------------------------------------------


def legacy(world: World) -> str:
    said = claims.legacy(namespace="ns", secret="s", account="robot", uid="u-robot")
    token = world.keys.sign(claims.encode(said))
    world.secret.data = {"token": token.encode()}
    return token


async def test_a_token_that_lies_in_a_secret(world: World) -> None:
    token = legacy(world)
    found = await world.tokens.find(token, US)
    assert found is not None and found.user.name == "system:serviceaccount:ns:robot"
    assert not found.user.extra
    assert "meant for" in await world.refused(token, ("vault",))
    world.clock.advance(10 * 365 * 86400)
    assert await world.tokens.find(token, US)


@pytest.mark.parametrize("ending", ["gone", "another token", "label", "account"])
async def test_it_ends_with_its_secret(world: World, ending: str) -> None:
    token = legacy(world)
    await world.tokens.find(token, US)
    if ending == "gone":
        del world.objects.found[Secret, "ns", "s"]
    elif ending == "another token":
        world.secret.data = {"token": b"x"}
    elif ending == "label":
        world.secret.metadata.labels = {INVALID_SINCE: "2026-01-01"}
    else:
        del world.objects.found[ServiceAccount, "ns", "robot"]
    assert "its " in await world.refused(token)


# -- keys on disk ----------------------------------------------------------------------------------


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = keys.ensure(tmp_path)
    assert (tmp_path / keys.KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert keys.ensure(tmp_path).verify(first.sign(b"{}")) == b"{}"
    (tmp_path / keys.PUBLIC_FILE).unlink()
    keys.ensure(tmp_path)
    assert (tmp_path / keys.PUBLIC_FILE).read_bytes().startswith(b"-----BEGIN PUBLIC KEY")


def test_rotation_of_keys(tmp_path: Path) -> None:
    old = keys.ensure(tmp_path)
    kept = tmp_path / "former.pem"
    (tmp_path / keys.KEY_FILE).rename(kept)
    kept.write_bytes(kept.read_bytes() + keys.public_pem(ec_key().public_key()))
    new = keys.ensure(tmp_path, [kept])
    assert len(new.keys) == 3
    assert new.verify(old.sign(b"{}")) == b"{}"
    with pytest.raises(BadToken):
        old.verify(new.sign(b"{}"))


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----\n"]
)
def test_keys_that_cannot_be_read_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=r"service-account-key-file .*k\.pem"):
        keys.ensure(tmp_path, [path])
    (tmp_path / keys.KEY_FILE).write_bytes(content)
    with pytest.raises(PermanentError, match="cannot be read"):
        keys.ensure(tmp_path)


@cache
def sample(elliptic: bool) -> str:
    keyed = TokenKeys(ec_key() if elliptic else rsa_key())
    return keyed.sign(b'{"iss":"https://kubernetes.default.svc","sub":"x"}')


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    return json.loads(header), json.loads(payload)


# -- what the client and the log are told ----------------------------------------------------------


async def test_the_client_learns_nothing_and_the_log_why_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gate, token = Authenticator([world.tokens], US), await world.token(kind="Pod", name="p")
    assert (await gate.authenticate(None, f"Bearer {token}")).uid == "u-robot"
    del world.objects.found[Pod, "ns", "p"]
    with caplog.at_level("INFO"):
        for _ in range(3):
            with pytest.raises(errors.ApiError) as caught:
                await gate.authenticate(None, f"Bearer {token}")
            assert (caught.value.code, caught.value.message) == (401, "Unauthorized")
    told = [one.getMessage() for one in caplog.records]
    assert told == ["a bearer token was refused: its Pod ns/p is gone"]
    with caplog.at_level("INFO"), pytest.raises(errors.ApiError):
        await gate.authenticate(None, "Bearer rubbish")
    assert caplog.records[-1].getMessage().endswith("nobody has given out this token")


async def test_a_certificate_request_says_who_asked(world: World) -> None:
    found = await world.tokens.find(await world.token(kind="Pod", name="p"), US)
    assert found is not None
    request = CertificateSigningRequest(
        spec=CertificateSigningRequestSpec(request=b"", signer_name="s")
    )
    attributes = Attributes(
        operation=Operation.CREATE,
        resource=resource_of(CertificateSigningRequest),
        namespace="",
        name="r",
        user=found.user,
        object=request,
    )
    await CertificateRequester().admit(attributes)
    assert request.spec.extra["authentication.kubernetes.io/pod-uid"] == ["u-p"]
