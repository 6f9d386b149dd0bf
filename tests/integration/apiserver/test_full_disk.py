"""A control plane whose disk is full, or has become read-only: it says so, and everything is still read."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.node import machine
from tests.integration.apiserver.conftest import Server, config_map
from tests.leftovers import small_disk

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    target = tmp_path / "state"
    with small_disk(target, 8 << 20):
        yield target


@pytest.fixture
def server(disk: Path) -> Iterator[Server]:
    made = Server(disk.parent)
    made.start()
    yield made
    made.kill()


def connector(server: Server) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(ssl=server.context())


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * shutil.disk_usage(disk).free)
    return ballast


async def refused(session: aiohttp.ClientSession, server: Server, words: str) -> None:
    """Sooner or later every write is refused, with a Status that says why."""
    for number in range(200):  # what room the log has left is used up first
        body = config_map(f"refused-{number}", data={"text": "x" * 20_000})
        async with session.post(server.url + MAPS, json=body) as answer:
            status: dict[str, Any] = await answer.json()
            if answer.status != 201:
                break
    assert answer.status == 507
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", 507)
    assert status["reason"] == "InsufficientStorage"
    assert words in status["message"]


async def reads(session: aiohttp.ClientSession, server: Server) -> None:
    async with session.get(f"{server.url}{MAPS}/first") as answer:
        assert answer.status == 200
    async with session.get(server.url + MAPS) as answer:
        assert answer.status == 200
        assert "first" in [item["metadata"]["name"] for item in (await answer.json())["items"]]


async def test_a_full_disk(server: Server, disk: Path) -> None:
    async with aiohttp.ClientSession(connector=connector(server)) as session:
        async with session.post(server.url + MAPS, json=config_map("first")) as answer:
            assert answer.status == 201
        ballast = fill(disk)
        await refused(session, server, "the disk is full")
        await reads(session, server)
        create = ["create", "configmap", "told", f"--from-literal=text={'x' * 20_000}"]
        command = ["kubectl", f"--kubeconfig={server.kubeconfig}", *create]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.returncode != 0
        assert "the disk is full" in said.stderr
        ballast.unlink()
        async with session.post(server.url + MAPS, json=config_map("second")) as answer:
            assert answer.status == 201, "there is room again, and nobody had to restart anything"
        await reads(session, server)


async def test_a_read_only_disk(server: Server, disk: Path) -> None:
    """What a kernel does to a file system that has errors, seen by the next start."""
    url, first = server.url + MAPS, config_map("first")
    async with (
        aiohttp.ClientSession(connector=connector(server)) as session,
        session.post(url, json=first) as answer,
    ):
        assert answer.status == 201
    server.kill()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(AssertionError, match="not ready"):
        server.start()
    assert "cannot be opened: Read-only file system" in server.log()
    assert "Traceback" not in server.log()
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    server.start()
    async with aiohttp.ClientSession(connector=connector(server)) as session:
        await reads(session, server)


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Path]:
    """A file system that the kernel makes read-only at its first error."""
    image, target = tmp_path / "image", tmp_path / "faulty" / "state"
    target.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(32 << 20)
    commands = (
        ["mkfs.ext4", "-q", "-F", image],
        ["mount", "-o", "loop,errors=remount-ro", image, target],
    )
    for command in commands:
        if shutil.which(str(command[0])) is None or subprocess.run(command, check=False).returncode:
            pytest.skip("needs root, ext4 and a loop device")
    target.chmod(0o700)
    try:
        if not os.access(error_of(target), os.W_OK):
            pytest.skip("this kernel makes no errors on demand")
        yield target
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


def error_of(disk: Path) -> Path:
    """What is written there is an error of the file system, as a failing disk makes one."""
    command = ["findmnt", "--noheadings", "--output=SOURCE", disk]
    source = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path("/sys/fs/ext4", Path(source.stdout.strip()).name, "trigger_fs_error")


async def test_a_disk_that_becomes_read_only_under_a_running_server(faulty: Path) -> None:
    server = Server(faulty.parent)
    server.start()
    async with aiohttp.ClientSession(connector=connector(server)) as session:
        async with session.post(server.url + MAPS, json=config_map("first")) as answer:
            assert answer.status == 201
        found = machine.disk(faulty, given_up=True)
        assert found is not None and found.unwritable == ""
        error_of(faulty).write_text("on demand")
        found = machine.disk(faulty, given_up=True)
        assert found is not None and found.unwritable == "is mounted read-only", (
            "what an agent sees"
        )
        async with session.post(server.url + MAPS, json=config_map("second")) as answer:
            status: dict[str, Any] = await answer.json()
            assert (answer.status, status["reason"]) == (507, "InsufficientStorage"), status
        await reads(session, server)
        async with session.get(f"{server.url}{MAPS}/second") as answer:
            assert answer.status == 404
        async with session.get(f"{server.url}/readyz?verbose") as answer:
            assert answer.status == 500 and "[-]store failed" in await answer.text()
    assert "Traceback" not in server.log()
    server.kill()
