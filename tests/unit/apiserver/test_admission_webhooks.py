"""Webhooks in the pipeline: who is asked in which order, what becomes of objects, what when they fail."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio

from api import errors
from api.apps import Deployment
from api.codec import decode
from api.core import ConfigMap, Namespace, Pod
from api.errors import ApiError
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.errors import TemporaryError
from base.tasks import TaskGuard
from control.apiserver.build import make_registry
from control.apiserver.local import LocalClient
from control.apiserver.registry import creating, subresources
from control.apiserver.registry.call import Call
from control.apiserver.registry.registry import Registry
from control.auth.user import User, in_process
from control.settings import ControlSettings
from control.store.memory import MemoryStore
from tests.unit.resources.examples import make

Answer = Callable[[dict[str, Any]], dict[str, Any] | bytes | Exception]


def allow(request: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def deny(why: str) -> Answer:
    return lambda request: {"allowed": False, "status": {"message": why, "code": 403}}


def patching(*steps: dict[str, Any]) -> Answer:
    patch = base64.b64encode(json.dumps(steps).encode()).decode()
    return lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def labelling(name: str) -> Answer:
    """Adds a label that says how many times the webhook has come by."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        labels = request["object"]["metadata"].get("labels", {})
        count = str(int(labels.get(name, "0")) + 1)
        step = {"op": "add", "path": "/metadata/labels", "value": {**labels, name: count}}
        return patching(step)(request)  # type: ignore[return-value]

    return answer


class Fake:
    """Webhooks by host name; what they were asked, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.queries: list[Mapping[str, str] | None] = []

    async def post(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        timeout: float,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        review = json.loads(body)
        host = str(config["url"]).removeprefix("https://")
        self.asked.append((host, review["request"]))
        self.queries.append(query)
        answer = self.answers.get(host, allow)(review["request"])
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return answer
        return json.dumps(
            {
                "apiVersion": review["apiVersion"],
                "kind": review["kind"],
                "response": {"uid": review["request"]["uid"], **answer},
            }
        ).encode()

    @property
    def order(self) -> list[str]:
        return [host for host, _ in self.asked]

    @property
    def last(self) -> dict[str, Any]:
        return self.asked[-1][1]


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest_asyncio.fixture
async def registry(
    settings: ControlSettings, clock: FakeClock, fake: Fake
) -> AsyncIterator[Registry]:
    store = MemoryStore()
    made = make_registry(
        settings=settings, store=store, clock=clock, source=random.Random(7), caller=fake
    )
    async with TaskGuard("test") as guard:
        for kind in made.kinds:
            guard.start(kind.cache.run(), name=kind.resource.plural)
        for kind in made.kinds:
            await kind.cache.synced()
        yield made
    await store.close()


def webhook(host: str, **more: Any) -> dict[str, Any]:
    return {
        "name": f"{host}.hooks.example.com",
        "clientConfig": {"url": f"https://{host}"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [
            {
                "operations": ["*"],
                "apiGroups": ["*"],
                "apiVersions": ["*"],
                "resources": ["configmaps", "namespaces", "pods/*", "deployments/*"],
            }
        ],
        **more,
    }


class Setting:
    """The API in process, and what configures webhooks."""

    def __init__(self, registry: Registry, client: LocalClient) -> None:
        self.registry = registry
        self.client = client

    async def configure(self, kind: str, *webhooks: dict[str, Any], name: str = "c") -> None:
        config = make(f"{kind}WebhookConfiguration")
        tree = decode.to_tree(config)
        tree.update(metadata={"name": name}, webhooks=list(webhooks))
        await self.client.create(decode.convert(tree, type(config)).obj)
        await self.registry.fresh(self.registry.kind_of(type(config)))

    async def create(self, name: str = "m", **more: Any) -> ConfigMap:
        metadata = ObjectMeta(name=name, namespace="ns", labels=more.pop("labels", {}))
        return await self.client.create(ConfigMap(metadata=metadata, **more))


@pytest_asyncio.fixture
async def api(registry: Registry, client: LocalClient) -> Setting:
    await registry.fresh(registry.kind_of(Namespace))
    return Setting(registry, client)


async def test_nobody_is_asked_where_nothing_is_configured(api: Setting, fake: Fake) -> None:
    await api.create()
    assert not fake.asked


async def test_mutating_webhooks_come_by_configuration_then_by_place(
    api: Setting, fake: Fake
) -> None:
    await api.configure("Mutating", webhook("c"), webhook("a"), name="second")
    await api.configure("Mutating", webhook("b"), name="first")
    await api.configure("Validating", webhook("v"), name="any")
    fake.answers = {"b": labelling("b"), "c": labelling("c"), "a": labelling("a")}
    made = await api.create()
    assert fake.order == ["b", "c", "a", "v"]
    assert made.metadata.labels == {"a": "1", "b": "1", "c": "1"}
    seen = {host: asked["object"]["metadata"].get("labels") for host, asked in fake.asked}
    assert seen["b"] is None  # each sees what those before it have made
    assert seen["c"] == {"b": "1"}
    assert seen["v"] == made.metadata.labels
    assert fake.queries[0] == {"timeout": "10s"}


async def test_a_second_round_for_those_that_ask_for_it(api: Setting, fake: Fake) -> None:
    again = {"reinvocationPolicy": "IfNeeded"}
    await api.configure("Mutating", webhook("a", **again), webhook("b"), webhook("c", **again))
    fake.answers = {"a": labelling("a"), "b": labelling("b"), "c": labelling("c")}
    made = await api.create()
    # a has missed what b and c did, and c what a did then; b has not asked for it.
    assert fake.order == ["a", "b", "c", "a", "c"]
    assert made.metadata.labels == {"a": "2", "b": "1", "c": "2"}


async def test_no_second_round_without_changes(api: Setting, fake: Fake) -> None:
    again = {"reinvocationPolicy": "IfNeeded"}
    await api.configure("Mutating", webhook("a", **again), webhook("b", **again))
    same = {"op": "add", "path": "/data", "value": {"k": "v"}}
    fake.answers = {"b": patching(same)}
    await api.create(data={"k": "v"})
    assert fake.order == ["a", "b"]


async def test_webhooks_that_chase_each_other_come_to_an_end(api: Setting, fake: Fake) -> None:
    again = {"reinvocationPolicy": "IfNeeded"}
    await api.configure("Mutating", *(webhook(host, **again) for host in "abc"))
    fake.answers = {host: labelling(host) for host in "abc"}
    await api.create()
    assert len(fake.asked) <= 6


async def test_what_a_webhook_leaves_is_defaulted_and_checked(api: Setting, fake: Fake) -> None:
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"]}
    await api.configure("Mutating", webhook("a", rules=[{**rule, "resources": ["pods"]}]))
    container = {"name": "extra", "image": "busybox"}
    fake.answers = {"a": patching({"op": "add", "path": "/spec/containers/-", "value": container})}
    pod = make("Pod")
    pod.metadata.namespace = "ns"
    made = await api.client.create(pod)
    assert made.spec.containers[-1].image_pull_policy == "Always"
    fake.answers = {
        "a": patching({"op": "replace", "path": "/spec/containers/0/name", "value": "No!"})
    }
    pod.metadata.name = "other"
    with pytest.raises(ApiError, match=r"spec.containers\[0\].name: Invalid value"):
        await api.client.create(pod)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/metadata/uid", "mine"),
        ("/metadata/creationTimestamp", "2020-01-01T00:00:00Z"),
        ("/metadata/deletionTimestamp", "2020-01-01T00:00:00Z"),
        ("/metadata/resourceVersion", "7"),
        ("/metadata/managedFields", []),
    ],
)
async def test_what_the_server_owns_stays(api: Setting, fake: Fake, path: str, value: Any) -> None:
    await api.configure("Mutating", webhook("a"))
    fake.answers = {"a": patching({"op": "add", "path": path, "value": value})}
    await api.create(data={"k": "v"})
    fake.answers = {}
    stored = await api.client.get(ConfigMap, "m", "ns")
    assert stored.metadata.uid not in ("", "mine")
    assert stored.metadata.deletion_timestamp is None
    assert stored.metadata.creation_timestamp != "2020-01-01T00:00:00Z"
    kind = api.registry.kind_of(ConfigMap)
    raw = await api.registry.store.get(kind.key("ns", "m"))
    assert raw is not None
    assert b'"managedFields":[{' in raw.value


async def test_an_object_cannot_be_moved(api: Setting, fake: Fake) -> None:
    await api.configure("Mutating", webhook("a"))
    fake.answers = {
        "a": patching({"op": "replace", "path": "/metadata/namespace", "value": "default"})
    }
    with pytest.raises(ApiError, match="does not match the namespace"):
        await api.create()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (patching({"op": "remove", "path": "/nothing/here"}), "Internal error occurred: "),
        (patching({"op": "replace", "path": "/kind", "value": "Pod"}), "Pod"),
        (patching({"op": "add", "path": "/data", "value": 7}), "data"),
        (lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": "bm8="}, "patch"),
    ],
)
@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_patches_that_do_not_fit(
    api: Setting, fake: Fake, answer: Answer, said: str, policy: str
) -> None:
    """The webhook has answered: that its patch is wrong is no matter of the failure policy."""
    await api.configure("Mutating", webhook("a", failurePolicy=policy))
    fake.answers = {"a": answer}
    with pytest.raises(ApiError, match=said) as caught:
        await api.create()
    assert caught.value.code == 500
    with pytest.raises(ApiError, match="not found"):
        await api.client.get(ConfigMap, "m", "ns")


async def test_refusals(api: Setting, fake: Fake) -> None:
    await api.configure("Validating", webhook("a"), webhook("b"))
    fake.answers = {"a": deny("not on Sundays"), "b": deny("never")}
    with pytest.raises(ApiError) as caught:
        await api.create()
    assert caught.value.code == 403
    assert caught.value.message == (
        'admission webhook "a.hooks.example.com" denied the request: not on Sundays'
    )
    assert sorted(fake.order) == ["a", "b"]  # all are asked at once
    fake.answers = {}
    await api.create()


async def test_who_cannot_be_asked(api: Setting, fake: Fake) -> None:
    await api.configure("Mutating", webhook("a"))
    fake.answers = {"a": lambda request: TemporaryError('Post "https://a": refused')}
    with pytest.raises(ApiError) as caught:
        await api.create()
    assert caught.value.code == 500
    assert caught.value.message == (
        'Internal error occurred: failed calling webhook "a.hooks.example.com": '
        'failed to call webhook: Post "https://a": refused'
    )
    fake.answers = {"a": lambda request: b"<html>"}
    with pytest.raises(ApiError, match="failed calling webhook"):
        await api.create()


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_who_may_be_passed_over(api: Setting, fake: Fake, kind: str) -> None:
    await api.configure(kind, webhook("a", failurePolicy="Ignore"), webhook("b"))
    fake.answers = {"a": lambda request: TemporaryError("no")}
    await api.create()
    assert fake.order == ["a", "b"]
    fake.answers = {"a": deny("no")}  # an answer counts
    with pytest.raises(ApiError, match="denied the request: no"):
        await api.create("other")


async def test_warnings_reach_the_client_once(api: Setting, fake: Fake) -> None:
    await api.configure("Mutating", webhook("a"))
    await api.configure("Validating", webhook("b"))
    for host in "ab":
        fake.answers[host] = lambda request: {"allowed": True, "warnings": ["old", "odd"]}
    call = Call(user=in_process("test"))
    obj = ConfigMap(metadata=ObjectMeta(name="m"))
    kind = api.registry.kind_of(ConfigMap)
    await creating.create(api.registry, kind, call, obj, namespace="ns")
    assert call.warnings == ["old", "odd"]


async def test_a_dry_run_says_so(api: Setting, fake: Fake) -> None:
    await api.configure("Mutating", webhook("a"))
    await api.client.create(ConfigMap(metadata=ObjectMeta(name="m", namespace="ns")), dry_run=True)
    assert fake.last["dryRun"] is True
    assert fake.last["options"]["dryRun"] == ["All"]


async def test_updates_and_deletions_show_what_was(api: Setting, fake: Fake) -> None:
    await api.configure("Mutating", webhook("a"))
    made = await api.create(data={"k": "1"})
    assert (fake.last["operation"], "oldObject" in fake.last) == ("CREATE", False)
    made.data = {"k": "2"}
    await api.client.update(made)
    assert fake.last["operation"] == "UPDATE"
    assert (fake.last["oldObject"]["data"], fake.last["object"]["data"]) == ({"k": "1"}, {"k": "2"})
    assert fake.last["userInfo"]["username"] == "test"
    fake.answers = {"a": labelling("a")}
    with pytest.raises(ApiError, match="not supported for this operation"):
        fake.answers = {"a": patching({"op": "add", "path": "/data", "value": {}})}
        await api.client.delete(ConfigMap, "m", "ns")
    fake.answers = {}
    await api.client.delete(ConfigMap, "m", "ns")
    assert fake.last["operation"] == "DELETE"
    assert "object" not in fake.last
    assert fake.last["oldObject"]["data"] == {"k": "2"}
    assert fake.last["options"]["kind"] == "DeleteOptions"


async def test_a_change_by_a_webhook_is_stored(api: Setting, fake: Fake) -> None:
    made = await api.create()
    await api.configure("Mutating", webhook("a"))
    fake.answers = {"a": patching({"op": "add", "path": "/data", "value": {"k": "v"}})}
    made.metadata.labels = {"x": "y"}
    changed = await api.client.update(made)
    assert (changed.data, changed.metadata.labels) == ({"k": "v"}, {"x": "y"})


async def test_object_selectors_look_at_both_objects(api: Setting, fake: Fake) -> None:
    chosen = {"objectSelector": {"matchLabels": {"watched": "yes"}}}
    await api.configure("Validating", webhook("a", **chosen))
    made = await api.create()
    assert not fake.asked
    made.metadata.labels = {"watched": "yes"}
    made = await api.client.update(made)
    assert len(fake.asked) == 1
    made.metadata.labels = {}
    await api.client.update(made)
    assert len(fake.asked) == 2  # what it was counts, too
    await api.client.delete(ConfigMap, "m", "ns")
    assert len(fake.asked) == 2


async def test_namespace_selectors(api: Setting, fake: Fake) -> None:
    chosen = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    await api.configure("Validating", webhook("a", **chosen))
    await api.create()
    assert not fake.asked
    await api.client.create(Namespace(metadata=ObjectMeta(name="new", labels={"team": "a"})))
    assert fake.last["namespace"] == "new"  # by the labels that it is to have
    await api.registry.fresh(api.registry.kind_of(Namespace))
    await api.client.create(ConfigMap(metadata=ObjectMeta(name="m", namespace="new")))
    assert fake.last["resource"]["resource"] == "configmaps"


async def test_what_is_the_whole_clusters_is_never_exempt_by_namespace(
    api: Setting, fake: Fake
) -> None:
    rules = [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["*"], "resources": ["nodes"]}]
    chosen = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    await api.configure("Validating", webhook("a", rules=rules, **chosen))
    await api.client.create(make("Node"))
    assert fake.order == ["a"]


async def test_configurations_can_be_taken_back_whatever_webhooks_say(
    api: Setting, fake: Fake
) -> None:
    everything = [
        {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    ]
    await api.configure("Validating", webhook("a", rules=everything))
    fake.answers = {"a": deny("all")}
    with pytest.raises(ApiError):
        await api.create()
    config = make("ValidatingWebhookConfiguration")
    await api.client.delete(type(config), "c")
    await api.registry.fresh(api.registry.kind_of(type(config)))
    await api.create()


async def test_the_version_that_the_rules_name(api: Setting, fake: Fake) -> None:
    from api.core import Event

    def rules(group: str) -> list[dict[str, Any]]:
        return [
            {"operations": ["*"], "apiGroups": [group], "apiVersions": ["v1"],
             "resources": ["events"]}
        ]  # fmt: skip

    await api.configure(
        "Mutating",
        webhook("near", rules=rules("")),
        webhook("far", rules=rules("events.k8s.io")),
        webhook("exact", rules=rules("events.k8s.io"), matchPolicy="Exact"),
    )
    fake.answers = {"far": patching({"op": "add", "path": "/note", "value": "changed"})}
    event = make("Event")
    event.metadata.namespace = event.involved_object.namespace = "ns"
    made: Event = await api.client.create(event)
    assert fake.order == ["near", "far"]
    far = fake.last
    assert far["object"]["apiVersion"] == "events.k8s.io/v1"
    assert far["resource"]["group"] == far["kind"]["group"] == "events.k8s.io"
    assert far["requestResource"]["group"] == ""
    assert made.message == "changed"


async def test_what_is_sent_to_a_subresource_is_what_webhooks_see(api: Setting, fake: Fake) -> None:
    pod = make("Pod")
    pod.metadata.namespace = "ns"
    await api.client.create(pod)
    await api.configure("Mutating", webhook("a"))
    body = make_binding("web", "node-1")
    fake.answers = {"a": patching({"op": "replace", "path": "/target/name", "value": "node-2"})}
    await api.client.create_subresource(Pod, "web", "ns", "binding", body)
    ((_, asked),) = fake.asked
    assert (asked["operation"], asked["subResource"]) == ("CREATE", "binding")
    assert asked["kind"]["kind"] == asked["object"]["kind"] == "Binding"
    fake.answers = {}
    assert (await api.client.get(Pod, "web", "ns")).spec.node_name == "node-2"


def make_binding(name: str, node: str) -> Any:
    from api.core import Binding, ObjectReference

    return Binding(
        metadata=ObjectMeta(name=name, namespace="ns"),
        target=ObjectReference(kind="Node", name=node),
    )


async def test_an_eviction_is_shown_once_and_not_what_it_comes_to(api: Setting, fake: Fake) -> None:
    from api.policy import Eviction

    pod = make("Pod")
    pod.metadata.namespace = "ns"
    await api.client.create(pod)
    await api.configure("Validating", webhook("a"), webhook("b", rules=[
        {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    ]))  # fmt: skip
    eviction = Eviction(metadata=ObjectMeta(name="web", namespace="ns"))
    await api.client.create_subresource(Pod, "web", "ns", "eviction", eviction)
    ((host, asked),) = fake.asked
    assert (host, asked["subResource"], asked["kind"]["group"]) == ("a", "eviction", "policy")


async def test_a_scale_is_shown_as_such(api: Setting, fake: Fake) -> None:
    deployment = make("Deployment")
    deployment.metadata.namespace = "ns"
    await api.client.create(deployment)
    await api.configure("Mutating", webhook("a"))
    fake.answers = {"a": patching({"op": "replace", "path": "/spec/replicas", "value": 5})}

    async def wanted(scale: Any) -> Any:
        scale.spec.replicas = 9
        return scale

    await subresources.scale(
        api.registry,
        api.registry.kind_of(Deployment),
        Call(user=in_process("test")),
        "ns",
        "web",
        wanted,
    )
    assert fake.last["object"]["kind"] == fake.last["oldObject"]["kind"] == "Scale"
    fake.answers = {}
    assert (await api.client.get(Deployment, "web", "ns")).spec.replicas == 5


async def test_who_asks_is_told(api: Setting, fake: Fake) -> None:
    await api.configure("Validating", webhook("a"))
    user = User("ann", ("dev",), extra=(("scope", ("a",)),))
    await LocalClient(api.registry, user).create(
        ConfigMap(metadata=ObjectMeta(name="m", namespace="ns"))
    )
    assert fake.last["userInfo"] == {
        "username": "ann", "groups": ["dev"], "extra": {"scope": ["a"]}
    }  # fmt: skip


async def test_a_change_of_the_configuration_counts(api: Setting, fake: Fake) -> None:
    await api.configure("Validating", webhook("a"))
    await api.create("one")
    config = make("ValidatingWebhookConfiguration")
    current = await api.client.get(type(config), "c")
    current.webhooks[0].client_config.url = "https://b"
    await api.client.update(current)
    await api.registry.fresh(api.registry.kind_of(type(config)))
    await api.create("two")
    assert fake.order == ["a", "b"]


async def test_figures(api: Setting, fake: Fake) -> None:
    await api.configure("Mutating", webhook("a", failurePolicy="Ignore"))
    await api.configure("Validating", webhook("v"))
    fake.answers = {"a": lambda request: errors.ApiError  # type: ignore[dict-item]
                    and TemporaryError("no"), "v": deny("no")}  # fmt: skip
    with pytest.raises(ApiError):
        await api.create()
    figures = {
        (sample.name, sample.labels.get("name"), sample.labels.get("type")): sample
        for collector in api.registry.admission.collectors()
        for family in collector.collect()
        for sample in family.samples
    }
    prefix = "apiserver_admission_webhook"
    names = "a.hooks.example.com", "v.hooks.example.com"
    assert figures[f"{prefix}_fail_open_count", names[0], "admit"].value == 1
    refused = figures[f"{prefix}_rejection_count", names[1], "validating"]
    assert refused.value == 1
    assert refused.labels["error_type"] == "no_error"
    assert refused.labels["rejection_code"] == "403"
    counted = figures[f"{prefix}_admission_duration_seconds_count", names[1], "validating"]
    assert counted.value == 1
    assert counted.labels["operation"] == "CREATE"
    assert figures[f"{prefix}_request_total", names[1], "validating"].labels["code"] == "403"
