"""Who is let in to the agent's web server, and to which part of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.server.gate import MOST, Gate, subresources
from api.authentication import TokenReview, UserInfo
from api.authorization import SubjectAccessReview
from api.errors import ApiError
from base.clock import FakeClock
from base.errors import TemporaryError

SCRAPER = UserInfo(
    username="system:serviceaccount:monitoring:prometheus",
    uid="u1",
    groups=["system:serviceaccounts", "system:authenticated"],
)


class Api:
    """The API server: knows one token, and what its owner may."""

    def __init__(self, *may: str) -> None:
        self.may = set(may)
        self.away = False
        self.asked: list[Any] = []

    async def create(self, obj: Any) -> Any:
        if self.away:
            raise TemporaryError("connection refused")
        self.asked.append(obj)
        if isinstance(obj, TokenReview):
            if obj.spec.token == "good":
                obj.status.authenticated, obj.status.user = True, SCRAPER
            return obj
        assert isinstance(obj, SubjectAccessReview)
        attributes = obj.spec.resource_attributes
        assert attributes is not None
        assert (attributes.resource, attributes.name) == ("nodes", "n1")
        assert obj.spec.user != SCRAPER.username or obj.spec.groups == sorted(SCRAPER.groups)
        obj.status.allowed = f"{attributes.verb} {attributes.subresource}" in self.may
        return obj


def certificate(name: str, *groups: str) -> dict[str, Any]:
    parts = [(("organizationName", group),) for group in groups]
    return {"subject": (*parts, (("commonName", name),))}


async def refusal(gate: Gate, path: str, *, token: str = "good", method: str = "GET") -> ApiError:
    with pytest.raises(ApiError) as caught:
        await gate.admit(None, {"Authorization": f"Bearer {token}"}, method, path)
    return caught.value


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/metrics", ("metrics",)),
        ("/metrics/cadvisor", ("metrics",)),
        ("/stats/summary", ("stats",)),
        ("/logs/", ("log",)),
        ("/logs/syslog", ("log",)),
        ("/checkpoint/ns/pod/app", ("checkpoint",)),
        ("/pods", ("pods", "proxy")),
        ("/runningpods/", ("pods", "proxy")),
        ("/healthz/ping", ("healthz", "proxy")),
        ("/configz", ("configz", "proxy")),
        ("/exec/ns/pod/app", ("proxy",)),
        ("/containerLogs/ns/pod/app", ("proxy",)),
        ("/deaths/ns/pod", ("proxy",)),
        ("/metricsx", ("proxy",)),
        ("/", ("proxy",)),
    ],
)
def test_what_opens_a_path(path: str, parts: tuple[str, ...]) -> None:
    assert subresources(path) == parts


async def test_the_api_server_and_administrators_need_no_question() -> None:
    api = Api()
    gate = Gate("n1", api, FakeClock())
    await gate.admit(certificate("kube-apiserver-kubelet-client"), {}, "GET", "/pods")
    await gate.admit(certificate("me", "system:masters"), {}, "POST", "/exec/a/b/c")
    assert api.asked == []


async def test_a_collector_of_metrics_comes_in_with_its_token() -> None:
    api = Api("get metrics")
    gate = Gate("n1", api, FakeClock())
    await gate.admit(None, {"Authorization": "Bearer good"}, "GET", "/metrics/resource")
    refused = await refusal(gate, "/pods")
    assert (refused.code, refused.message) == (
        403,
        f"Forbidden (user={SCRAPER.username}, verb=get, resource=nodes, "
        "subresource(s)=[pods proxy])",
    )
    assert (await refusal(gate, "/metrics", method="POST")).code == 403
    assert "verb=create" in (await refusal(gate, "/exec/ns/pod/app", method="POST")).message


async def test_the_whole_is_as_good_as_its_part() -> None:
    gate = Gate("n1", Api("get proxy"), FakeClock())
    for path in ("/pods", "/configz", "/healthz", "/containerLogs/a/b/c"):
        await gate.admit(None, {"Authorization": "Bearer good"}, "GET", path)
    assert (await refusal(gate, "/metrics")).code == 403


async def test_somebody_elses_certificate() -> None:
    gate = Gate("n1", Api("get stats"), FakeClock())
    await gate.admit(certificate("someone", "developers"), {}, "GET", "/stats/summary")
    with pytest.raises(ApiError) as caught:
        await gate.admit(certificate("someone"), {"Authorization": "Bearer x"}, "GET", "/pods")
    assert "user=someone," in caught.value.message


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "Basic good", "good"])
async def test_nobody(header: str) -> None:
    gate = Gate("n1", Api("get metrics"), FakeClock())
    for headers in ({"Authorization": header}, {}):
        with pytest.raises(ApiError) as caught:
            await gate.admit(None, headers, "GET", "/metrics")
        assert (caught.value.code, caught.value.message) == (401, "Unauthorized")


async def test_answers_are_kept_for_a_while() -> None:
    api, clock = Api("get metrics"), FakeClock()
    gate = Gate("n1", api, clock)

    async def ask() -> None:
        await gate.admit(None, {"Authorization": "Bearer good"}, "GET", "/metrics")

    await ask()
    await ask()
    assert len(api.asked) == 2, "once whose the token is, once what they may"
    api.away = True
    await clock.run_for(100)
    await ask()
    await clock.run_for(100)
    assert (await refusal(gate, "/metrics")).code == 401, "whose the token is must be asked again"
    api.away = False
    api.may.clear()
    await clock.run_for(200)
    assert (await refusal(gate, "/metrics")).code == 403
    api.may.add("get metrics")
    assert (await refusal(gate, "/metrics")).code == 403
    await clock.run_for(31)
    await ask()


async def test_an_api_server_that_is_away_lets_nobody_in() -> None:
    api = Api("get metrics")
    gate = Gate("n1", api, FakeClock())
    api.away = True
    assert (await refusal(gate, "/metrics")).code == 401
    with pytest.raises(ApiError) as caught:
        await gate.admit(certificate("someone"), {}, "GET", "/metrics")
    assert (caught.value.code, caught.value.message) == (
        500,
        "Internal error occurred: Authorization error (user=someone, verb=get, resource=nodes, "
        "subresource=metrics)",
    )


async def test_a_flood_of_tokens_takes_no_memory() -> None:
    gate = Gate("n1", Api(), FakeClock())
    for number in range(MOST + 10):
        assert (await refusal(gate, "/metrics", token=str(number))).code == 401
    assert gate.statistics() == {"reviews": MOST + 10, "tokens_kept": MOST, "decisions_kept": 0}
