"""Every kubectl that this machine has, each in a namespace of its own, against one live control plane.

Beside the `kubectl` of the PATH these are its siblings of other versions (`kubectl.1.28`, …), as some
packages install them, and Debian's own, which is the oldest that people still have.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.debian import fetch_kubectl
from tests.integration.apiserver.conftest import Server
from tests.leftovers import end_with_us
from tests.patience import wait_until

DEBIAN = "Debian's"


def installed() -> list[str]:
    """The programs, the one of the PATH first; of its siblings those of other versions."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    siblings = sorted(Path(found).resolve().parent.glob("kubectl.[0-9]*"))
    major, minor = version_of(found)
    return [found, *(str(one) for one in siblings if one.name != f"kubectl.{major}.{minor}")]


@functools.cache
def version_of(program: str) -> tuple[int, int]:
    asked = [program, "version", "--client", "-o", "json"]
    printed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    found = json.loads(printed)["clientVersion"]
    return int(found["major"]), int(re.sub(r"\D", "", found["minor"]))


@dataclass(frozen=True)
class Kubectl:
    """One kubectl in one namespace; a call returns what it printed, or what it complained of."""

    server: Server
    program: str
    version: tuple[int, int]
    namespace: str

    def __call__(
        self, *arguments: str, input: str | None = None, fails: bool = False, **environment: str
    ) -> str:
        done = self.run(*arguments, input=input, **environment)
        assert (done.returncode != 0) == fails, f"{arguments}: {done}"
        return done.stderr if fails else done.stdout

    def run(
        self, *arguments: str, input: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        arguments = ("--namespace", self.namespace, *arguments)
        return self.server.kubectl(
            *arguments, input=input, check=False, program=self.program, **environment
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A call that goes on, whose output can be read meanwhile."""
        return subprocess.Popen(
            [self.program, f"--kubeconfig={self.server.kubeconfig}",
             f"--namespace={self.namespace}", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={"HOME": str(self.server.directory), "PATH": "/usr/bin:/bin"},
            preexec_fn=end_with_us,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        return json.loads(self("get", *arguments, "-o", "json"))

    def path(self, target: str, path: str) -> str:
        """One value of an object."""
        return self("get", target, "-o", f"jsonpath={path}")

    def apply(self, manifest: str, *more: str) -> str:
        return self("apply", "-f", "-", *more, input=manifest)

    def lines(self, *arguments: str) -> list[list[str]]:
        """What was printed, by line and word."""
        return [line.split() for line in self(*arguments).splitlines()]

    def observed(self, target: str) -> None:
        """Wait until the controller has seen the present spec. Not every version waits for a value."""

        def same() -> bool:
            both = self.path(target, "{.metadata.generation} {.status.observedGeneration}")
            wanted, _, seen = both.partition(" ")
            return wanted == seen

        wait_until(same)

    def since(self, major: int, minor: int, why: str) -> None:
        """Skip the test for those that are older."""
        if self.version < (major, minor):
            pytest.skip(f"kubectl {self.version[0]}.{self.version[1]} is older: {why}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane with its controllers; no node but those that tests write."""
    made = Server(tmp_path_factory.mktemp("kubectl"))
    made.start("--controllers=true")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Fetches Debian's kubectl, if it is asked for."""
    return lambda: fetch_kubectl(tmp_path_factory.mktemp("kubernetes-client"))


@pytest.fixture(params=[*installed(), DEBIAN], ids=lambda program: Path(program).name)
def kubectl(request: pytest.FixtureRequest, server: Server, debian: Callable[[], str]) -> Kubectl:
    program = debian() if request.param == DEBIAN else request.param
    name = f"k-{uuid.uuid4().hex[:8]}"
    server.create_namespace(name)
    return Kubectl(server, program, version_of(program), name)


MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: {app: web}
data:
  colour: red
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """kubectl in a namespace where MANIFEST is applied."""
    kubectl.apply(MANIFEST)
    return kubectl


@pytest.fixture
def web_with_pods(web: Kubectl) -> Kubectl:
    """The same, when controllers have made all that follows from it."""
    wait_until(lambda: web.path("deploy/web", "{.status.updatedReplicas}") == "2")
    return web
