"""Static pods: files of the node that run, and their mirrors in the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.containers.script import Script
from agent.node.nodestatus import NodeObserved, node_status
from agent.node.shutdown import NodeShutdown
from agent.node.shutdownorder import Period
from agent.node.staticpods import StaticPodError, StaticPods, static_pod
from agent.pod.mirrors import MIRROR, Changes, MirrorPods, decide, mirror_of
from api.core import Node as NodeObject
from api.core import Pod, Toleration
from api.meta import ObjectMeta
from base.tasks import TaskGuard
from tests.patience import eventually
from tests.unit.agent.node import FakeCgroups, Node
from tests.unit.agent.test_node import IDENTITY

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
THIS = NodeObject(
    metadata=ObjectMeta(name="Node", uid="n-1"),
    status=node_status(IDENTITY, NodeObserved(), previous=(), now=NOW),
)
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  hostNetwork: true
  containers:
  - {name: web, image: "app:1"}
"""


def read(text: str = MANIFEST, *, path: str = "/static/web.yaml", node: str = "Node") -> Pod:
    return static_pod(text.encode(), path=Path(path), node=node, now=NOW)


# Files.


def test_a_file_becomes_a_pod_of_the_node() -> None:
    pod = read()
    meta = pod.metadata
    assert (meta.name, meta.namespace) == ("web-node", "default")
    assert meta.annotations["kubernetes.io/config.source"] == "file"
    assert meta.annotations["kubernetes.io/config.hash"] == meta.uid
    assert meta.annotations["kubernetes.io/config.seen"] == "2026-01-01T12:00:00Z"
    assert pod.spec.node_name == "Node"
    assert pod.spec.tolerations == [Toleration(operator="Exists", effect="NoExecute")]
    assert pod.spec.containers[0].image_pull_policy == "IfNotPresent", "defaults are filled in"
    assert pod.status.phase == "Pending"


@pytest.mark.parametrize(
    ("words", "priority"),
    [
        ("priorityClassName: system-node-critical", 2_000_001_000),
        ("priorityClassName: system-cluster-critical", 2_000_000_000),
        ("priorityClassName: system-node-critical, priority: 5", 5),
        ("priorityClassName: mine", None),
        ("priority: 7", 7),
    ],
)
def test_priorities_that_need_no_server(words: str, priority: int | None) -> None:
    """Graceful shutdowns go by them."""
    made = read(MANIFEST.replace("hostNetwork: true", words.replace(", ", "\n  ")))
    assert made.spec.priority == priority


def test_the_uid_is_made_from_file_node_and_content() -> None:
    later = static_pod(
        MANIFEST.encode(), path=Path("/static/web.yaml"), node="Node", now=datetime.now(UTC)
    )
    assert later.metadata.uid == read().metadata.uid
    assert read("# a comment" + MANIFEST).metadata.uid == read().metadata.uid
    others = [
        read(MANIFEST.replace("app:1", "app:2")),
        read(path="/static/other.yaml"),
        read(node="other"),
    ]
    assert len({pod.metadata.uid for pod in (*others, read())}) == 4
    named = MANIFEST.replace("name: web,", "name: web, uid: fixed,")
    assert read(named).metadata.uid not in ("fixed", read().metadata.uid)


def test_json_is_read_too() -> None:
    text = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[%s]}}'
    pod = read(text % '{"name":"c","image":"i"}')
    assert pod.metadata.name == "a-node"


BROKEN = [
    ("", "no body"),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "Service"),
    ("{", ""),
    (MANIFEST.replace("name: web,", "name: Web,"), 'metadata.name: Invalid value: "Web"'),
    (MANIFEST.replace('- {name: web, image: "app:1"}', ""), "spec.containers"),
    (MANIFEST.replace('image: "app:1"', ""), "needs a name and an image"),
    (MANIFEST + "  serviceAccountName: a\n", "may not reference service accounts"),
    (MANIFEST.replace("name: web,", "name: web, namespace: ../x,"), "metadata.namespace"),
    (MANIFEST.replace("{name: web, image", '{name: "..", image'), "containers: Invalid value"),
    (MANIFEST + '  - {name: web, image: "app:2"}\n', 'containers: Duplicate value: "web"'),
    (MANIFEST + "  volumes: [{name: ../../x}]\n", 'volumes: Invalid value: "../../x"'),
    (MANIFEST + "  volumes: [{name: v}, {name: v}]\n", 'volumes: Duplicate value: "v"'),
    (
        MANIFEST + "  volumes: [{name: v, secret: {secretName: s}}]\n",
        "may not reference API objects",
    ),
    (MANIFEST + "  imagePullSecrets: [{name: s}]\n", "may not reference API objects (imagePullS"),
    (
        MANIFEST + "  volumes: [{name: v, projected: {sources: [{secret: {name: s}}]}}]\n",
        'may not reference API objects (volume "v")',
    ),
    (
        MANIFEST
        + "  volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]\n",
        'may not reference API objects (volume "v")',
    ),
    (
        MANIFEST + "  ephemeralContainers: [{name: e, image: i}]\n",
        "may not have ephemeral containers",
    ),
    (
        MANIFEST.replace('"app:1"', '"app:1", envFrom: [{secretRef: {name: s}}]'),
        "may not reference API objects",
    ),
]


def test_facts_about_the_pod_itself_need_no_server() -> None:
    labels = "{downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}"
    made = read(MANIFEST + "  volumes: [{name: v, projected: {sources: [" + labels + "]}}]\n")
    assert made.spec.volumes[0].projected is not None


@pytest.mark.parametrize(("text", "words"), BROKEN)
def test_files_that_hold_no_pod(text: str, words: str) -> None:
    with pytest.raises(StaticPodError) as caught:
        read(text)
    assert words in caught.value.message


class Directory:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.pods: list[str] = []
        self.source = StaticPods(path, node="n", clock=Node(path).clock, changed=self._changed)

    def _changed(self, pods: Any) -> None:
        self.pods = sorted(pod.metadata.name for pod in pods.values())

    def look(self) -> list[str]:
        self.source.look()
        return self.pods


def test_a_directory_of_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = Directory(tmp_path)
    (tmp_path / "a.yaml").write_text(MANIFEST)
    (tmp_path / ".hidden").write_text(MANIFEST.replace("name: web,", "name: hidden,"))
    (tmp_path / "folder").mkdir()
    assert directory.look() == ["web-n"]
    (tmp_path / "b.yaml").write_text(MANIFEST.replace("name: web,", "name: other,"))
    assert directory.look() == ["other-n", "web-n"]
    (tmp_path / "a.yaml").write_text(MANIFEST[:40])
    assert directory.look() == ["other-n", "web-n"], "a file that is half written ends nothing"
    assert "holds no static pod" in caplog.text
    (tmp_path / "a.yaml").write_text(MANIFEST.replace("name: web,", "name: third,"))
    assert directory.look() == ["other-n", "third-n"]
    (tmp_path / "c.yaml").write_text(MANIFEST.replace("name: web,", "name: third,"))
    assert directory.look() == ["other-n", "third-n"]
    assert "holds the same static pod as" in caplog.text
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).unlink()
    assert directory.look() == []
    directory.source = StaticPods(
        tmp_path / "none", node="n", clock=Node(tmp_path).clock, changed=directory._changed
    )
    assert directory.look() == []


async def test_a_file_that_goes_and_comes_back_at_once(tmp_path: Path) -> None:
    told: list[list[str]] = []

    def changed(pods: Mapping[str, Pod]) -> None:
        told.append(sorted(pod.metadata.name for pod in pods.values()))

    source = StaticPods(tmp_path, node="n", clock=Node(tmp_path).clock, changed=changed)
    for name in ("web", "other"):
        (tmp_path / f"{name}.yaml").write_text(MANIFEST.replace("name: web,", f"name: {name},"))
    source.look()
    source.look(removed=["web.yaml"])
    assert told == [["other-n", "web-n"], ["other-n"], ["other-n", "web-n"]]


async def test_one_file_instead_of_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(MANIFEST)
    (tmp_path / "other.yaml").write_text(MANIFEST.replace("name: web,", "name: other,"))
    directory = Directory(file)

    async def hold(*names: str) -> None:
        async def they_do() -> bool:
            return directory.pods == list(names)

        await eventually(they_do)

    async with TaskGuard("test") as guard:
        watching = guard.start(directory.source.run(), name="static pods")
        await hold("web-n")
        new = tmp_path / "new"
        new.write_text(MANIFEST.replace("name: web,", "name: second,"))
        new.rename(file)
        await hold("second-n")
        file.unlink()
        await hold()
        watching.cancel()


# Mirrors.


def mirror(pod: Pod, *, deleted: bool = False) -> Pod:
    made = mirror_of(pod, THIS)
    made.metadata.uid = "m-1"
    made.metadata.deletion_timestamp = "2026-01-01T00:00:00Z" if deleted else None
    return made


def test_a_mirror_belongs_to_the_node() -> None:
    made = mirror(read())
    (owner,) = made.metadata.owner_references
    assert (owner.kind, owner.name, owner.uid, owner.controller) == ("Node", "Node", "n-1", True)
    assert made.metadata.annotations[MIRROR] == read().metadata.uid
    assert made.spec == read().spec and made.metadata.labels == {"app": "web"}


OLD = read(MANIFEST.replace("app:1", "app:0"))
DECISIONS = [
    # static pods, those that still end, mirrors, to delete, to create
    ([read()], [], [], 0, 1),
    ([read()], [], [mirror(read())], 0, 0),
    ([read()], [], [mirror(read(), deleted=True)], 1, 0),
    ([read()], [], [mirror(OLD)], 1, 0),
    ([read()], [OLD.metadata.uid], [mirror(OLD)], 0, 0),
    ([], [OLD.metadata.uid], [mirror(OLD)], 0, 0),
    ([], [OLD.metadata.uid], [mirror(OLD, deleted=True)], 1, 0),
    ([], [], [mirror(OLD)], 1, 0),
    ([], [], [], 0, 0),
]


@pytest.mark.parametrize(("static", "leaving", "there", "delete", "create"), DECISIONS)
def test_what_is_done_about_mirrors(
    static: list[Pod], leaving: list[str], there: list[Pod], delete: int, create: int
) -> None:
    by_name = {(pod.metadata.namespace, pod.metadata.name): pod for pod in there}
    changes: Changes = decide(static, leaving, by_name)
    assert (len(changes.delete), len(changes.create)) == (delete, create)


# A node that has some.


class StaticNode(Node):
    async def start(self, *pods: Pod, api: bool = True) -> None:
        await self.boot(api=False)
        self.api.put(THIS)
        self.mirrors = MirrorPods(
            self.api,
            node=lambda: self.api.objects.get((NodeObject, "", "Node")),
            static=self.manager.static_pods,
            leaving=self.manager.leaving_static,
            clock=self.clock,
            guard=self.guard,
        )
        self.manager.on_mirror = self.mirrors.changed
        self.manager.on_static = self.mirrors.wake
        self.use(*pods)
        self.api.down = not api
        if api:
            await self.reach_api()
            self.guard.start(self.mirrors.run(), name="mirrors")

    def use(self, *pods: Pod) -> None:
        self.manager.set_static({pod.metadata.uid: msgspec.structs.replace(pod) for pod in pods})

    def mirror(self) -> Pod | None:
        return self.api.objects.get((Pod, "default", "web-node"))

    def images(self) -> list[str]:
        status = self.mirror()
        assert status is not None
        return [each.image for each in status.status.container_statuses]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[StaticNode]:
    node = StaticNode(tmp_path, images=["app:0", "app:1", "pause:1"])
    yield node
    await node.kill()


def running(node: StaticNode) -> str:
    found = node.mirror()
    return "" if found is None else found.status.phase


async def test_a_static_pod_runs_and_is_mirrored(node: StaticNode) -> None:
    await node.start(read())
    await node.run(5)
    assert node.names() == ["POD", "web"]
    found = node.mirror()
    assert found is not None and found.status.phase == "Running"
    assert found.metadata.uid != read().metadata.uid
    assert found.status.container_statuses[0].ready
    assert ("create", "Pod", "web-node") in node.api.calls


async def test_without_a_control_plane(node: StaticNode) -> None:
    await node.start(read(), api=False)
    await node.run(5)
    assert node.names() == ["POD", "web"]
    assert node.mirror() is None
    await node.reach_api()
    node.guard.start(node.mirrors.run(), name="mirrors")
    await node.run(5)
    assert running(node) == "Running"


@pytest.mark.parametrize("gracefully", [True, False])
async def test_deleting_the_mirror_does_not_end_the_pod(node: StaticNode, gracefully: bool) -> None:
    await node.start(read())
    await node.run(5)
    before, first = node.containers("web")[0].id, node.mirror()
    assert first is not None
    if gracefully:
        node.api.delete_gracefully("web-node", "default", stamp="2026-01-01T00:00:00Z", grace=30)
    else:
        node.api.remove(Pod, "web-node", "default")
    await node.run(5)
    second = node.mirror()
    assert second is not None and second.metadata.uid != first.metadata.uid
    assert second.metadata.deletion_timestamp is None
    assert second.status.phase == "Running", "the new one is told everything"
    assert [record.id for record in node.containers("web")] == [before]


async def test_a_file_that_changes_and_one_that_goes(node: StaticNode) -> None:
    node.runtime.scripts["web"] = Script(term_seconds=5)
    await node.start(OLD)
    await node.run(5)
    assert node.images() == ["app:0"]
    node.use(read())
    await node.run(2)
    assert len(node.containers("web")) == 1, "the new one waits for the end of the old one"
    await node.run(10)
    assert running(node) == "Running" and node.images() == ["app:1"]
    found = node.mirror()
    assert found is not None and found.metadata.annotations[MIRROR] == read().metadata.uid
    node.use()
    await node.run(15)
    assert node.names() == [] and node.mirror() is None


async def test_a_file_that_comes_back_while_its_pod_ends(node: StaticNode) -> None:
    node.runtime.scripts["web"] = Script(term_seconds=5)
    await node.start(read())
    await node.run(5)
    node.use()
    await node.run(2)
    node.use(read())
    await node.run(15)
    assert node.names() == ["POD", "web"] and running(node) == "Running"


async def test_an_agent_that_was_restarted_knows_its_static_pods(node: StaticNode) -> None:
    await node.start(read())
    await node.run(5)
    before = {record.id for record in node.containers()}
    await node.kill()
    await node.start(read())
    await node.run(5)
    assert {record.id for record in node.containers()} == before
    assert running(node) == "Running"
    await node.kill()
    await node.start()
    await node.run(60)
    assert node.names() == [] and node.mirror() is None, "the file was removed in between"


async def test_a_mirror_waits_for_a_node_that_was_deleted(node: StaticNode) -> None:
    """The garbage collector takes it along, and it comes back with the Node that is registered anew."""
    await node.start(read())
    await node.run(5)
    before = {record.id for record in node.containers()}
    node.api.remove(NodeObject, "Node")
    node.api.remove(Pod, "web-node", "default")
    await node.run(60)
    assert node.mirror() is None
    assert {record.id for record in node.containers()} == before, "nobody asks it"
    again = msgspec.structs.replace(THIS, metadata=ObjectMeta(name="Node", uid="n-2"))
    node.api.put(again)
    await node.run(90)
    found = node.mirror()
    assert found is not None and found.metadata.owner_references[0].uid == "n-2"
    assert running(node) == "Running"
    assert {record.id for record in node.containers()} == before


async def test_a_node_that_is_short_runs_its_static_pods(node: StaticNode) -> None:
    await node.start()
    node.manager.pressures = frozenset({"DiskPressure", "MemoryPressure"})
    node.use(read())
    await node.run(5)
    assert running(node) == "Running"


async def test_a_static_pod_that_crashes_is_restarted(node: StaticNode) -> None:
    node.runtime.scripts["k8s_web"] = Script()
    await node.start(read())
    await node.run(5)
    node.runtime.end(node.containers("web")[0].id, exit_code=1)
    await node.run(5)
    found = node.mirror()
    assert found is not None and found.status.container_statuses[0].restart_count == 1


async def test_a_static_pod_that_comes_back_counts_its_starts(node: StaticNode) -> None:
    await node.start(read())
    await node.run(5)
    for restarts in (1, 2):
        node.use()
        node.use(read())
        await node.run(60)
        found = node.mirror()
        assert found is not None and running(node) == "Running"
        (status,) = found.status.container_statuses
        assert status.restart_count == restarts
        assert status.last_state.terminated is not None


async def test_a_file_that_comes_back_while_leftovers_of_its_pod_go(
    node: StaticNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.start()
    leftover = node.directory / "pods" / read().metadata.uid / "volumes"
    leftover.mkdir(parents=True)
    aside, removing = node.mounter.aside, asyncio.Event()

    async def slowly(work: Any) -> Any:
        removing.set()
        await node.clock.sleep(5)
        return await aside(work)

    monkeypatch.setattr(node.mounter, "aside", slowly)
    node.guard.start(node.manager.relist(), name="relist now")
    await node.run(1)
    assert removing.is_set()
    node.use(read())
    await node.run(20)
    assert node.names() == ["POD", "web"]
    assert (leftover.parent / "etc-hosts").exists(), "what is new stays"


async def test_a_file_that_comes_back_while_strays_of_its_uid_end(node: StaticNode) -> None:
    """Containers that nobody knew any more get a worker of that uid first."""
    node.runtime.scripts = {"web": Script(ignores_term=True)}
    await node.start(read())
    await node.run(5)
    await node.kill()
    await node.start()
    await node.run(2)
    node.use(read())
    await node.run(60)
    assert node.names() == ["POD", "web"]


async def test_static_pods_run_again_when_a_shutdown_is_called_off(node: StaticNode) -> None:
    await node.start(read())
    await node.run(5)
    shutdown = NodeShutdown(
        node.manager,
        (Period(0, 20),),
        clock=node.clock,
        changed=lambda: None,
        tell=lambda *_: None,
    )
    ending = node.guard.start(shutdown.perform(), name="shutdown")
    await node.run(25)
    assert ending.done() and node.names() == [] and running(node) == "Failed"
    shutdown.call_off()
    await node.run(30)
    assert node.names() == ["POD", "web"] and running(node) == "Running"


@pytest.mark.parametrize("part", ["pod_uids", "remove_strays"])
async def test_leftovers_that_cannot_be_looked_at_do_not_end_the_agent(
    node: StaticNode, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: object) -> set[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FakeCgroups, part, broken)
    await node.start(read())
    await node.run(130)
    assert node.names() == ["POD", "web"]
