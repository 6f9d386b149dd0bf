"""Between our records and the Docker Engine's JSON (step 4 of the pod's walk). Pure functions only.

Nothing here parses, guesses or defaults as client libraries do: what a record says must reach the
engine unchanged.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

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
from agent.containers.records import (
    ContainerCreate,
    ContainerId,
    ContainerRecord,
    ContainerState,
    EngineInfo,
    EventKind,
    ImageId,
    ImageRecord,
    InForce,
    Mount,
    Propagation,
    PullProgress,
    RegistryAuth,
    RuntimeEvent,
)

Json = dict[str, Any]

PREFERRED_API = (1, 47)
"""The newest engine API these functions were written for; older and newer engines negotiate."""

LARGEST_ARCHIVE = 4 * 1024 * 1024
"""Bytes of a file that is read from an image."""
CPU_PERIOD = 100_000
"""Microseconds in which a quota counts."""
CAP_SYS_RESOURCE = 24
"""Its bit in the masks of /proc/PID/status, see capabilities(7)."""

_NEVER = "0001-01-01T00:00:00Z"
_EXITED = re.compile(r"Exited \((\d+)\)")
_EVENT_FACTS = frozenset({"name", "image", "exitCode", "signal", "execID", "execDuration"})
_MISSING_IMAGE = ("No such image", "manifest", "pull access", "reference does not exist")
_DENIED = (
    "pull access denied",
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "denied: ",
    "access forbidden",
)
_UNREACHABLE = (
    "connection refused",
    "connection reset by peer",
    "no such host",
    "no route to host",
    "network is unreachable",
    "server misbehaving",
    "i/o timeout",
    "TLS handshake timeout",
    "Client.Timeout exceeded",
    "context deadline exceeded",
    "Bad Gateway",
    "Service Unavailable",
    "Gateway Timeout",
    "Internal Server Error",
)
_NO_PROGRAM = ("executable file not found", "no such file or directory")


def choose_api_version(*, offered: str, minimum: str) -> str:
    """The API version to speak with an engine that speaks `minimum` to `offered`."""
    newest, oldest = (
        tuple(int(n) for n in text.split(".")) for text in (offered, minimum or "1.0")
    )
    major, minor = max(oldest, min(newest, PREFERRED_API))
    return f"{major}.{minor}"


def container_config(spec: ContainerCreate) -> Json:
    """The body of `POST /containers/create`."""
    config: Json = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "Tty": spec.tty,
        # An image's own health check would run beside the pod's probes, seen by nobody.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(spec),
    }
    chosen = {
        "Entrypoint": None if spec.command is None else list(spec.command),
        "Cmd": None if spec.args is None else list(spec.args),
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Hostname": spec.hostname or None,
        "StopSignal": spec.stop_signal or None,
    }
    return config | {key: value for key, value in chosen.items() if value is not None}


def _host_config(spec: ContainerCreate) -> Json:
    limits = spec.log_limits
    config: Json = {
        "NetworkMode": spec.network_mode,
        "IpcMode": spec.ipc_mode,
        "PidMode": spec.pid_mode,
        "CgroupParent": spec.cgroup_parent,
        "CpuShares": spec.cpu_shares,
        "CpuQuota": max(0, spec.cpu_quota),
        "CpuPeriod": spec.cpu_period,
        "CpusetCpus": spec.cpuset_cpus,
        "Memory": spec.memory,
        # The engine's default is twice the memory, half of it swap.
        "MemorySwap": spec.memory,
        "OomScoreAdj": spec.oom_score_adj,
        "ShmSize": spec.shm_size,
        "Mounts": [_mount(mount) for mount in spec.mounts if not _as_bind(mount)],
        "Binds": [_bind(mount) for mount in spec.mounts if _as_bind(mount)],
        "Tmpfs": dict(spec.tmpfs),
        "GroupAdd": list(spec.group_add),
        "ReadonlyRootfs": spec.read_only_rootfs,
        "Privileged": spec.privileged,
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "SecurityOpt": list(spec.security_options),
        "Sysctls": dict(spec.sysctls),
        "Ulimits": [{"Name": n, "Soft": soft, "Hard": hard} for n, soft, hard in spec.ulimits],
        "Devices": [
            {
                "PathOnHost": d.source,
                "PathInContainer": d.target,
                "CgroupPermissions": d.permissions,
            }
            for d in spec.devices
        ],
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(limits.max_size), "max-file": str(limits.max_files)},
        },
    }
    if spec.runtime:
        config["Runtime"] = spec.runtime
    if spec.pids_limit:
        config["PidsLimit"] = spec.pids_limit
    if spec.masked_paths is not None:
        config["MaskedPaths"] = list(spec.masked_paths)
    if spec.readonly_paths is not None:
        config["ReadonlyPaths"] = list(spec.readonly_paths)
    return config


def _mount(mount: Mount) -> Json:
    # `Mounts` and not `Binds`: a path may hold colons, and a missing source is an error, not a new folder.
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": _propagation(mount)},
    }


def _propagation(mount: Mount) -> str:
    """Empty for the engine's own default, which is private.

    Asked for by name, it refuses a source above its own root (`/`, or `/var`): the mounts of its
    containers would stay pinned there. By default it gives such a source, and no other, `rslave`.
    """
    return "" if mount.propagation is Propagation.PRIVATE else mount.propagation.value


def _as_bind(mount: Mount) -> bool:
    """`Mounts` cannot ask for a label. A path with colons, which no bind can have, goes without."""
    return mount.relabel and ":" not in mount.source + mount.target


def _bind(mount: Mount) -> str:
    access = "ro" if mount.read_only else "rw"
    options = [access, "Z", _propagation(mount)]
    return f"{mount.source}:{mount.target}:{','.join(filter(None, options))}"


def container_record(inspected: Json) -> ContainerRecord:
    """The answer of `GET /containers/ID/json`."""
    state, config = inspected["State"], inspected["Config"]
    host = inspected.get("HostConfig") or {}
    return ContainerRecord(
        id=ContainerId(inspected["Id"]),
        name=inspected["Name"].removeprefix("/"),
        image=config["Image"],
        image_id=ImageId(inspected["Image"]),
        labels=config.get("Labels") or {},
        state=ContainerState(state["Status"]),
        created_at=timestamp(inspected["Created"]) or datetime.fromtimestamp(0, UTC),
        started_at=timestamp(state.get("StartedAt", "")),
        finished_at=timestamp(state.get("FinishedAt", "")),
        exit_code=state.get("ExitCode", 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=readable(state.get("Error", "")),
        pid=state.get("Pid", 0),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        tty=bool(config.get("Tty")),
        log_path=inspected.get("LogPath", ""),
        cpus=inspected.get("HostConfig", {}).get("CpusetCpus", ""),
        log_driver=(host.get("LogConfig") or {}).get("Type", ""),
        in_force=InForce(
            cpu_shares=host.get("CpuShares", 0),
            cpu_quota=max(0, host.get("CpuQuota", 0)),
            memory=host.get("Memory", 0),
        ),
    )


def listed_container(listed: Json) -> ContainerRecord:
    """One item of `GET /containers/json`, which says not when it ran, and how it ended in words only."""
    names = listed.get("Names") or [""]
    ended = _EXITED.match(listed.get("Status", ""))
    return ContainerRecord(
        id=ContainerId(listed["Id"]),
        name=names[0].removeprefix("/"),
        image=listed["Image"],
        image_id=ImageId(listed.get("ImageID", "")),
        labels=listed.get("Labels") or {},
        state=ContainerState(listed["State"]),
        created_at=datetime.fromtimestamp(listed.get("Created", 0), UTC),
        exit_code=int(ended.group(1)) if ended else 0,
    )


def image_record(inspected: Json) -> ImageRecord:
    """The answer of `GET /images/NAME/json`."""
    config = inspected.get("Config") or {}
    return ImageRecord(
        id=ImageId(inspected["Id"]),
        tags=tuple(inspected.get("RepoTags") or ()),
        digests=tuple(inspected.get("RepoDigests") or ()),
        size=inspected.get("Size", 0),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User", ""),
        working_dir=config.get("WorkingDir", ""),
        env=tuple(config.get("Env") or ()),
        stop_signal=config.get("StopSignal", ""),
        layers=_layers(inspected.get("GraphDriver") or {}),
    )


def _layers(driver: Json) -> tuple[str, ...]:
    """The folders of the storage driver overlay2; other drivers keep images otherwise."""
    if driver.get("Name") != "overlay2":
        return ()
    data = driver.get("Data") or {}
    below = data.get("LowerDir") or ""
    return tuple(folder for folder in (data.get("UpperDir", ""), *below.split(":")) if folder)


def listed_image(listed: Json) -> ImageRecord:
    """One item of `GET /images/json`, which says nothing of the image's configuration."""
    return ImageRecord(
        id=ImageId(listed["Id"]),
        tags=tuple(tag for tag in listed.get("RepoTags") or () if tag != "<none>:<none>"),
        digests=tuple(d for d in listed.get("RepoDigests") or () if d != "<none>@<none>"),
        size=listed.get("Size", 0),
    )


CONTAINER_EVENTS = ("create", "start", "die", "oom", "destroy")
IMAGE_EVENTS = ("pull", "load", "import", "tag")


def runtime_event(message: Json) -> RuntimeEvent | None:
    """One message of `GET /events`; None for what we have no use for."""
    action, when = message.get("Action", ""), message.get("timeNano", 0) / 1e9
    if message.get("Type") == "image":
        if action not in IMAGE_EVENTS:
            return None
        return RuntimeEvent(kind=EventKind.IMAGE_CAME, time=datetime.fromtimestamp(when, UTC))
    if action not in CONTAINER_EVENTS:
        return None
    kind, actor = EventKind(action), message.get("Actor", {})
    facts: Mapping[str, str] = actor.get("Attributes") or {}
    code = facts.get("exitCode", "")
    return RuntimeEvent(
        kind=kind,
        time=datetime.fromtimestamp(when, UTC),
        id=ContainerId(actor.get("ID", "")),
        name=facts.get("name", ""),
        labels={name: value for name, value in facts.items() if name not in _EVENT_FACTS},
        exit_code=int(code) if code.lstrip("-").isdigit() else None,
    )


def event_message(message: Json) -> tuple[str, RuntimeEvent | None]:
    """The moment after a message of `GET /events`, and what it tells, if that is of use."""
    try:
        return just_after(message["timeNano"]), runtime_event(message)
    except (AttributeError, KeyError, TypeError) as error:
        said = json.dumps(message)[:200]
        raise EngineError(f"the Docker Engine sent something that is no event: {said}") from error


def engine_info(
    info: Json, version: Json, *, capabilities: int, last_capability: int
) -> EngineInfo:
    """From `GET /info`, `GET /version` and the capabilities that a process has on this machine."""
    every = (1 << (last_capability + 1)) - 1
    return EngineInfo(
        version=version.get("Version", ""),
        api_version=version.get("ApiVersion", ""),
        os_type=info.get("OSType", "linux"),
        architecture=info.get("Architecture", ""),
        operating_system=info.get("OperatingSystem", ""),
        kernel_version=info.get("KernelVersion", ""),
        cgroup_version=int(info.get("CgroupVersion") or 1),
        cgroup_driver=info.get("CgroupDriver", "cgroupfs"),
        storage_driver=info.get("Driver", ""),
        root_dir=info.get("DockerRootDir", ""),
        security_options=tuple(info.get("SecurityOptions") or ()),
        cpus=info.get("NCPU", 0),
        memory=info.get("MemTotal", 0),
        runtime=info.get("DefaultRuntime", "runc"),
        runtimes=tuple(info.get("Runtimes") or ("runc",)),
        components={part["Name"]: part["Version"] for part in version.get("Components") or ()},
        can_lower_oom_score=bool(capabilities >> CAP_SYS_RESOURCE & 1),
        can_run_privileged=capabilities & every == every,
    )


def effective_capabilities(status: str) -> int:
    """The CapEff mask in the text of /proc/PID/status."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(found[1], 16) if found else 0


def timestamp(text: str) -> datetime | None:
    """RFC 3339 with up to nine decimals, of which a datetime keeps six; None for Go's zero time."""
    if not text or text == _NEVER:
        return None
    whole, _, rest = text.partition(".")
    if not rest:
        return datetime.fromisoformat(text)
    digits = re.match(r"\d*", rest)
    fraction = digits[0] if digits else ""
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}{rest[len(fraction) :]}")


def failure(status: int, message: str) -> RuntimeFailure:
    """The engine's refusal as one of our errors."""
    text = message.strip() or f"the engine answered with status {status}"
    if status == 404:
        image = any(words in text for words in _MISSING_IMAGE)
        return ImageNotFound(text) if image else NotFound(text)
    if status == 409 and "is already in use by container" in text:
        return NameInUse(text)
    if status == 409 and "is paused" in text:
        return Paused(text)
    if status == 409 and "is not running" in text:
        return NotRunning(text)
    if status in (502, 503, 504):
        return EngineUnavailable(text)
    return EngineError(text)


def start_failure(status: int, message: str) -> RuntimeFailure:
    """Why `POST /containers/ID/start` was refused."""
    if status == 404 and "No such container" in message:
        return NotFound(message.strip())
    text = readable(message)
    error = StartError(text)
    if any(reason in text for reason in _NO_PROGRAM):
        error.exit_code = 127
    elif "permission denied" in text or "is a directory" in text:
        error.exit_code = 126
    return error


def pull_failure(message: str) -> RuntimeFailure:
    """Why a pull ended early; the engine reports it as text in the stream of progress."""
    text = message.strip()
    if any(words in text for words in _DENIED):
        return PullDenied(text)
    if any(words in text for words in _UNREACHABLE):
        return RegistryUnavailable(text)
    if "manifest unknown" in text or "not found" in text or "repository does not exist" in text:
        return ImageNotFound(text)
    return PullError(text)


def readable(message: str) -> str:
    """An OCI runtime's message without the chain of programs that passed it on.

    `failed to create task for container: failed to create shim task: OCI runtime create failed:
    runc create failed: unable to start container process: exec: "x": executable file not found in
    $PATH: unknown` becomes the part from `exec:`.
    """
    text = message.strip().removesuffix(": unknown")
    for marker in (
        "unable to start container process: ",
        "starting container process caused: ",
        "runc create failed: ",
        "OCI runtime create failed: ",
        "failed to create shim task: ",
    ):
        _, found, after = text.partition(marker)
        if found:
            return after
    return text


def file_of_archive(archive: bytes) -> tuple[bytes | None, str]:
    """The one file of a tar, as `GET /containers/ID/archive` gives it: its content, or where a link
    leads."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for member in opened:
                if member.issym():
                    return None, member.linkname
                reader = opened.extractfile(member) if member.isfile() else None
                return (None if reader is None else reader.read()), ""
    except tarfile.TarError as error:  # a killed engine ends in the middle of a file
        raise EngineUnavailable(f"the Docker Engine broke off an archive: {error}") from error
    return None, ""


def split_reference(reference: str) -> tuple[str, str]:
    """(repository, tag or digest); a reference without either means the tag `latest`."""
    repository, at, digest = reference.partition("@")
    if at:
        return repository, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")


def label_filters(labels: Mapping[str, str]) -> str:
    """The `filters` parameter that selects containers with all these labels."""
    return json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})


def exec_config(argv: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> Json:
    """The body of `POST /containers/ID/exec`."""
    attached = {"AttachStdin": stdin, "AttachStdout": stdout, "AttachStderr": stderr}
    return {"Cmd": list(argv), "Tty": tty, **attached}


def limits_config(limits: InForce) -> Json:
    """The body of `POST /containers/ID/update`. What is 0 stays as it is."""
    config: Json = {}
    if limits.cpu_shares:
        config["CpuShares"] = limits.cpu_shares
    if limits.cpu_quota:
        config |= {"CpuPeriod": CPU_PERIOD, "CpuQuota": limits.cpu_quota}
    if limits.memory:
        config |= {"Memory": limits.memory, "MemorySwap": limits.memory}
    return config


def registry_header(auth: RegistryAuth) -> str:
    """The value of X-Registry-Auth."""
    fields = {
        "username": auth.username,
        "password": auth.password,
        "identitytoken": auth.identity_token,
        "serveraddress": auth.server,
    }
    text = json.dumps({name: value for name, value in fields.items() if value})
    return base64.urlsafe_b64encode(text.encode()).decode()


def pull_progress(message: Json) -> PullProgress:
    """One message of a pull's stream."""
    detail = message.get("progressDetail") or {}
    return PullProgress(
        layer=str(message.get("id", "")),
        status=str(message.get("status", "")),
        current=int(detail.get("current") or 0),
        total=int(detail.get("total") or 0),
    )


def just_after(nanoseconds: int) -> str:
    """The moment after this one, as the `since` of the event stream."""
    seconds, rest = divmod(nanoseconds + 1, 10**9)
    return f"{seconds}.{rest:09d}"
