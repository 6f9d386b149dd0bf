"""What several clients see at once can be explained by one order of events, kills included (S1-S4, W1, W3).

Clients create, read, change and delete a few ConfigMaps over TLS while the control plane is killed
and started again. Each object's history must be linearizable; one watcher, which resumes where it was
after each kill, must be told every change once and in order; each list must be exactly the state that
the watcher knows of its revision.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.integration.apiserver.conftest import Api, Server, config_map
from tests.linearizability import Operation, Result, linearizable, shortest_violation
from tests.thorough import LONG

KILLS = 40 if LONG else 3
CLIENTS = 6
NAMES = ("a", "b", "c", "d")
ACTIONS = ("create", "get", "get", "update", "update", "delete", "list")
BETWEEN_KILLS = 0.8  # seconds of work in each life of the server
MAPS = "/api/v1/namespaces/default/configmaps"

State = dict[str, tuple[int, str]]
"""Name → revision and value."""


@dataclass
class Record:
    """What clients and the watcher were told."""

    operations: dict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    lists: list[tuple[int, State]] = field(default_factory=list)
    events: list[tuple[str, str, int, str]] = field(default_factory=list)  # type, name, rv, value
    writes: int = 0


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("linearizable"))
    made.start()
    yield made
    made.kill()


class Unsent(Exception):
    """The server was not there: nothing can have happened."""


class Client:
    """One client, which does one thing after the other and writes down what it was told.

    On `http.client`, in a thread, because a library that quietly sends a PUT again would make
    histories that have no explanation.
    """

    def __init__(self, number: int, server: Server, record: Record, seed: int) -> None:
        self.number = number
        self.server = server
        self.record = record
        self.random = random.Random(seed)
        self.seen: dict[str, tuple[str, str]] = {}  # name → value, resourceVersion
        self.count = 0
        self.context = server.context()
        self.connection: http.client.HTTPSConnection | None = None

    def work(self, ends: threading.Event) -> None:
        while not ends.is_set():
            name = self.random.choice(NAMES)
            action = self.random.choice(ACTIONS)
            try:
                self.list() if action == "list" else self.act(action, name)
            except (Unsent, http.client.HTTPException, OSError):
                self.connection = None
                ends.wait(0.02)

    def act(self, action: str, name: str) -> None:
        self.count += 1
        value = f"{self.number}-{self.count}"
        expected, version = self.seen.pop(name, ("", ""))
        called = time.monotonic()
        code, answer = 0, {}
        try:
            code, answer = self.send(action, name, value, version)
        except (http.client.HTTPException, OSError):
            if action == "get":
                raise
        result = _result(code, answer)
        if action == "get" and result is Result.OK:
            value = answer["data"]["v"]
        demanded = expected if action in ("update", "delete") else ""
        done = Operation(
            self.number,
            action,
            called,
            time.monotonic(),
            result,
            value,
            demanded,  # type: ignore[arg-type]
        )
        self.record.operations[name].append(done)
        if result is Result.OK:
            self.record.writes += action != "get"
            if action != "delete":
                self.seen[name] = value, answer["metadata"]["resourceVersion"]

    def send(self, action: str, name: str, value: str, version: str) -> tuple[int, Any]:
        body = config_map(name, data={"v": value})
        match action:
            case "create":
                return self.request("POST", MAPS, body)
            case "get":
                return self.request("GET", f"{MAPS}/{name}")
            case "update":
                if version:
                    body["metadata"]["resourceVersion"] = version
                return self.request("PUT", f"{MAPS}/{name}", body)
            case _:
                options = {"preconditions": {"resourceVersion": version}} if version else {}
                return self.request("DELETE", f"{MAPS}/{name}", options)

    def list(self) -> None:
        code, answer = self.request("GET", MAPS)
        assert code == 200, answer
        self.record.lists.append((int(answer["metadata"]["resourceVersion"]), _state(answer)))

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        if self.connection is None:
            made = http.client.HTTPSConnection(
                "127.0.0.1", self.server.port, context=self.context, timeout=10
            )
            try:
                made.connect()
            except OSError as error:
                raise Unsent from error
            self.connection = made
        connection, self.connection = self.connection, None  # kept only when all went well
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
        self.connection = connection
        return answer.status, found


def _state(listed: Any) -> State:
    return {
        item["metadata"]["name"]: (int(item["metadata"]["resourceVersion"]), item["data"]["v"])
        for item in listed["items"]
        if item["metadata"]["name"] in NAMES
    }


def _result(code: int, answer: Any) -> Result:
    if code in (200, 201):
        return Result.OK
    if code == 404:
        return Result.MISSING
    if code == 409:
        return Result.EXISTS if answer["reason"] == "AlreadyExists" else Result.CONFLICT
    assert code in (0, 500, 503, 504), answer
    return Result.UNKNOWN


async def watch(api: Api, record: Record, revision: int) -> None:
    """Follow every change, resuming after the last one that was told."""
    while True:
        query = f"?watch=1&resourceVersion={revision}"
        try:
            async for event in _lines(api, MAPS + query):
                assert event["type"] != "ERROR", event
                metadata = event["object"]["metadata"]
                revision = int(metadata["resourceVersion"])
                value = event["object"].get("data", {}).get("v", "")
                record.events.append((event["type"], metadata["name"], revision, value))
        except (aiohttp.ClientError, ConnectionError):
            await asyncio.sleep(0.02)  # the server is away


async def _lines(api: Api, path: str) -> AsyncIterator[Any]:
    async with api.session.get(api.url + path) as answer:
        async for line in answer.content:
            yield json.loads(line)


async def test_every_history_has_an_explanation(own_server: Server) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # pytest shows it when the test fails
    record, ends = Record(), threading.Event()
    connector = aiohttp.TCPConnector(ssl=own_server.context(), limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        api = Api(session, own_server.url)
        start = await api.ok("GET", MAPS)
        watcher = asyncio.create_task(watch(api, record, int(start["metadata"]["resourceVersion"])))
        clients = [Client(at, own_server, record, seed + at) for at in range(CLIENTS)]
        # A pool of their own: the default one has too few threads for them and for kills.
        pool, loop = ThreadPoolExecutor(CLIENTS), asyncio.get_running_loop()
        tasks = [loop.run_in_executor(pool, one.work, ends) for one in clients]
        try:
            await _live_and_die(own_server, random.Random(seed))
        finally:
            ends.set()
            await asyncio.gather(*tasks)
        last = await api.ok("POST", MAPS, config_map("last"))
        await _told(record, int(last["metadata"]["resourceVersion"]), watcher)
        watcher.cancel()
    assert record.writes > KILLS * 5, "too little happened to prove anything"
    check(record)


async def _live_and_die(server: Server, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(BETWEEN_KILLS * (0.5 + chance.random()))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    await asyncio.sleep(BETWEEN_KILLS)


async def _told(record: Record, revision: int, watcher: asyncio.Task[None]) -> None:
    async with asyncio.timeout(60):
        while not record.events or record.events[-1][2] < revision:
            assert not watcher.done(), watcher.result()
            await asyncio.sleep(0.02)


def check(record: Record) -> None:
    revisions = [event[2] for event in record.events]
    assert revisions == sorted(set(revisions)), "an event came twice, or out of order"
    states = replay(record)
    for revision, seen in record.lists:
        known = max((at for at in states if at <= revision), default=0)
        assert seen == states.get(known, {}), f"a list at {revision} that never was"
    for name, operations in record.operations.items():
        assert linearizable(operations), _report(name, operations)


def replay(record: Record) -> dict[int, State]:
    """The state after each event; each event must fit the state before it."""
    state: State = {}
    states: dict[int, State] = {0: {}}
    for type_, name, revision, value in record.events:
        if name not in NAMES:
            continue
        assert (name in state) == (type_ != "ADDED"), f"{type_} {name} at {revision}"
        state = {key: held for key, held in state.items() if key != name}
        if type_ != "DELETED":
            state[name] = revision, value
        states[revision] = state
    return states


def _report(name: str, operations: list[Operation]) -> str:
    lines = [str(operation) for operation in shortest_violation(operations)[-12:]]
    return "\n".join([f"no order explains what happened to {name}; the last steps were:", *lines])
