"""Thousands of requests, sound and hostile: each gets an answer that makes sense, and the server lives.

Requests are drawn from the server's own OpenAPI documents (`fuzzrequests`), by seeds: a failure names
its request, and the same seed sends it again. `./podwright test --long` sends a hundred thousand.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.crds import SPEC_SCHEMA, define
from tests.integration.apiserver.fuzzbodies import Bodies
from tests.integration.apiserver.fuzzrequests import Operation, Requests, Wire, fault, operations
from tests.thorough import LONG
from tests.unit.resources import examples

COUNT = 100_000 if LONG else 3_000
CLIENTS = 8
PATIENCE = 60.0
"""Seconds for one answer: a version of the future is waited for for three."""
MOST_MEMORY = 600 if LONG else 300
"""Megabytes that the server may have in the end."""
SHOWN = 5

GROUP = "fuzz.example.com"
EXAMPLES = {kind: examples.tree(kind) for kind in examples.SOUND}
EXAMPLES["Widget"] = {
    "metadata": {"name": "a"},
    "spec": {"size": 1, "free": {"x": [1, {"y": None}]}},
}

Document = tuple[dict[str, Any], list[Operation]]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("hostile"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(hostile: Server) -> Server:
    """A server of its own: what is kept here is nothing for other tests."""
    return hostile


async def documents(api: Api) -> list[Document]:
    """Schemas and operations of every group."""
    _, index = await api.get("/openapi/v3")
    found = []
    for entry in index["paths"].values():
        _, document = await api.get(entry["serverRelativeURL"])
        found.append((document["components"]["schemas"], operations(document)))
    assert sum(len(ops) for _, ops in found) > 400
    return found


async def test_every_request_has_an_answer_that_makes_sense(server: Server, api: Api) -> None:
    groups = await prepared(api)
    left = iter(range(COUNT))
    faults: list[str] = []
    codes: Counter[int] = Counter()

    async def client() -> None:
        wire = Wire(server.port, server.context())
        for seed in left:
            if len(faults) >= SHOWN:
                break
            request = drawn(groups, seed)
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await wire.send(request)
            except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError) as error:
                faults.append(f"seed {seed}: {error!r} for {request!r:.3000}")
                wire.close()
                continue
            codes[answer.code] += 1
            if why := fault(request, answer):
                faults.append(
                    f"seed {seed}: {why}: {answer.code} {answer.body[:600]!r} for {request!r:.3000}"
                )
        wire.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert not faults, "\n\n".join([*faults, *tracebacks(server)])
    assert codes[200] + codes[201] > COUNT / 10, codes  # else it was all refused at the door
    assert (await api.get("/readyz"))[0] == 200
    assert resident(server.pid) < MOST_MEMORY, f"{resident(server.pid)} MB"


async def prepared(api: Api) -> list[Document]:
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "fuzz"}})
    await define(api, GROUP)
    return [*await documents(api), custom(await documents(api))]


def custom(found: list[Document]) -> Document:
    """The custom kind, asked for in every way in which Deployments are."""
    schema = {"allOf": [SPEC_SCHEMA], "x-kubernetes-preserve-unknown-fields": True}
    operations = [
        replace(
            one,
            path=one.path.replace("/apps/", f"/{GROUP}/").replace("/deployments", "/widgets"),
            schema=schema if one.gvk.get("kind") == "Deployment" else one.schema,
            gvk={"group": GROUP, "version": "v1", "kind": "Widget"},
        )
        for _, of_group in found
        for one in of_group
        if one.path.startswith("/apis/apps/") and "/deployments" in one.path
    ]
    return {}, operations


def drawn(groups: list[Document], seed: int) -> Any:
    source = random.Random(seed)
    schemas, found = source.choices(groups, weights=[len(ops) for _, ops in groups])[0]
    return Requests(source, found, Bodies(source, schemas, EXAMPLES)).draw()


async def test_what_was_accepted_can_be_written_back(server: Server, api: Api) -> None:
    """No garbage is kept: each object that the requests before left there is a sound one."""
    wrong = []
    for _, found in await documents(api):
        for operation in found:
            if operation.method != "put" or not operation.path.endswith("/{name}"):
                continue
            collection = operation.path.removesuffix("/{name}").replace("{namespace}", "fuzz")
            for body in (await api.ok("GET", collection))["items"]:
                path = f"{collection}/{body['metadata']['name']}?fieldValidation=Strict"
                whole = {**operation.gvk, **body}
                whole.pop("group"), whole.pop("version")
                code, answer = await api.put(path, whole)
                if code != 200:
                    wrong.append(f"{path}: {answer['message']}\n{json.dumps(body)[:1500]}")
    assert not wrong, "\n\n".join(wrong[:SHOWN])


def tracebacks(server: Server) -> list[str]:
    log = server.log()
    return [log[at : at + 3000] for at in _places(log, "Traceback (most")][-SHOWN:]


def _places(text: str, words: str) -> Iterator[int]:
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)


def resident(pid: int) -> float:
    """Megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")
