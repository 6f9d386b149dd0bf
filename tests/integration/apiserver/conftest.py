"""A real control plane in a process of its own, on loopback, for the tests of this folder."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
import pytest_asyncio

from base import pki
from base.clock import SystemClock
from tests.leftovers import end_with_us
from tests.patience import DEADLINE, PATIENCE
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]


class Server:
    """Starts, stops and kills a control plane on one state directory.

    The keys that the first one has made are those of all: to make them takes longer than the rest of a
    start, and every start looks at them as at its own.
    """

    _keys: ClassVar[Path | None] = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.program = ("-m", "cli")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str, whole: bool = False) -> None:
        """`whole`: with the controllers, which make what admission asks for."""
        if not whole:
            # Nobody makes accounts: pods are to do without, as in Kubernetes' own tests.
            options = (
                "--controllers=false",
                "--disable-admission-plugins=ServiceAccount",
                *options,
            )
        self._bring_keys()
        log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen(
            [
                sys.executable, *self.program, "control", f"--config={os.devnull}",
                f"--state-dir={self.directory / 'state'}", f"--pki-dir={self.directory / 'pki'}",
                f"--kubeconfig-out={self.kubeconfig}", f"--port={self.port}",
                "--listen-address=127.0.0.1", "--advertise-address=127.0.0.1",
                *options,
            ],
            cwd=ROOT, stdout=log, stderr=log, preexec_fn=end_with_us,
        )  # fmt: skip
        self._wait_ready()

    def _bring_keys(self) -> None:
        own, known = self.directory / "pki", Server._keys
        if not own.exists() and known is not None and known.is_dir():
            shutil.copytree(known, own)

    def _wait_ready(self) -> None:
        assert self._process is not None
        ends = time.monotonic() + DEADLINE * PATIENCE
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            try:
                context = pki.client_context(ca_pem=self.ca_pem)
                with (
                    socket.create_connection(("127.0.0.1", self.port), timeout=5) as raw,
                    context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
                ):
                    secured.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if b" 200 " in secured.recv(100):
                        Server._keys = Server._keys or self.directory / "pki"
                        return
            except (OSError, ssl.SSLError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready:\n{self.log()}")

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(timeout=DEADLINE * PATIENCE)
        self._process = None
        return code

    @property
    def ca_pem(self) -> bytes:
        return (self.directory / "pki" / "ca.crt").read_bytes()

    @property
    def ca(self) -> pki.KeyPair:
        found = pki.load(self.directory / "pki", "ca")
        assert found is not None
        return found

    def node_pair(self, node: str) -> pki.KeyPair:
        """By which a node's agent is known, to the API server and to who asks it."""
        return pki.issue(
            self.ca,
            common_name=f"system:node:{node}",
            organizations=["system:nodes"],
            ip_addresses=["127.0.0.1"],
            server=True,
            client=True,
            clock=SystemClock(),
        )

    def agent_context(self, node: str) -> ssl.SSLContext:
        """TLS of an agent that answers only who has a certificate of the cluster."""
        return pki.server_context(
            self.node_pair(node), ca_pem=self.ca_pem, require_client_certificate=True
        )

    def context(self, pair: pki.KeyPair | None = None) -> ssl.SSLContext:
        """TLS as the administrator, or as somebody else."""
        if pair is None:
            pair = pki.load(self.directory / "pki", "admin")
        return pki.client_context(ca_pem=self.ca_pem, pair=pair)

    def create_namespace(self, name: str) -> None:
        """Without kubectl, whose start takes longer than all the rest."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.context(), timeout=DEADLINE * PATIENCE
        )
        body = json.dumps({"metadata": {"name": name}})
        connection.request("POST", "/api/v1/namespaces", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 201
        connection.close()

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,
        check: bool = True,
        program: str = "kubectl",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *arguments],
            input=input,
            text=True,
            capture_output=True,
            timeout=2 * DEADLINE * PATIENCE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "KUBECONFIG": str(self.kubeconfig),
                **environment,
            },
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {arguments}: {done.stderr}\n{done.stdout}")
        return done


class Api:
    """A client that hides nothing: status code, headers and body of each answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.headers: dict[str, str] = {}

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        sent = {"Content-Type": content_type} if data is not None else {}
        async with self.session.request(
            method, self.url + path, data=data, headers={**sent, **(headers or {})}
        ) as answer:
            self.headers = dict(answer.headers)
            self.warnings = answer.headers.getall("Warning", [])
            text = await answer.read()
            if answer.content_type == "application/json":
                return answer.status, json.loads(text)
            return answer.status, text.decode()

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        return await self.request("GET", path, **more)

    async def post(self, path: str, body: Any, **more: Any) -> tuple[int, Any]:
        return await self.request("POST", path, body, **more)

    async def put(self, path: str, body: Any, **more: Any) -> tuple[int, Any]:
        return await self.request("PUT", path, body, **more)

    async def delete(self, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        return await self.request("DELETE", path, body, **more)

    async def patch(self, path: str, body: Any, kind: str = "merge") -> tuple[int, Any]:
        content_type = {
            "merge": "application/merge-patch+json",
            "strategic": "application/strategic-merge-patch+json",
            "json": "application/json-patch+json",
        }.get(kind, kind)
        return await self.request("PATCH", path, body, content_type=content_type)

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        code, answer = await self.request(method, path, body, **more)
        assert code in (200, 201), answer
        return answer


async def refusals(api: Api) -> float:
    """How many evictions have been refused for the time being."""
    _, text = await api.get("/metrics")
    rows = [row for row in text.splitlines() if row.startswith("apiserver_request_total{")]
    refused = [row for row in rows if 'code="429"' in row and 'subresource="eviction"' in row]
    return sum(float(row.rpartition(" ")[2]) for row in refused)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("apiserver"))
    made.start()
    yield made
    made.stop()


@pytest_asyncio.fixture
async def api(server: Server) -> AsyncIterator[Api]:
    connector = aiohttp.TCPConnector(ssl=server.context(), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Api(session, server.url)


@pytest_asyncio.fixture
async def namespace(api: Api) -> str:
    """A namespace of the test's own; it goes with the server."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest_asyncio.fixture
async def maps(namespace: str) -> str:
    """The path of that namespace's ConfigMaps."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


def config_map(name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **more}
