"""Flow schemas and priority levels: what they choose, levels that change while requests wait, the status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from api.codec import decode, yaml
from api.flowcontrol import FlowSchema, PriorityLevelConfiguration
from api.scheme import resource_of
from base.clock import FakeClock
from base.tasks import TaskGuard
from control import initial
from control.apiserver.fairness import defaults
from control.apiserver.fairness.book import Book, missing_level
from control.apiserver.fairness.following import DANGLING, Following, told
from control.apiserver.fairness.gate import Gate
from control.apiserver.fairness.levels import LevelSpec
from control.apiserver.fairness.queues import Entry, Scheduler
from control.apiserver.local import LocalClient
from control.apiserver.registry.registry import CacheReader, Registry
from control.auth.user import User
from control.resources import strategy_of
from control.settings import ControlSettings

JANE = User("jane", ("devs", "system:authenticated"))
ROBOT = User("system:serviceaccount:shop:robot", ("system:serviceaccounts", "system:authenticated"))


def schema(
    name: str, rules: str, *, precedence: int = 50, level: str = "mine", by: str = ""
) -> FlowSchema:
    method = f"distinguisherMethod: {{type: {by}}}" if by else ""
    tree = yaml.load(
        f"""
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {{name: {name}}}
spec:
  priorityLevelConfiguration: {{name: {level}}}
  matchingPrecedence: {precedence}
  {method}
  rules: [{rules}]
""".encode()
    )
    return decode.convert(tree, FlowSchema).obj


def level(
    name: str = "mine", *, limited: str = "limitResponse: {type: Reject}", type_: str = "Limited"
) -> PriorityLevelConfiguration:
    spec = f"{{type: {type_}, limited: {{{limited}}}}}" if type_ == "Limited" else "{type: Exempt}"
    tree = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name},
        "spec": yaml.load(spec.encode()),
    }
    made = decode.convert(tree, PriorityLevelConfiguration).obj
    strategy_of(resource_of(PriorityLevelConfiguration)).default(made)
    return made


USER = "{kind: User, user: {name: jane}}"
GROUP = "{kind: Group, group: {name: devs}}"
EVERYBODY = "{kind: Group, group: {name: '*'}}"
ACCOUNT = "{kind: ServiceAccount, serviceAccount: {namespace: shop, name: robot}}"
ACCOUNTS = "{kind: ServiceAccount, serviceAccount: {namespace: shop, name: '*'}}"
ELSEWHERE = "{kind: ServiceAccount, serviceAccount: {namespace: sh, name: '*'}}"
PODS = "{verbs: [list], apiGroups: [''], resources: [pods], namespaces: [shop]}"
NODES = "{verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: []}"
STATUS = "{verbs: ['*'], apiGroups: [''], resources: [pods/status], namespaces: ['*']}"
PATHS = "{verbs: [get], nonResourceURLs: [/version, '/logs/*']}"


def rule(subject: str, resources: str = "", paths: str = "") -> str:
    return f"{{subjects: [{subject}], resourceRules: [{resources}], nonResourceRules: [{paths}]}}"


POD_LIST = {"verb": "list", "resource": "pods", "namespace": "shop"}


@pytest.mark.parametrize(
    ("rules", "user", "asked", "yes"),
    [
        (rule(USER, PODS), JANE, POD_LIST, True),
        (rule(GROUP, PODS), JANE, POD_LIST, True),
        (rule(EVERYBODY, PODS), ROBOT, POD_LIST, True),
        (rule(ACCOUNT, PODS), ROBOT, POD_LIST, True),
        (rule(ACCOUNTS, PODS), ROBOT, POD_LIST, True),
        (rule(ELSEWHERE, PODS), ROBOT, POD_LIST, False),
        (rule(USER, PODS), ROBOT, POD_LIST, False),
        (rule(USER, PODS), JANE, {**POD_LIST, "verb": "get"}, False),
        (rule(USER, PODS), JANE, {**POD_LIST, "namespace": "other"}, False),
        (rule(USER, PODS), JANE, {**POD_LIST, "namespace": ""}, False),
        (rule(USER, PODS), JANE, {**POD_LIST, "group": "apps"}, False),
        (rule(USER, PODS), JANE, {**POD_LIST, "resource": "pods/status"}, False),
        (rule(USER, STATUS), JANE, {**POD_LIST, "resource": "pods/status"}, True),
        (rule(USER, NODES), JANE, {"verb": "get", "resource": "nodes"}, True),
        (rule(USER, NODES), JANE, POD_LIST, False),
        (rule(USER, PODS, PATHS), JANE, {"verb": "get", "path": "/version"}, True),
        (rule(USER, PODS, PATHS), JANE, {"verb": "get", "path": "/logs/a/b"}, True),
        (rule(USER, PODS, PATHS), JANE, {"verb": "get", "path": "/versions"}, False),
        (rule(USER, PODS, PATHS), JANE, {"verb": "post", "path": "/version"}, False),
        (rule(GROUP, NODES) + ", " + rule(USER, PODS), JANE, POD_LIST, True),
        ("", JANE, POD_LIST, False),
    ],
)  # fmt: skip
def test_what_a_schema_chooses(rules: str, user: User, asked: dict[str, str], yes: bool) -> None:
    book = Book([schema("s", rules)], [level()])
    assert book.flow(user, **asked).schema == ("s" if yes else "catch-all")


def test_the_first_by_precedence_then_by_name_decides() -> None:
    rules = rule(EVERYBODY, PODS)
    found = [schema("b", rules), schema("a", rules), schema("z", rules, precedence=9)]
    assert Book(found, [level()]).flow(JANE, **POD_LIST).schema == "z"
    assert Book(found[:2], [level()]).flow(JANE, **POD_LIST).schema == "a"


def test_a_schema_without_its_level_does_not_count() -> None:
    lost = schema("lost", rule(EVERYBODY, PODS), level="gone", precedence=1)
    book = Book([lost, schema("s", rule(EVERYBODY, PODS))], [level()])
    assert book.flow(JANE, **POD_LIST).schema == "s"
    assert missing_level(lost, [level()])
    assert not missing_level(lost, [level("gone")])


@pytest.mark.parametrize(
    ("by", "one", "other", "same"),
    [
        ("ByUser", (JANE, "a"), (JANE, "b"), True),
        ("ByUser", (JANE, "a"), (ROBOT, "a"), False),
        ("ByNamespace", (JANE, "a"), (ROBOT, "a"), True),
        ("ByNamespace", (JANE, "a"), (JANE, "b"), False),
        ("", (JANE, "a"), (ROBOT, "b"), True),
    ],
)
def test_flows_are_told_apart(
    by: str, one: tuple[User, str], other: tuple[User, str], same: bool
) -> None:
    everything = "{verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*']}"
    book = Book([schema("s", rule(EVERYBODY, everything), by=by)], [level()])
    flows = [
        book.flow(user, verb="get", resource="pods", namespace=namespace)
        for user, namespace in (one, other)
    ]
    assert (flows[0] == flows[1]) is same


def test_levels_of_objects() -> None:
    queued = level(
        "q",
        limited="nominalConcurrencyShares: 7, borrowingLimitPercent: 10, lendablePercent: 20, "
        "limitResponse: {type: Queue, queuing: {queues: 8, handSize: 2, queueLengthLimit: 3}}",
    )
    book = Book([], [queued, level("r"), level("exempt", type_="Exempt")])
    specs = {spec.name: spec for spec in book.levels}
    assert specs["q"] == LevelSpec("q", 7, 8, 2, 3, 20, 10)
    assert specs["r"].queues == 0
    assert specs.keys() == {"q", "r", "catch-all"}  # which is always there


def test_the_first_objects_are_sound_and_complete() -> None:
    for one in (*defaults.SCHEMAS, *defaults.LEVELS):
        rules = strategy_of(resource_of(type(one)))
        copy = decode.convert(decode.to_tree(one), type(one)).obj
        rules.default(copy)
        assert copy.spec == one.spec  # nothing would be filled in
        assert not rules.validate(copy)
    assert not [one for one in defaults.SCHEMAS if missing_level(one, defaults.LEVELS)]


# Levels that change.

Q = {"queues": 4, "hand": 1, "length": 5}


def test_a_level_that_rejects_has_no_queue() -> None:
    scheduler = Scheduler([LevelSpec("one", 1, queues=0)], 1)
    first = scheduler.arrive("one", "a", 1, None)
    assert first is not None and first.running
    assert scheduler.arrive("one", "a", 1, None) is None


def test_what_is_not_lent_stays_free() -> None:
    specs = [LevelSpec("mean", 1, **Q, lendable=0), LevelSpec("greedy", 1, **Q)]
    scheduler = Scheduler(specs, 8)
    taken = [scheduler.arrive("greedy", "g", 1, None) for _ in range(5)]
    assert [bool(one and one.running) for one in taken] == [True] * 4 + [False]
    own = [scheduler.arrive("mean", "m", 1, None) for _ in range(4)]
    assert all(one and one.running for one in own)


def test_a_limit_of_borrowing() -> None:
    specs = [LevelSpec("one", 1, **Q, borrowing=50), LevelSpec("two", 1, **Q)]
    scheduler = Scheduler(specs, 8)
    taken = [scheduler.arrive("one", "a", 1, None) for _ in range(7)]
    assert [bool(one and one.running) for one in taken] == [True] * 6 + [False]


def test_more_seats_let_those_in_who_wait() -> None:
    scheduler = Scheduler([LevelSpec("one", 1, **Q, borrowing=0), LevelSpec("two", 7, **Q)], 8)
    first = scheduler.arrive("one", "a", 1, None)
    waiting = [scheduler.arrive("one", "a", 1, None) for _ in range(2)]
    assert first is not None and first.running
    started = scheduler.configure([LevelSpec("one", 1, **Q), LevelSpec("two", 1, **Q)])
    assert started == waiting


def test_a_level_that_is_gone_serves_those_who_are_there() -> None:
    scheduler = Scheduler([LevelSpec("one", 1, **Q), LevelSpec("two", 1, **Q)], 2)
    running = [scheduler.arrive("one", "a", 1, None) for _ in range(2)]
    late = scheduler.arrive("one", "a", 1, None)
    scheduler.configure([LevelSpec("two", 1, **Q)])
    assert running[0] is not None and running[1] is not None and late is not None
    assert scheduler.finish(running[0]) == [late] or scheduler.finish(running[1]) == [late]
    assert late.running
    for one in (running[0], running[1], late):
        if one.running:
            scheduler.finish(one)
    scheduler.configure([LevelSpec("two", 1, **Q)])
    assert scheduler.levels.keys() == {"two"}


def test_who_waits_for_more_than_the_level_has_left_is_served() -> None:
    one, two = LevelSpec("one", 0, **Q), LevelSpec("two", 1, **Q, borrowing=0)
    scheduler = Scheduler([one, two], 6)
    first = scheduler.arrive("two", "a", 5, None)
    wide = scheduler.arrive("two", "b", 4, None)
    assert first is not None and first.running and wide is not None and not wide.running
    scheduler.configure([LevelSpec("one", 5, **Q), LevelSpec("two", 0, **Q, borrowing=0)])
    assert scheduler.finish(first) == [wide] and wide.seats == 1
    scheduler.finish(wide)
    assert scheduler.in_use == 0


_SPECS = st.lists(
    st.builds(
        LevelSpec,
        st.sampled_from(["one", "two", "three"]),
        st.integers(0, 5),
        queues=st.integers(0, 5),
        hand=st.just(1),
        length=st.integers(1, 4),
        lendable=st.integers(0, 100),
        borrowing=st.none() | st.integers(0, 200),
    ),
    unique_by=lambda spec: spec.name,
    min_size=1,
)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 4)), max_size=60),
    st.data(),
)
def test_whatever_changes_everybody_is_served(
    steps: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    specs = data.draw(_SPECS)
    scheduler = Scheduler(specs, 6)
    running: list[Entry] = []
    waiting: list[Entry] = []
    for action, which, seats in steps:
        started: list[Entry] = []
        if action < 2:
            spec = specs[which % len(specs)]
            entry = scheduler.arrive(spec.name, str(seats), seats, None)
            if entry is not None:
                (running if entry.running else waiting).append(entry)
        elif action == 2 and running:
            started = scheduler.finish(running.pop(0))
        elif action == 3 and waiting:
            started = scheduler.leave(waiting.pop())
        elif action == 4:
            specs = data.draw(_SPECS)
            started = scheduler.configure(specs)
        for entry in started:
            waiting.remove(entry)
            running.append(entry)
        assert scheduler.in_use == sum(entry.seats for entry in running)
    while running:
        for entry in scheduler.finish(running.pop()):
            waiting.remove(entry)
            running.append(entry)
    assert not waiting
    assert scheduler.in_use == 0


# Following the objects.


def test_the_status_is_written_when_it_would_change() -> None:
    one = schema("s", rule(EVERYBODY, PODS))
    first = told(one, True, "2026-01-01T00:00:00Z")
    assert first is not None
    (condition,) = first.conditions
    assert (condition.type, condition.status) == (DANGLING, "True")
    one.status = first
    assert told(one, True, "2026-02-01T00:00:00Z") is None
    second = told(one, False, "2026-02-01T00:00:00Z")
    assert second is not None
    assert second.conditions[0].status == "False"
    assert second.conditions[0].last_transition_time == "2026-02-01T00:00:00Z"


@pytest_asyncio.fixture
async def gate(registry: Registry, client: LocalClient, clock: FakeClock) -> AsyncIterator[Gate]:
    made = Gate(clock)
    kinds = [registry.kind_of(type_) for type_ in (FlowSchema, PriorityLevelConfiguration)]
    caches = [kind.cache for kind in kinds]
    following = Following(made, CacheReader(registry), client, caches, clock)
    async with TaskGuard("following") as guard:
        following.start(guard)
        yield made


async def until(true: object) -> None:
    async with asyncio.timeout(60):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_the_gate_follows_the_objects(
    gate: Gate, client: LocalClient, settings: ControlSettings
) -> None:
    assert gate.book.flow(JANE, **POD_LIST).level == "global-default"
    await initial.ensure(client, settings, "192.0.2.7")
    await client.create(schema("mine", rule(USER, PODS)))
    found = await client.get(FlowSchema, "mine")
    await client.create(level())
    await until(lambda: gate.book.flow(JANE, **POD_LIST).level == "mine")
    assert gate.book.flow(ROBOT, **POD_LIST).level == "workload-low"
    await client.delete(PriorityLevelConfiguration, "mine")
    await until(lambda: gate.book.flow(JANE, **POD_LIST).level == "global-default")

    async def dangling() -> bool:
        found = await client.get(FlowSchema, "mine")
        return any(one.status == "True" for one in found.status.conditions)

    async with asyncio.timeout(60):
        while not await dangling():
            await asyncio.sleep(0.005)
    assert found.spec.matching_precedence == 50


async def test_what_says_so_follows_the_server(
    client: LocalClient, settings: ControlSettings
) -> None:
    await initial.ensure(client, settings, "192.0.2.7")
    for name, follows in (("system", True), ("node-high", False)):
        one = await client.get(PriorityLevelConfiguration, name)
        assert one.spec.limited is not None
        one.spec.limited.nominal_concurrency_shares = 99
        if not follows:
            one.metadata.annotations = {defaults.AUTO_UPDATE: "false"}
        await client.update(one)
    await initial.ensure(client, settings, "192.0.2.7")
    shares = {}
    for name in ("system", "node-high"):
        one = await client.get(PriorityLevelConfiguration, name)
        assert one.spec.limited is not None
        shares[name] = one.spec.limited.nominal_concurrency_shares
    assert shares == {"system": 30, "node-high": 99}
