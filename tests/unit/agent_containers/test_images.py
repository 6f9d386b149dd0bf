"""Pull policy, back-off and the words; all on a clock that is ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.containers import images
from agent.containers.errors import (
    EngineError,
    EngineUnavailable,
    PullDenied,
    PullError,
    RegistryUnavailable,
)
from agent.containers.fake import FakeRuntime
from agent.containers.images import (
    BackOff,
    Decision,
    ImageEvent,
    ImageProblem,
    Images,
    PullPolicy,
    Reason,
    full_name,
)
from agent.containers.records import ImageId, ImageRecord, RegistryAuth
from base.clock import FakeClock
from base.tasks import TaskGuard

ALWAYS, IF_NOT_PRESENT, NEVER = PullPolicy.ALWAYS, PullPolicy.IF_NOT_PRESENT, PullPolicy.NEVER
WAITING = BackOff(delay=10, since=100, last_error="no")


@pytest.mark.parametrize(
    ("policy", "present", "back_off", "decision"),
    [
        (IF_NOT_PRESENT, True, None, Decision.USE),
        (IF_NOT_PRESENT, True, WAITING, Decision.USE),
        (IF_NOT_PRESENT, False, None, Decision.PULL),
        (IF_NOT_PRESENT, False, WAITING, Decision.WAIT),
        (ALWAYS, True, None, Decision.PULL),
        (ALWAYS, True, WAITING, Decision.WAIT),
        (NEVER, True, WAITING, Decision.USE),
        (NEVER, False, WAITING, Decision.REFUSE),
    ],
)
def test_decide(
    policy: PullPolicy, present: bool, back_off: BackOff | None, decision: Decision
) -> None:
    assert images.decide(policy, present=present, back_off=back_off, now=105) is decision


def test_a_back_off_ends() -> None:
    assert images.decide(ALWAYS, present=False, back_off=WAITING, now=110) is Decision.PULL


@given(st.lists(st.floats(0, 500), max_size=12))
def test_the_back_off_doubles_to_its_limit(pauses: list[float]) -> None:
    back_off, now, expected = None, 0.0, 10.0
    for pause in pauses:
        back_off = images.after_failure(back_off, error="no", now=now)
        assert back_off.delay == expected
        now += pause
        expected = min(300.0, expected * 2)


def test_peace_clears_the_back_off() -> None:
    worst = BackOff(delay=300, since=0, last_error="no")
    assert images.after_failure(worst, error="no", now=599).delay == 300
    assert images.after_failure(worst, error="no", now=600).delay == 10


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", ALWAYS),
        ("busybox:latest", ALWAYS),
        ("host:5000/busybox", ALWAYS),
        ("busybox:1", IF_NOT_PRESENT),
        ("busybox@sha256:" + "0" * 64, IF_NOT_PRESENT),
        ("busybox:latest@sha256:" + "0" * 64, IF_NOT_PRESENT),
    ],
)
def test_default_policy(image: str, policy: PullPolicy) -> None:
    assert images.default_policy(image) is policy


DIGEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.mark.parametrize(
    ("digests", "reference", "expected"),
    [
        ((), "app:1", "sha256:id"),
        ((f"nginx@{DIGEST}",), "nginx:1", f"docker.io/library/nginx@{DIGEST}"),
        ((f"b.example/x@{OTHER}", f"a.example/x@{DIGEST}"), "a.example/x", f"a.example/x@{DIGEST}"),
        ((f"b.example/x@{OTHER}",), "a.example/x:1", f"b.example/x@{OTHER}"),
        ((f"b.example/x@{OTHER}",), "0" * 64, f"b.example/x@{OTHER}"),
        (("<none>@<none>",), "app:1", "sha256:id"),
    ],
)
def test_the_digest_that_a_status_names(
    digests: tuple[str, ...], reference: str, expected: str
) -> None:
    image = ImageRecord(id=ImageId("sha256:id"), tags=(), digests=digests, size=1)
    assert images.repository_digest(image, reference) == expected


@dataclass
class Node:
    """A node with an image store, and the events told of one pod."""

    clock: FakeClock
    runtime: FakeRuntime
    images: Images
    told: list[ImageEvent] = field(default_factory=list)

    async def ensure(
        self, image: str, policy: PullPolicy = IF_NOT_PRESENT, auths: tuple[RegistryAuth, ...] = ()
    ) -> str:
        found = await self.images.ensure(
            image, policy, owner="uid", tell=self.told.append, auths=auths
        )
        return found.tags[0]

    async def problem(self, image: str, policy: PullPolicy = IF_NOT_PRESENT) -> ImageProblem:
        with pytest.raises(ImageProblem) as caught:
            await self.ensure(image, policy)
        return caught.value

    @property
    def last(self) -> tuple[str, str, str]:
        event = self.told[-1]
        return event.type, event.reason, event.message

    @property
    def pulls(self) -> int:
        return sum(method == "pull" for method, _ in self.runtime.calls)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    clock = FakeClock()
    runtime = FakeRuntime(
        clock, images=["here:1"], registry={"there:1": None, "there:latest": None}
    )
    async with TaskGuard("test") as guard:
        yield Node(clock, runtime, Images(runtime, clock=clock, guard=guard))


async def test_a_present_image_is_used(node: Node) -> None:
    assert await node.ensure("here:1") == "here:1"
    message = 'Container image "here:1" already present on machine'
    assert node.last == ("Normal", "Pulled", message)
    assert node.pulls == 0


async def test_a_missing_image_is_pulled(node: Node) -> None:
    assert await node.ensure("there") == "there:latest"
    assert [event.reason for event in node.told] == ["Pulling", "Pulled"]
    assert node.told[0].message == 'Pulling image "there"', "in the words of the pod"
    assert node.last[2] == (
        'Successfully pulled image "there" in 0s (0s including waiting). Image size: 1000000 bytes.'
    )


async def test_never(node: Node) -> None:
    problem = await node.problem("there:1", NEVER)
    text = 'Container image "there:1" is not present with pull policy of Never'
    assert (problem.reason, problem.message) == (Reason.NEVER_PULL, text)
    assert node.last == ("Warning", "ErrImageNeverPull", text)
    assert problem.retry_after <= 15, "who loads it by hand does not want to wait"
    node.runtime.add_image("there:1")
    assert await node.ensure("there:1", NEVER) == "there:1"
    assert node.pulls == 0


async def test_a_bad_name(node: Node) -> None:
    problem = await node.problem("Bad//name")
    assert problem.reason is Reason.INVALID_NAME
    assert problem.message == (
        'Failed to apply default image tag "Bad//name": couldn\'t parse image name "Bad//name": '
        "invalid reference format"
    )
    assert node.last[:2] == ("Warning", "InspectFailed")


async def test_a_failed_pull_backs_off(node: Node) -> None:
    problem = await node.problem("gone:1")
    error = "manifest for gone:1 not found: manifest unknown"
    assert (problem.reason, problem.message, problem.retry_after) == (
        Reason.PULL_FAILED,
        error,
        10,
    )
    assert node.last == ("Warning", "Failed", f'Failed to pull image "gone:1": {error}')

    node.clock.advance(4)
    waiting = await node.problem("gone:1")
    assert (waiting.reason, waiting.retry_after) == (Reason.BACK_OFF, 6)
    assert waiting.message == f'Back-off pulling image "gone:1": ErrImagePull: {error}'
    assert node.last == ("Normal", "BackOff", 'Back-off pulling image "gone:1"')
    assert node.pulls == 1

    node.clock.advance(6)
    assert (await node.problem("gone:1")).retry_after == 20
    assert node.pulls == 2


async def test_always_backs_off_though_the_image_is_there(node: Node) -> None:
    """What the registry has may be another one by now: that was asked for."""
    node.runtime.registry["here:1"] = RegistryUnavailable("no route to host")
    problem = await node.problem("here:1", ALWAYS)
    assert problem.reason is Reason.UNAVAILABLE
    assert (await node.problem("here:1", ALWAYS)).reason is Reason.BACK_OFF
    assert await node.ensure("here:1", IF_NOT_PRESENT) == "here:1"


async def test_a_name_without_a_tag_is_told_as_it_was_written(node: Node) -> None:
    problem = await node.problem("gone")
    error = "manifest for gone:latest not found: manifest unknown"
    assert problem.message == error
    assert node.last == ("Warning", "Failed", f'Failed to pull image "gone": {error}')
    waiting = await node.problem("gone")
    assert waiting.message == f'Back-off pulling image "gone": ErrImagePull: {error}'


async def test_success_clears_the_back_off(node: Node) -> None:
    await node.problem("late:1")
    node.runtime.registry["late:1"] = None
    node.clock.advance(10)
    await node.ensure("late:1")
    assert node.images.statistics()["back_offs"] == 0


async def test_each_pod_has_its_own_back_off(node: Node) -> None:
    await node.problem("gone:1")
    with pytest.raises(ImageProblem) as caught:
        await node.images.ensure("gone:1", ALWAYS, owner="other", tell=node.told.append)
    assert caught.value.reason is Reason.PULL_FAILED
    node.images.forget("uid")
    assert (await node.problem("gone:1")).reason is Reason.PULL_FAILED


async def test_a_lost_engine_is_no_failed_pull(node: Node) -> None:
    node.runtime.registry["there:1"] = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        await node.ensure("there:1")
    assert node.images.statistics()["back_offs"] == 0


async def test_one_pull_serves_all_and_outlives_a_waiter(node: Node) -> None:
    node.runtime.pull_seconds = 5
    impatient = asyncio.create_task(node.ensure("there:1"))
    patient = asyncio.create_task(node.ensure("there:1"))
    await node.clock.run_for(1)
    impatient.cancel()
    await node.clock.run_for(5)
    assert await patient == "there:1"
    assert node.pulls == 1
    took = 'Successfully pulled image "there:1" in 5s (5s including waiting). '
    assert node.last[2].startswith(took)


async def test_credentials_are_tried_in_turn(node: Node) -> None:
    tried: list[str] = []

    async def pull(reference: str, *, auth: RegistryAuth | None = None, progress: object) -> object:
        tried.append(auth.username if auth else "")
        if auth is None or auth.username != "good":
            raise PullError("denied")
        return node.runtime.add_image(reference)

    node.runtime.pull = pull  # type: ignore[method-assign, assignment]
    auths = tuple(RegistryAuth(username=name, password="secret") for name in ("bad", "good"))
    assert await node.ensure("private:1", auths=auths) == "private:1"
    assert tried == ["bad", "good"]
    assert "secret" not in repr(auths)


async def test_credentials_do_not_help_with_a_registry_that_is_away(node: Node) -> None:
    node.runtime.registry["there:1"] = RegistryUnavailable("connection refused")
    auths = tuple(RegistryAuth(username=name) for name in ("one", "two"))
    with pytest.raises(ImageProblem) as caught:
        await node.ensure("there:1", auths=auths)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert node.pulls == 1


async def test_the_reason_is_remembered_while_it_backs_off(node: Node) -> None:
    node.runtime.registry["there:1"] = RegistryUnavailable("no such host")
    text = "image pull failed for there:1 because the registry is unavailable: no such host"
    problem = await node.problem("there:1")
    assert (problem.reason.value, problem.message) == ("RegistryUnavailable", text)
    assert node.last == ("Warning", "Failed", 'Failed to pull image "there:1": no such host')
    waiting = await node.problem("there:1")
    assert waiting.message == f'Back-off pulling image "there:1": RegistryUnavailable: {text}'


@pytest.mark.parametrize(
    ("auths", "words"),
    [
        ((), "neither the pod's imagePullSecrets nor the node has any for docker.io"),
        ((RegistryAuth(username="me"),), "with the credentials for docker.io"),
    ],
)
async def test_who_is_denied_is_told_what_was_tried(
    node: Node, auths: tuple[RegistryAuth, ...], words: str
) -> None:
    node.runtime.registry["private:1"] = PullDenied("pull access denied for private")
    with pytest.raises(ImageProblem, match=words) as caught:
        await node.ensure("private:1", auths=auths)
    assert caught.value.reason is Reason.PULL_FAILED
    assert caught.value.message.startswith("pull access denied for private (tried with")


async def test_an_image_that_cannot_be_looked_at(node: Node) -> None:
    async def image(reference: str) -> None:
        raise EngineError("layer does not exist")

    node.runtime.image = image  # type: ignore[method-assign, assignment]
    problem = await node.problem("here:1")
    text = 'Failed to inspect image "here:1": layer does not exist'
    assert (problem.reason.value, problem.message) == ("ImageInspectError", text)
    assert node.last == ("Warning", "InspectFailed", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (61, "1m1s"), (125.25, "2m5.25s")],
)
def test_durations_as_go_prints_them(seconds: float, text: str) -> None:
    assert images._duration(seconds) == text


NAMES = [
    ("busybox", "docker.io/library/busybox:latest"),
    ("docker.io/library/busybox:1", "docker.io/library/busybox:1"),
    (f"busybox:1@sha256:{'a' * 64}", f"docker.io/library/busybox@sha256:{'a' * 64}"),
    ("host:5000/a/b:1", "host:5000/a/b:1"),
    ("NOT AN IMAGE", "NOT AN IMAGE"),
]


@pytest.mark.parametrize(("written", "full"), NAMES)
def test_one_name_however_it_is_written(written: str, full: str) -> None:
    assert full_name(written) == full
