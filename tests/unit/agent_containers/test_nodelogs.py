"""The machine's log files, as `/logs/` shows them, over HTTP on the loopback."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.server.nodelogs import NodeLogs
from agent.server.server import _answer_errors

SECRET = "of nobody's business"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    root, engine = tmp_path / "log", tmp_path / "engine"
    for folder in (root / "pods" / "a&b", engine):
        folder.mkdir(parents=True)
    (root / "syslog").write_text("started\n")
    (root / "empty").touch()
    (engine / "abc-json.log").write_text("a line\n")
    (engine / "secret").write_text(SECRET)
    (root / "pods" / "0.log").symlink_to(engine / "abc-json.log")
    (root / "elsewhere").symlink_to(engine / "secret")
    (root / "outside").symlink_to(engine)
    (root / "inside").symlink_to(root / "syslog")
    os.mkfifo(root / "pipe")
    logs = NodeLogs(root=root, container_logs=lambda: {str(engine / "abc-json.log")})
    app = web.Application(middlewares=[_answer_errors])
    app.add_routes([web.get(path, logs.serve) for path in ("/logs", "/logs/{path:.*}")])
    async with TestClient(TestServer(app)) as client:
        yield client


async def text(client: TestClient[web.Request, web.Application], path: str) -> tuple[int, str]:
    async with client.get(aiohttp.client.URL(path, encoded=True)) as answer:
        return answer.status, await answer.text()


async def test_a_folder_is_listed(client: TestClient[web.Request, web.Application]) -> None:
    code, page = await text(client, "/logs/")
    assert code == 200
    assert '<a href="pods/">pods/</a>\n' in page
    assert '<a href="syslog">syslog</a>\n' in page
    assert '<a href="a%26b/">a&amp;b/</a>' in (await text(client, "/logs/pods/"))[1]
    for path, to in (("/logs", "logs/"), ("/logs/pods", "pods/")):
        async with client.get(path, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, to)


async def test_files_are_shown(client: TestClient[web.Request, web.Application]) -> None:
    async with client.get("/logs/syslog") as answer:
        assert await answer.text() == "started\n"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Content-Length"] == "8"
    async with client.head("/logs/syslog") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    assert await text(client, "/logs/empty") == (200, "")
    assert await text(client, "/logs/inside") == (200, "started\n")
    assert await text(client, "/logs/pods/0.log") == (200, "a line\n"), "a container's log"


@pytest.mark.parametrize(
    "path",
    [
        "/logs/nothing",
        "/logs/elsewhere",
        "/logs/outside/",
        "/logs/outside/secret",
        "/logs/../engine/secret",
        "/logs/%2e%2e/engine/secret",
        "/logs/pods%2f..%2f..%2fengine%2fsecret",
        "/logs/%2fetc/passwd",
        "/logs/pipe",
        "/logs/a%00b",
    ],
)
async def test_nothing_else_is(client: TestClient[web.Request, web.Application], path: str) -> None:
    code, said = await text(client, path)
    assert code == 404
    assert SECRET not in said
