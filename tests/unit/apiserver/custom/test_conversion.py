"""Conversion of custom resources: what a webhook is sent, and which of its answers count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from api.custom import Custom, custom_type
from api.errors import ApiError
from api.fielderrors import FieldError
from api.scheme import Resource
from base.errors import TemporaryError
from control.apiserver.custom.codec import CustomCodec
from control.apiserver.custom.conversion import BetweenVersions, Hook, rename

WIDGET = custom_type("Widget")
Answer = Callable[[dict[str, Any]], Any]


class Anything:
    """A schema that knows `spec` and allows all of it."""

    has_defaults = False

    def prune(self, tree: dict[str, Any]) -> Sequence[str]:
        unknown = [name for name in tree if name not in ("apiVersion", "kind", "metadata", "spec")]
        for name in unknown:
            del tree[name]
        return unknown

    def default(self, tree: dict[str, Any]) -> None: ...

    def validate(self, tree: dict[str, Any], old: dict[str, Any] | None) -> list[FieldError]:
        return []


V1 = CustomCodec(WIDGET, "example.com/v1", "Widget", Anything())
V2 = CustomCodec(WIDGET, "example.com/v2", "Widget", Anything())


class Webhook:
    """Answers a review as a function says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[dict[str, Any]] = []

    async def post(self, config: Mapping[str, Any], body: bytes, *, timeout: float) -> bytes:
        review = msgspec.json.decode(body)
        self.asked.append(review)
        return msgspec.json.encode(self._answer(review["request"]))


def widget(name: str = "one", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "ns", "uid": "u1", **metadata},
        "spec": {"host": "h:1"},
    }


def good(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    converted = [
        {**one, "apiVersion": request["desiredAPIVersion"], "spec": {"port": 1}}
        for one in request["objects"]
    ]
    response = {
        "uid": request["uid"],
        "result": {"status": "Success"},
        "convertedObjects": converted,
        **changes,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "response": response,
    }


def convert(answer: Answer, *trees: dict[str, Any], versions: Sequence[str] = ("v1",)) -> Any:
    config = {"clientConfig": {}, "conversionReviewVersions": versions}
    hook = Hook(config, Webhook(answer))
    return asyncio.run(hook(trees, V2))  # type: ignore[arg-type]


def test_objects_come_back_in_the_other_version() -> None:
    (found,) = convert(good, widget())
    assert found == {**widget(), "apiVersion": "example.com/v2", "spec": {"port": 1}}


def test_many_objects_go_in_several_reviews() -> None:
    assert len(convert(good, *(widget(f"w{number}") for number in range(1201)))) == 1201


def test_only_labels_and_annotations_are_the_webhooks_to_change() -> None:
    def answer(request: dict[str, Any]) -> Any:
        review = good(request)
        metadata = review["response"]["convertedObjects"][0]["metadata"]
        metadata.update(labels={"new": "x"}, finalizers=["evil.example.com/x"], generation=99)
        return review

    (found,) = convert(answer, widget(labels={"old": "x"}, generation=3))
    assert found["metadata"] == {**widget(generation=3)["metadata"], "labels": {"new": "x"}}


def renamed(request: dict[str, Any]) -> Any:
    review = good(request)
    review["response"]["convertedObjects"][0]["metadata"]["name"] = "other"
    return review


def old_version(request: dict[str, Any]) -> Any:
    review = good(request)
    review["response"]["convertedObjects"][0]["apiVersion"] = "example.com/v1"
    return review


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (renamed, "must have the same name: other != one"),
        (old_version, "invalid apiVersion: example.com/v1, want example.com/v2"),
        (lambda request: good(request, convertedObjects=[]), "returned 0 objects, expected 1"),
        (lambda request: good(request, uid="x"), 'got "x"'),
        (lambda request: good(request, result={"status": "Failure", "message": "no"}), ": no"),
        (lambda request: {**good(request), "kind": "Pod"}, "got apiextensions.k8s.io/v1, Pod"),
        (lambda request: [], "expected a ConversionReview"),
        (lambda request: {**good(request), "response": None}, "no response provided"),
    ],
)
def test_answers_that_do_not_count(answer: Answer, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        convert(answer, widget())
    start = "conversion webhook for example.com/v1, Kind=Widget failed: "
    assert start in caught.value.message
    assert message in caught.value.message
    assert caught.value.code == 500


def test_a_webhook_that_cannot_be_reached() -> None:
    def answer(request: dict[str, Any]) -> Any:
        raise TemporaryError('Post "https://x": no route')

    with pytest.raises(ApiError, match='failed: Post "https://x": no route'):
        convert(answer, widget())


def test_a_webhook_of_another_review_version() -> None:
    with pytest.raises(ApiError, match="does not accept ConversionReview of version v1"):
        convert(good, widget(), versions=("v1beta1",))


def test_by_name_alone() -> None:
    (found,) = asyncio.run(rename([{**widget(), "extra": 1}], V2))  # type: ignore[arg-type]
    assert found == {**widget(), "apiVersion": "example.com/v2"}


def test_bytes_begin_with_names_and_metadata() -> None:
    obj = V1.from_tree({"spec": {"a": 1}, **widget()}, "Strict").obj
    assert isinstance(obj, Custom)
    assert V1.encode(obj).startswith(V1.head + b'"metadata":{')
    assert V1.tree(V1.copy(obj)) == V1.tree(obj)


def test_unknown_fields_are_dropped_told_or_refused() -> None:
    tree = {**widget(), "extra": 1}
    assert V1.from_tree(tree, "Warn").warnings == ('unknown field "extra"',)
    assert V1.from_tree(tree, "Ignore").warnings == ()
    with pytest.raises(ApiError, match='strict decoding error: unknown field "extra"'):
        V1.from_tree(tree, "Strict")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Gadget"}, r"the kind in the data \(Gadget\)"),
        ({"apiVersion": "example.com/v3"}, r"the API version in the data \(example.com/v3\)"),
    ],
)
def test_other_kinds_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        V1.from_tree({**widget(), **change}, "Warn")


def test_there_is_no_protobuf_form() -> None:
    with pytest.raises(ApiError) as caught:
        V1.decode_body(b"k8s\0", "application/vnd.kubernetes.protobuf", "Warn")
    assert caught.value.code == 415


async def test_many_objects_leave_others_their_turn() -> None:
    row = Resource("example.com", "v2", "Widget", "widgets", WIDGET, True, "widget")
    between = BetweenVersions(row, V1, V2, rename)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    bodies = [msgspec.json.encode(widget(f"w{number}")) for number in range(3000)]
    other = asyncio.create_task(others())
    shown = await between.to_served(bodies)
    other.cancel()
    assert [msgspec.json.decode(body)["metadata"]["name"] for body in shown] == [
        f"w{number}" for number in range(3000)
    ]
    assert all(body.startswith(V2.head) for body in shown)
    assert turns >= 5
