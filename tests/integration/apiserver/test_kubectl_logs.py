"""`kubectl logs` with each of its flags: the real API server, the agent's own server and reader, and log
files as an engine writes them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from agent.containers.logreader import LogReader
from agent.containers.records import Channel, ContainerId, LogOptions
from agent.server import interface
from agent.server.interface import PodUsage, Usage
from agent.server.server import AgentServer
from api.core import Pod
from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server

CLOCK = SystemClock()
DEADLINE = 60.0


@dataclass
class Logs:
    """The log files of a node, found and read as an agent does; container ids are their paths."""

    directory: Path
    reader: LogReader = field(default_factory=lambda: LogReader(CLOCK))
    running: set[str] = field(default_factory=set)

    def write(
        self, pod: str, container: str, *texts: str, ago: float = 0.0, stream: str = "stdout"
    ) -> None:
        when = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._path(pod, container).open("a") as file:
            for text in texts:
                file.write(json.dumps({"log": f"{text}\n", "stream": stream, "time": when}) + "\n")

    def rotate(self, pod: str, container: str) -> None:
        path = self._path(pod, container)
        path.rename(path.with_name(f"{path.name}.1"))

    def end(self, pod: str, container: str) -> None:
        path = self._path(pod, container)
        self.running.discard(str(path))
        path.with_name("config.v2.json").touch()

    # What the server asks of the runtime.

    def logs(
        self, id: ContainerId, options: LogOptions
    ) -> AsyncGenerator[tuple[Channel, bytes], None]:
        async def running() -> bool:
            return id in self.running

        return self.reader.read(Path(id), options, running)

    # What it asks of the pods.

    def find(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> ContainerId:
        path = self._path(pod, f"{container}-previous" if previous else container)
        if not path.exists():
            if previous:
                raise interface.previous_missing(pod, container)
            raise interface.waiting_to_start(pod, container, "ContainerCreating")
        return ContainerId(str(path))

    def find_running(self, namespace: str, pod: str, container: str) -> ContainerId:
        raise interface.not_running(container)

    def find_sandbox(self, namespace: str, pod: str) -> ContainerId:
        raise interface.pod_missing(namespace, pod)

    def pods(self) -> Sequence[Pod]:
        return []

    def _path(self, pod: str, container: str) -> Path:
        folder = self.directory / pod / container
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "json.log"


class NoUsage:
    def node(self) -> Usage:
        return Usage(cpu_nanoseconds=0, memory=0, working_set=0)

    def pods(self) -> Sequence[PodUsage]:
        return []


@dataclass
class World:
    server: Server
    namespace: str
    logs: Logs

    async def __call__(self, *arguments: str, fails: bool = False) -> str:
        def run() -> subprocess.CompletedProcess[str]:
            command = ("logs", "--namespace", self.namespace, *arguments)
            return self.server.kubectl(*command, check=False)

        done = await asyncio.to_thread(run)
        assert (done.returncode != 0) == fails, done
        return done.stderr if fails else done.stdout


@pytest_asyncio.fixture
async def kubectl_logs(
    server: Server, api: Api, namespace: str, tmp_path: Path
) -> AsyncIterator[World]:
    logs = Logs(tmp_path)
    agent = AgentServer(
        node_name="n",
        runtime=logs,  # type: ignore[arg-type]
        pods=logs,
        usage_source=NoUsage(),
        statistics={},
        clock=CLOCK,
    )
    pair = pki.issue(
        server.ca, common_name="n", ip_addresses=["127.0.0.1"], server=True, clock=CLOCK
    )
    tls = pki.server_context(pair, ca_pem=server.ca_pem)
    await agent.start(host="127.0.0.1", port=0, tls=tls)
    node = f"n-{uuid.uuid4().hex[:6]}"
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}},
    }
    code, _ = await api.patch(f"/api/v1/nodes/{node}/status", {"status": status})
    assert code == 200
    for name in ("one", "two"):
        await api.ok("POST", f"/api/v1/namespaces/{namespace}/pods", pod(name, node))
    yield World(server, namespace, logs)
    await agent.close()
    logs.reader.close()


def pod(name: str, node: str) -> Any:
    containers = [{"name": each, "image": "i"} for each in ("web", "side")]
    annotations = {"kubectl.kubernetes.io/default-container": "web"}
    return {
        "metadata": {"name": name, "labels": {"app": "x"}, "annotations": annotations},
        "spec": {
            "nodeName": node,
            "initContainers": [{"name": "init", "image": "i"}],
            "containers": containers,
        },
    }


async def test_parts_of_a_log(kubectl_logs: World) -> None:
    write = kubectl_logs.logs.write
    write("one", "web", "hours ago", ago=7200)
    kubectl_logs.logs.rotate("one", "web")
    write("one", "web", "minutes ago", ago=600)
    write("one", "web", "now", stream="stderr")
    whole = "hours ago\nminutes ago\nnow\n"
    assert await kubectl_logs("one") == whole
    assert await kubectl_logs("pod/one", "-c", "web", "--tail=-1") == whole
    assert await kubectl_logs("one", "--tail=2") == "minutes ago\nnow\n"
    assert await kubectl_logs("one", "--tail=0") == ""
    assert await kubectl_logs("one", "--since=20m") == "minutes ago\nnow\n"
    moment = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await kubectl_logs("one", f"--since-time={moment}", "--tail=1") == "now\n"
    assert await kubectl_logs("one", "--limit-bytes=11") == "hours ago\nm"
    stamped = (await kubectl_logs("one", "--timestamps", "--tail=1")).split()
    assert datetime.fromisoformat(f"{stamped[0][:26]}+00:00") and stamped[1] == "now"


async def test_which_container(kubectl_logs: World) -> None:
    write = kubectl_logs.logs.write
    for name in ("one", "two"):
        for container in ("init", "web", "side"):
            write(name, container, f"{container} of {name}")
    write("one", "web-previous", "it crashed")
    assert await kubectl_logs("one", "-c", "side") == "side of one\n"
    assert await kubectl_logs("one", "--previous") == "it crashed\n"
    text = 'previous terminated container "side" in pod "one" not found'
    assert text in await kubectl_logs("one", "-c", "side", "-p", fails=True)
    assert "container nosuch is not valid for pod one" in await kubectl_logs(
        "one", "-c", "nosuch", fails=True
    )
    # Of several, kubectl asks in no order.
    everything = ["init of one", "side of one", "web of one"]
    assert sorted((await kubectl_logs("one", "--all-containers")).splitlines()) == everything
    prefixed = sorted((await kubectl_logs("one", "--all-containers", "--prefix")).splitlines())
    assert prefixed == [f"[pod/one/{line.split()[0]}] {line}" for line in everything]
    both = (await kubectl_logs("-l", "app=x")).splitlines()
    assert sorted(both) == ["web of one", "web of two"]
    selected = await kubectl_logs("-l", "app=x", "--all-containers", "--prefix", "--tail=1")
    assert len(selected.splitlines()) == 6
    assert "you are attempting to follow 6 log streams" in await kubectl_logs(
        "-l", "app=x", "--all-containers", "-f", "--max-log-requests=5", fails=True
    )


async def test_one_that_waits_to_start(kubectl_logs: World) -> None:
    text = 'container "web" in pod "one" is waiting to start: ContainerCreating'
    assert text in await kubectl_logs("one", fails=True)
    kubectl_logs.logs.write("two", "web", "runs")
    selected = await kubectl_logs("-l", "app=x", "--ignore-errors")
    assert "runs" in selected and text in selected


async def test_following_through_a_rotation_to_the_end(kubectl_logs: World) -> None:
    """Both pods at once, each line as it comes."""
    logs = kubectl_logs.logs
    for name in ("one", "two"):
        logs.write(name, "web", "first")
        logs.running.add(logs.find("", name, "web"))
    following = asyncio.create_task(kubectl_logs("-f", "-l", "app=x", "--prefix"))
    async with asyncio.timeout(DEADLINE):
        while logs.reader.statistics()["log_directories_watched"] < 2:
            await asyncio.sleep(0.02)
        for name in ("one", "two"):
            logs.write(name, "web", "second")
            logs.rotate(name, "web")
            logs.write(name, "web", "third")
            logs.end(name, "web")
        lines = (await following).splitlines()
    for name in ("one", "two"):
        own = [line for line in lines if line.startswith(f"[pod/{name}/web]")]
        assert own == [f"[pod/{name}/web] {word}" for word in ("first", "second", "third")]
    assert len(lines) == 6


async def test_one_stream_and_what_cannot_be_asked(kubectl_logs: World, api: Api) -> None:
    kubectl_logs.logs.write("one", "web", "out")
    kubectl_logs.logs.write("one", "web", "err", stream="stderr")
    path = f"/api/v1/namespaces/{kubectl_logs.namespace}/pods/one/log?container=web"
    assert await api.get(f"{path}&stream=Stderr") == (200, "err\n")
    assert await api.get(f"{path}&stream=All") == (200, "out\nerr\n")
    code, answer = await api.get(f"{path}&tailLines=-3&limitBytes=0")
    assert (code, answer["reason"]) == (422, "Invalid")
    assert answer["message"] == (
        'PodLogOptions "one" is invalid: '
        "[tailLines: Invalid value: -3: must be greater than or equal to 0, "
        "limitBytes: Invalid value: 0: must be greater than 0]"
    )
    code, answer = await api.get(f"{path}&tailLines=many")
    assert code == 400 and "tailLines" in answer["message"]
