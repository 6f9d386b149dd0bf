"""What reaches the engine, and what its answers mean."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.containers import engine_json
from agent.containers.errors import (
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameInUse,
    NotFound,
    NotRunning,
    Paused,
    PullDenied,
    PullError,
    RegistryUnavailable,
    RuntimeFailure,
    StartError,
)
from agent.containers.records import ContainerCreate, Mount, Propagation

MISSING_PROGRAM = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: "
    'exec: "nosuch": executable file not found in $PATH: unknown'
)


def test_the_image_decides_what_is_not_said() -> None:
    config = engine_json.container_config(ContainerCreate(name="web", image="app:1"))
    assert not config.keys() & {
        "Entrypoint",
        "Cmd",
        "User",
        "WorkingDir",
        "Hostname",
        "StopSignal",
    }
    assert config["Healthcheck"] == {"Test": ["NONE"]}


def test_a_runtime_is_named_only_where_it_is_chosen() -> None:
    spec = ContainerCreate(name="c", image="i")
    assert "Runtime" not in engine_json.container_config(spec)["HostConfig"]
    host = engine_json.container_config(replace(spec, runtime="runsc"))["HostConfig"]
    assert host["Runtime"] == "runsc"


LAYERS = [
    ({"Name": "overlay2", "Data": {"UpperDir": "/c", "LowerDir": "/b:/a"}}, ("/c", "/b", "/a")),
    ({"Name": "overlay2", "Data": {"UpperDir": "/a"}}, ("/a",)),
    ({"Name": "overlay2", "Data": None}, ()),
    ({"Name": "vfs", "Data": {"UpperDir": "/a"}}, ()),
    (None, ()),
]


@pytest.mark.parametrize(("driver", "layers"), LAYERS)
def test_layers_of_an_image(driver: object, layers: tuple[str, ...]) -> None:
    found = engine_json.image_record({"Id": "sha256:1", "GraphDriver": driver})
    assert found.layers == layers


def test_files_of_an_archive() -> None:
    def archive(member: tarfile.TarInfo, content: bytes = b"") -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as opened:
            opened.addfile(member, io.BytesIO(content))
        return packed.getvalue()

    file, link, folder = (tarfile.TarInfo(name) for name in ("passwd", "passwd", "passwd"))
    file.size = 3
    link.type, link.linkname = tarfile.SYMTYPE, "../usr/passwd"
    folder.type = tarfile.DIRTYPE
    assert engine_json.file_of_archive(archive(file, b"abc")) == (b"abc", "")
    assert engine_json.file_of_archive(archive(link)) == (None, "../usr/passwd")
    assert engine_json.file_of_archive(archive(folder)) == (None, "")


def test_resources_and_namespaces_pass_unchanged() -> None:
    config = engine_json.container_config(
        ContainerCreate(
            name="web",
            image="app:1",
            command=("sh",),
            args=("-c", "true"),
            env={"A": "1=2"},
            network_mode="container:abc",
            ipc_mode="container:abc",
            pid_mode="container:abc",
            cgroup_parent="kubepods/burstable/pod1",
            cpu_shares=102,
            cpu_quota=-1,
            memory=2**20,
            oom_score_adj=500,
            mounts=(
                Mount(
                    source="/a:b",
                    target="/c",
                    read_only=True,
                    propagation=Propagation.HOST_TO_CONTAINER,
                ),
                Mount(source="/pods/1/v", target="/v", relabel=True),
                Mount(source="/pods/1/w", target="/w", relabel=True, read_only=True),
            ),
        )
    )
    host = config["HostConfig"]
    assert (config["Entrypoint"], config["Cmd"], config["Env"]) == (
        ["sh"],
        ["-c", "true"],
        ["A=1=2"],
    )
    assert host["NetworkMode"] == host["IpcMode"] == host["PidMode"] == "container:abc"
    assert (host["CpuShares"], host["CpuQuota"], host["OomScoreAdj"]) == (102, 0, 500)
    assert host["Memory"] == host["MemorySwap"] == 2**20
    assert host["CgroupParent"] == "kubepods/burstable/pod1"
    assert host["Mounts"] == [
        {
            "Type": "bind",
            "Source": "/a:b",
            "Target": "/c",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rslave"},
        }
    ]
    assert host["Binds"] == ["/pods/1/v:/v:rw,Z", "/pods/1/w:/w:ro,Z"]


def test_private_propagation_is_left_to_the_engine() -> None:
    """Asked for by name, an engine refuses the root of its node (`kubectl debug node`)."""
    mounts = (
        Mount(source="/", target="/host"),
        Mount(source="/", target="/b", propagation=Propagation.BIDIRECTIONAL),
    )
    host = engine_json.container_config(ContainerCreate(name="c", image="i", mounts=mounts))[
        "HostConfig"
    ]
    assert [m["BindOptions"]["Propagation"] for m in host["Mounts"]] == ["", "rshared"]


def test_a_path_with_colons_goes_without_a_label() -> None:
    mount = Mount(source="/a:b", target="/c", relabel=True)
    host = engine_json.container_config(ContainerCreate(name="c", image="i", mounts=(mount,)))[
        "HostConfig"
    ]
    assert host["Binds"] == [] and host["Mounts"][0]["Source"] == "/a:b"


@pytest.mark.parametrize(
    ("offered", "minimum", "chosen"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.52", "1.44", "1.47"),
        ("1.60", "1.50", "1.50"),
        ("1.47", "", "1.47"),
    ],
)
def test_api_version(offered: str, minimum: str, chosen: str) -> None:
    assert engine_json.choose_api_version(offered=offered, minimum=minimum) == chosen


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("2026-11-20T23:07:53Z", datetime(2026, 11, 20, 23, 7, 53, tzinfo=UTC)),
        ("2026-11-20T23:07:53.12Z", datetime(2026, 11, 20, 23, 7, 53, 120000, tzinfo=UTC)),
        ("2026-11-20T23:07:53.123456789Z", datetime(2026, 11, 20, 23, 7, 53, 123456, tzinfo=UTC)),
        ("2026-11-21T00:07:53.5+01:00", datetime(2026, 11, 20, 23, 7, 53, 500000, tzinfo=UTC)),
    ],
)
def test_timestamp(text: str, moment: datetime | None) -> None:
    assert engine_json.timestamp(text) == moment


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "No such container: abc", NotFound),
        (404, "No such image: app:1", ImageNotFound),
        (
            409,
            'Conflict. The container name "/a" is already in use by container "b".',
            NameInUse,
        ),
        (409, "Container abc is not running", NotRunning),
        (409, "Container abc is paused, unpause the container before exec", Paused),
        (409, "conflict: unable to delete (must be forced)", EngineError),
        (500, "anything", EngineError),
        (503, "starting", EngineUnavailable),
    ],
)
def test_failures(status: int, message: str, kind: type[RuntimeFailure]) -> None:
    error = engine_json.failure(status, message)
    assert type(error) is kind and error.message == message


@pytest.mark.parametrize(
    ("message", "text", "code"),
    [
        (MISSING_PROGRAM, 'exec: "nosuch": executable file not found in $PATH', 127),
        ('OCI runtime create failed: exec: "/a": permission denied', None, 126),
        ("cannot join network of a non running container: abc", None, 128),
    ],
)
def test_start_failures_are_readable(message: str, text: str | None, code: int) -> None:
    error = engine_json.start_failure(400, message)
    assert isinstance(error, StartError) and error.exit_code == code
    assert error.message == (text or message.removeprefix("OCI runtime create failed: "))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("manifest for a:b not found: manifest unknown: manifest unknown", ImageNotFound),
        ("manifest for r.example/a:b not found", ImageNotFound),
        ("toomanyrequests: slow down", PullError),
        ("no space left on device", PullError),
        (
            "pull access denied for a, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied",
            PullDenied,
        ),
        ('Head "https://r.example/v2/a/manifests/b": unauthorized: try again', PullDenied),
        ('Head "https://r.example/v2/a/manifests/b": no basic auth credentials', PullDenied),
        ("dial tcp 192.0.2.1:443: connect: connection refused", RegistryUnavailable),
        ("dial tcp: lookup r.example on 192.0.2.53:53: no such host", RegistryUnavailable),
        ("net/http: TLS handshake timeout", RegistryUnavailable),
        ("received unexpected HTTP status: 503 Service Unavailable", RegistryUnavailable),
    ],
)
def test_pull_failures(message: str, kind: type[Exception]) -> None:
    assert type(engine_json.pull_failure(f"{message}\n")) is kind


def test_capabilities() -> None:
    status = "Name:\tx\nCapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n"
    mask = engine_json.effective_capabilities(status)
    full = engine_json.engine_info({}, {}, capabilities=mask, last_capability=40)
    assert full.can_lower_oom_score and full.can_run_privileged
    without = mask & ~(1 << engine_json.CAP_SYS_RESOURCE)
    poor = engine_json.engine_info({}, {}, capabilities=without, last_capability=40)
    assert not poor.can_lower_oom_score and not poor.can_run_privileged


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("busybox:1.36", ("busybox", "1.36")),
        ("host:5000/a/b", ("host:5000/a/b", "latest")),
        ("host:5000/a/b:c", ("host:5000/a/b", "c")),
        ("a/b@sha256:00", ("a/b", "sha256:00")),
    ],
)
def test_split_reference(reference: str, parts: tuple[str, str]) -> None:
    assert engine_json.split_reference(reference) == parts
