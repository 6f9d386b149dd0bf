"""Flow schemas and priority levels that people write, against a real server and kubectl."""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp

from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server, config_map
from tests.integration.apiserver.crds import eventually

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
GUARD = """
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: robots}
spec:
  type: Limited
  limited:
    nominalConcurrencyShares: 1
    borrowingLimitPercent: 0
    limitResponse: {type: Reject}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: robots}
spec:
  priorityLevelConfiguration: {name: robots}
  matchingPrecedence: 2
  distinguisherMethod: {type: ByUser}
  rules:
  - subjects: [{kind: User, user: {name: robot}}]
    resourceRules:
    - {verbs: [list], apiGroups: [''], resources: [configmaps], namespaces: ['*']}
"""


async def kubectl(server: Server, *arguments: str, input: str | None = None) -> str:
    return (await asyncio.to_thread(server.kubectl, *arguments, input=input)).stdout


def robot(server: Server) -> aiohttp.ClientSession:
    pair = pki.issue(
        server.ca,
        common_name="robot",
        organizations=["system:masters"],
        client=True,
        clock=SystemClock(),
    )
    connector = aiohttp.TCPConnector(ssl=server.context(pair), limit=0)
    return aiohttp.ClientSession(connector=connector)


async def test_a_cluster_begins_with_kubernetes_own(server: Server) -> None:
    lines = (await kubectl(server, "get", "flowschemas")).splitlines()
    assert lines[0].split() == [
        "NAME", "PRIORITYLEVEL", "MATCHINGPRECEDENCE", "DISTINGUISHERMETHOD", "AGE", "MISSINGPL",
    ]  # fmt: skip
    rows = {row.split()[0]: row.split()[1:] for row in lines[1:]}
    assert rows["probes"][:3] == ["exempt", "2", "<none>"]
    assert rows["catch-all"][:3] == ["catch-all", "10000", "ByUser"]
    assert {row[-1] for row in rows.values()} == {"False"}
    levels = await kubectl(server, "get", "prioritylevelconfigurations", "-o", "name")
    assert "prioritylevelconfiguration.flowcontrol.apiserver.k8s.io/workload-low" in levels


async def test_who_is_guarded_is_turned_away_and_nobody_else(
    server: Server, api: Api, maps: str
) -> None:
    for number in range(120):  # a list of these takes two seats
        await api.ok("POST", maps, config_map(f"c-{number}", data={"x": "y" * 1000}))
    await kubectl(server, "apply", "-f", "-", input=GUARD)
    try:

        async def sorted_anew() -> bool:
            async with robot(server) as client, client.get(server.url + maps):
                pass
            _, metrics = await api.get("/metrics")
            return 'dispatched_requests_total{flow_schema="robots",priority_level="robots"}' in (
                metrics
            )

        await eventually(sorted_anew)
        answers: Counter[int] = Counter()
        async with robot(server) as client:

            async def list_() -> None:
                async with client.get(server.url + maps) as answer:
                    answers[answer.status] += 1
                    await answer.read()

            async def both() -> bool:
                await asyncio.gather(*(list_() for _ in range(50)))
                return answers[200] >= 1 and answers[429] >= 1

            await eventually(both)
            async with client.get(f"{server.url}{maps}/c-1") as answer:
                assert answer.status == 200  # a get is none of the schema's
                others = answer.headers["X-Kubernetes-PF-FlowSchema-UID"]
            async with client.get(server.url + maps) as answer:
                sorted_by = [
                    answer.headers[f"X-Kubernetes-PF-{kind}-UID"]
                    for kind in ("FlowSchema", "PriorityLevel")
                ]
        group = "/apis/flowcontrol.apiserver.k8s.io/v1"
        uids = [
            (await api.ok("GET", f"{group}/{kind}/robots"))["metadata"]["uid"]
            for kind in ("flowschemas", "prioritylevelconfigurations")
        ]
        assert sorted_by == uids and others != uids[0]
        assert (await api.get(maps))[0] == 200
    finally:
        await kubectl(server, "delete", "-f", "-", input=GUARD)


async def test_a_level_that_is_missing_is_told(api: Api) -> None:
    body = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "lost"},
        "spec": {"priorityLevelConfiguration": {"name": "nowhere"}, "matchingPrecedence": 5},
    }
    await api.ok("POST", f"{GROUP}/flowschemas", body)

    async def dangling() -> bool:
        found = await api.ok("GET", f"{GROUP}/flowschemas/lost")
        conditions = found["status"].get("conditions", ())
        return any((one["type"], one["status"]) == ("Dangling", "True") for one in conditions)

    await eventually(dangling)
    await api.ok("DELETE", f"{GROUP}/flowschemas/lost")
