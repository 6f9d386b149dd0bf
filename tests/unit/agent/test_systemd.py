"""Slices over D-Bus: what is said on the wire, what is made of the answers, and what is asked for pods."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from agent.resources.cgroups import THREADS, Cgroups, Layout, properties
from agent.resources.classweight import ClassWeight
from agent.resources.systemd import INFINITY, Systemd, SystemdError, Value
from agent.resources.values import CpuMemory, cpu_shares
from api.core import ResourceRequirements
from base.tasks import TaskGuard
from tests.unit.agent.builders import container, make_pod

MANAGER = b"org.freedesktop.systemd1.Manager\0"
NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
EXISTS = "org.freedesktop.systemd1.UnitExists"


class Bus:
    """The other end: takes calls apart as far as needed, answers as told, or hangs up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[tuple[str, bytes]] = []
        """Member and body."""
        self.errors: dict[str, str] = {}
        self.hang_up_after = 0
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @property
    def members(self) -> list[str]:
        return [member for member, _ in self.calls]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                assert stream.readline().startswith(b"\0AUTH EXTERNAL ")
                connection.sendall(b"OK 0123456789abcdef\r\n")
                assert stream.readline() == b"BEGIN\r\n"
                while header := stream.read(16):
                    _, kind, _, version, size, serial, length = struct.unpack("<cBBBIII", header)
                    assert (kind, version) == (1, 1)
                    fields = stream.read(length + -length % 8)
                    body = stream.read(size)
                    member = self._member(fields)
                    self.calls.append((member, body))
                    if self.hang_up_after and len(self.calls) >= self.hang_up_after:
                        self.hang_up_after = 0
                        break
                    connection.sendall(self._signal() + self._answer(member, serial))

    def _member(self, fields: bytes) -> str:
        known = ("Hello", "StartTransientUnit", "SetUnitProperties", "StopUnit")
        return next(name for name in known if b"\0" + name.encode() + b"\0" in fields)

    def _signal(self) -> bytes:
        return struct.pack("<cBBBII", b"l", 4, 0, 1, 0, 7) + struct.pack("<I", 0)

    def _answer(self, member: str, serial: int) -> bytes:
        fields = struct.pack("<B3sI", 5, b"\1u\0", serial)
        body = b""
        error = self.errors.get(member, "")
        if error:
            name = error.encode()
            fields += struct.pack("<B3sI", 4, b"\1s\0", len(name)) + name + b"\0"
            fields += b"\0" * (-len(fields) % 8) + b"\x08\1g\0\1s\0"
            body = struct.pack("<I", 5) + b"sorry\0"
        kind = 3 if error else 2
        head = struct.pack("<cBBBII", b"l", kind, 0, 1, len(body), 99)
        padding = b"\0" * (-len(fields) % 8)
        return head + struct.pack("<I", len(fields)) + fields + padding + body


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path / "bus")
    yield bus
    bus.close()


def test_a_slice_and_its_limits(bus: Bus) -> None:
    systemd = Systemd(bus.path)
    systemd.start_slice("a-pod1.slice", {"MemoryMax": 2**40})
    assert bus.members == ["Hello", "StartTransientUnit"]
    body = bus.calls[1][1]
    assert body.startswith(b"\x0c\0\0\0a-pod1.slice\0")
    assert b"\x09\0\0\0MemoryMax\0\1t\0" in body
    where = body.index(b"MemoryMax\0\1t\0") + len("MemoryMax") + 4
    where += -where % 8
    assert body[where : where + 8] == struct.pack("<Q", 2**40)
    assert body.endswith(b"\0" * 4), "no auxiliary units"
    systemd.set_limits("a-pod1.slice", {"MemoryMax": INFINITY})
    systemd.stop_slice("a-pod1.slice")
    assert bus.members[2:] == ["SetUnitProperties", "StopUnit"], "one connection"
    systemd.close()


def test_a_slice_that_is_there_gets_the_limits(bus: Bus) -> None:
    bus.errors["StartTransientUnit"] = EXISTS
    Systemd(bus.path).start_slice("a.slice", {"TasksMax": 5})
    assert bus.members == ["Hello", "StartTransientUnit", "SetUnitProperties"]
    assert b"TasksMax" in bus.calls[-1][1]


def test_a_slice_that_is_not_there_is_stopped(bus: Bus) -> None:
    bus.errors["StopUnit"] = NO_SUCH_UNIT
    Systemd(bus.path).stop_slice("a.slice")
    bus.errors["StopUnit"] = "org.freedesktop.DBus.Error.AccessDenied"
    with pytest.raises(SystemdError, match="systemd refused StopUnit: sorry"):
        Systemd(bus.path).stop_slice("a.slice")


def test_a_bus_that_was_restarted(bus: Bus) -> None:
    systemd = Systemd(bus.path)
    systemd.stop_slice("a.slice")
    bus.hang_up_after = 3
    systemd.stop_slice("b.slice")
    assert bus.members == ["Hello", "StopUnit", "StopUnit", "Hello", "StopUnit"]


def test_no_bus(tmp_path: Path) -> None:
    with pytest.raises(SystemdError, match="systemd cannot be asked"):
        Systemd(tmp_path / "none").stop_slice("a.slice")


def test_limits_in_systemds_words() -> None:
    values = CpuMemory(cpu_shares=1024, cpu_quota=25_500, memory=64)
    found = properties(values, 2, 100)
    assert (found["CPUWeight"], found["MemoryMax"], found["TasksMax"]) == (39, 64, 100)
    assert found["MemorySwapMax"] == 0
    assert found["CPUQuotaPerSecUSec"] == 260_000, "whole percents, upwards"
    none = properties(CpuMemory(), 1)
    assert none["CPUQuotaPerSecUSec"] == none["TasksMax"] == none["MemoryLimit"] == INFINITY
    assert none["CPUShares"] == 2


class FakeSystemd(Systemd):
    """Directories instead of slices."""

    def __init__(self, place: Callable[[str], Path]) -> None:
        super().__init__(Path("/nonexistent"))
        self.place = place
        self.started: dict[str, Mapping[str, Value]] = {}
        self.changed: list[str] = []

    def start_slice(self, name: str, properties: Mapping[str, Value]) -> None:
        self.started[name] = properties
        path = self.place(name)
        path.mkdir(parents=True)
        (path / "cgroup.procs").touch()

    def set_limits(self, name: str, properties: Mapping[str, Value]) -> None:
        self.changed.append(name)

    def stop_slice(self, name: str) -> None:
        path = self.place(name)
        (path / "cgroup.procs").unlink()
        path.rmdir()
        del self.started[name]


def test_the_slices_of_pods(tmp_path: Path) -> None:
    def place(name: str) -> Path:
        parts = name.removesuffix(".slice").split("-")
        return tmp_path.joinpath(*(f"{'-'.join(parts[: n + 1])}.slice" for n in range(len(parts))))

    for folder in (
        tmp_path,
        *(place(f"kubepods{more}.slice") for more in ("", "-burstable", "-besteffort")),
    ):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory hugetlb")
        (folder / "cgroup.subtree_control").write_text("cpu memory")
    systemd = FakeSystemd(place)
    cgroups = Cgroups(Layout(version=2, systemd=True, mount=tmp_path), pod_pids=9, systemd=systemd)
    cgroups.ensure_root(CpuMemory())
    assert systemd.changed == [
        "kubepods.slice", "kubepods-burstable.slice", "kubepods-besteffort.slice",
    ]  # fmt: skip
    name = cgroups.ensure_pod("u-1", "Burstable", CpuMemory(memory=7))
    assert name == "kubepods-burstable-podu_1.slice"
    assert (systemd.started[name]["MemoryMax"], systemd.started[name]["TasksMax"]) == (7, 9)
    assert (place("kubepods-burstable.slice") / "cgroup.subtree_control").read_text() == "+hugetlb"
    systemd.changed.clear()
    for _ in range(2):
        cgroups.set_class_shares(burstable=512)
    assert systemd.changed == ["kubepods-burstable.slice"], "not asked for what it knows"
    assert cgroups.pod_uids() == {"u-1"}

    (place(name) / "cgroup.procs").write_text("1\n")
    cgroups.remove_strays(["u-1"])
    assert name in systemd.started, "with processes in it, it would end them"
    (place(name) / "cgroup.procs").write_text("")
    cgroups.remove_strays(["u-1"])
    assert systemd.started == {}
    assert cgroups.leaf("abc") == "docker-abc.scope"


class Hanging(Systemd):
    """It hangs until `back`, as while it loads its units anew, and remembers what weights it was told."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.back = threading.Event()
        self.asked = threading.Event()
        self.told: list[Value] = []
        self.refuses = False

    def set_limits(self, name: str, properties: Mapping[str, Value]) -> None:
        self.asked.set()
        assert self.back.wait(60)
        self.told.append(properties["CPUWeight"])
        if self.refuses:
            raise SystemdError("systemd cannot be asked: timed out")


@pytest.fixture
async def hanging() -> AsyncIterator[Hanging]:
    systemd = Hanging()
    yield systemd
    systemd.back.set()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.001)


def _weight(millicores: int) -> int:
    return CpuMemory(cpu_shares=cpu_shares(millicores)).cpu_weight


async def test_a_systemd_that_hangs_holds_up_neither_the_loop_nor_other_threads(
    hanging: Hanging, tmp_path: Path
) -> None:
    cgroups = Cgroups(Layout(version=2, systemd=True, mount=tmp_path), systemd=hanging)
    calls = [
        asyncio.ensure_future(cgroups.aside(lambda: hanging.set_limits("a", {"CPUWeight": 1})))
        for _ in range(40)
    ]
    await _until(hanging.asked.is_set)
    # More of them than the loop's own pool has threads, on any machine.
    async with asyncio.timeout(60):
        assert await asyncio.to_thread(lambda: "others go on") == "others go on"
    own = [each for each in threading.enumerate() if each.name.startswith("cgroups")]
    assert len(own) <= THREADS and not hanging.told
    hanging.back.set()
    await asyncio.gather(*calls)
    assert len(hanging.told) == 40


async def test_the_newest_weight_is_written_when_systemd_is_back(
    hanging: Hanging, tmp_path: Path
) -> None:
    cgroups = Cgroups(Layout(version=2, systemd=True, mount=tmp_path), systemd=hanging)
    async with TaskGuard("test") as guard:
        weight = ClassWeight(cgroups, guard)
        for number in range(1, 6):
            pod = make_pod(container(resources=ResourceRequirements(requests={"cpu": "500m"})))
            pod.metadata.uid = f"uid-{number}"
            weight.add(pod)
            await _until(hanging.asked.is_set)
            assert not hanging.told, "the loop goes on while systemd hangs"
        hanging.back.set()
        await _until(lambda: len(hanging.told) == 2)
        assert hanging.told == [_weight(500), _weight(2500)]
        weight.drop("uid-1")
        await _until(lambda: len(hanging.told) == 3)
        assert hanging.told[2] == _weight(2000)


async def test_a_weight_that_was_refused_is_written_with_the_next_relist(
    hanging: Hanging, tmp_path: Path
) -> None:
    cgroups = Cgroups(Layout(version=2, systemd=True, mount=tmp_path), systemd=hanging)
    hanging.back.set()
    hanging.refuses = True
    async with TaskGuard("test") as guard:
        weight = ClassWeight(cgroups, guard)
        weight.add(make_pod(container(resources=ResourceRequirements(requests={"cpu": "1"}))))
        await _until(lambda: len(hanging.told) == 1 and not guard.statistics()["running"])
        hanging.refuses = False
        weight.add(make_pod(container(resources=ResourceRequirements(requests={"cpu": "1"}))))
        assert not guard.statistics()["running"], "a status that comes back is no reason"
        weight.again()
        await _until(lambda: hanging.told == [_weight(1000)] * 2)
