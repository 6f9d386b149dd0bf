"""A cluster of three namespace nodes, and the clients that people use, for the end-to-end tests.

The cluster is made once for all of them. A test works in a namespace of its own and may break
what it likes, as long as it mends it: the next one finds all nodes ready, or the run stops here.
What a killed earlier run left is removed first. On failure the logs of the daemons and what the API
says are copied to a folder, whose path the report names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.cluster import Cluster
from local.host import images
from tests.patience import wait_until

STATE = Path(os.environ.get("PODWRIGHT_TEST_STATE", "/tmp/podwright-e2e"))
FAILURES = Path(os.environ.get("PODWRIGHT_TEST_LOGS", "/tmp/podwright-e2e-failures"))
NODES = ("node-1", "node-2", "node-3")
OLDEST_KUBECTL = (1, 28)
NEEDED = ("dockerd", "containerd", "runc", "iptables", "nsenter")


def missing() -> str:
    """What this machine lacks for a cluster; empty when it can have one."""
    if os.geteuid() != 0:
        return "root"
    programs = [name for name in NEEDED if shutil.which(name) is None]
    return ", ".join(programs)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if lack := missing():
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"a cluster needs {lack}"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes, Ready, with the images of the examples."""
    if found := Cluster.find(STATE):
        found.destroy()
    made = Cluster.create("e2e", len(NODES), STATE)
    try:
        made.start()
        for image in images.OURS:
            made.load_image(image)
        yield made
    finally:
        _keep(made, "the-whole-run")
        made.destroy()


@pytest.fixture(autouse=True)
def whole_cluster(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that used the cluster it is mended, so that one failure stays one failure."""
    yield
    if "cluster" not in request.fixturenames:
        return
    made: Cluster = request.getfixturevalue("cluster")
    for node in made.nodes:
        if not (node.plugged() and node.connected() and node.agent.process()):
            made.repair()
            return
    if made.control.process() is None:
        made.repair()


# -- waiting -------------------------------------------------------------------------------------


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[..., Any]:
    return wait_until


# -- kubectl -------------------------------------------------------------------------------------


class KubectlError(AssertionError):
    """kubectl failed; the message holds the command and what it said."""

    def __init__(self, argv: list[str], done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(
            f"{' '.join(argv)}\nexit code {done.returncode}\n{done.stderr}{done.stdout}"
        )
        self.code, self.stderr, self.stdout = done.returncode, done.stderr, done.stdout


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl. `kubectl("get", "pods")` is its output; a failure raises KubectlError."""

    kubeconfig: Path
    namespace: str = "default"
    program: str = "kubectl"

    def __call__(
        self, *argv: str, input: str | None = None, timeout: float = 60.0, check: bool = True
    ) -> str:
        command = self.command(*argv)
        done = subprocess.run(
            command, input=input, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise KubectlError(command, done)
        return done.stdout

    def command(self, *argv: str) -> list[str]:
        """The whole command line, for tests that start it themselves."""
        where = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        return [self.program, *where, *argv]

    def json(self, *argv: str) -> Any:
        return json.loads(self(*argv, "-o", "json"))

    def logged(self, text: str, *argv: str) -> None:
        """Wait until this is what a container has written: one that runs may have said nothing yet."""

        def said() -> bool:
            written = self("logs", *argv)
            assert written == text, written
            return True

        wait_until(said)

    def apply(self, manifest: str | dict[str, Any]) -> str:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self("apply", "-f", "-", input=text)

    def inside(self, namespace: str) -> Kubectl:
        return Kubectl(self.kubeconfig, namespace, self.program)


@pytest.fixture(scope="session")
def kubectl_program() -> str:
    """The machine's kubectl, if it is recent enough to be tested with."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("there is no kubectl on this machine")
    done = subprocess.run(
        [program, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=30
    )
    version = json.loads(done.stdout)["clientVersion"]
    found = tuple(int(re.sub(r"\D", "", version[part])) for part in ("major", "minor"))
    if found < OLDEST_KUBECTL:
        wanted = ".".join(map(str, OLDEST_KUBECTL))
        pytest.skip(f"kubectl is {version['gitVersion']}, the test needs {wanted} or later")
    return program


@pytest.fixture
def kubectl(cluster: Cluster, kubectl_program: str, namespace: str) -> Kubectl:
    """kubectl in the test's own namespace."""
    return Kubectl(cluster.kubeconfig, namespace, kubectl_program)


# -- the official Python client ------------------------------------------------------------------


@pytest.fixture(scope="session")
def api_client(cluster: Cluster) -> Iterator[Any]:
    """kubernetes.client.ApiClient of the official client."""
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
    client = kubernetes.config.new_client_from_config(str(cluster.kubeconfig))
    yield client
    client.close()


@pytest.fixture(scope="session")
def core(api_client: Any) -> Any:
    """CoreV1Api of the official client."""
    import kubernetes

    return kubernetes.client.CoreV1Api(api_client)


@pytest.fixture(scope="session")
def apps(api_client: Any) -> Any:
    """AppsV1Api of the official client."""
    import kubernetes

    return kubernetes.client.AppsV1Api(api_client)


# -- a place of one's own, and the story of a failure ---------------------------------------------


@pytest.fixture
def namespace(cluster: Cluster, core: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, with its ServiceAccount; deleted afterwards, not waited for."""
    import kubernetes

    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    name = f"{words[:40].rstrip('-')}-{os.urandom(3).hex()}"
    core.create_namespace({"metadata": {"name": name}})
    wait_until(lambda: _account(core, name))
    try:
        yield name
    finally:
        if getattr(request.node, "failed", False):
            _keep(cluster, name)
        try:
            core.delete_namespace(name)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise


def _account(core: Any, namespace: str) -> bool:
    accounts = core.list_namespaced_service_account(namespace).items
    return any(account.metadata.name == "default" for account in accounts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when in ("setup", "call") and report.failed:
        item.failed = True  # type: ignore[attr-defined]
        if Path(__file__).parent in item.path.parents:
            report.sections.append(("where the logs are", str(FAILURES)))
    return report


def _keep(cluster: Cluster, name: str) -> None:
    """Copy the daemons' logs and what the API shows, for whoever looks into the failure."""
    folder = FAILURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for log in cluster.topology.logs.glob("*.log"):
        shutil.copy(log, folder)
    program = shutil.which("kubectl")
    if program is None:
        return
    for kind in ("nodes", "pods", "services,endpointslices", "deployments,replicasets", "events"):
        command = [program, f"--kubeconfig={cluster.kubeconfig}", "get", kind, "-A", "-o", "wide"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
        except subprocess.TimeoutExpired:
            continue
        (folder / f"{kind.partition(',')[0]}.txt").write_text(done.stdout + done.stderr)
