"""The pages of the agent's web server: names, types and labels are those that scrapers know."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.containers.errors import RuntimeFailure
from agent.containers.operations import Operations
from agent.containers.script import Script
from agent.node.daemons import Daemons
from agent.node.diskfigures import DiskFigures
from agent.pod.podusage import PodsUsage
from agent.probes.handlers import Verdict
from agent.probes.state import Kind
from agent.probes.tally import Tally
from agent.server import cgroupfiles
from agent.server.interface import (
    ContainerFacts,
    Counters,
    DiskUse,
    Interface,
    Machine,
    PodUsage,
    Usage,
    Volume,
    Whole,
)
from agent.server.pages import cadvisor, configz, kubelet, probes, resource
from agent.server.pages.exposition import Exposition
from agent.server.pages.kubelet import Kubelet
from agent.server.usage import Rates, summary
from agent.settings import load
from api.core import (
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    EmptyDirVolumeSource,
    HostPathVolumeSource,
    PodStatus,
)
from api.core import Volume as PodVolume
from base.clock import FakeClock
from tests.unit.agent.builders import UID, container, make_pod
from tests.unit.agent.node import Node

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP = int(NOW.timestamp() * 1000)
MIB = 1024 * 1024
USED = Usage(
    cpu_nanoseconds=1_500_000_000,
    memory=30 * MIB,
    working_set=20 * MIB,
    rss=10 * MIB,
    page_faults=7,
    major_page_faults=1,
    limit=64 * MIB,
)
COUNTED = Counters(
    user=1_000_000_000,
    system=500_000_000,
    periods=10,
    throttled_periods=2,
    throttled=250_000_000,
    cache=5 * MIB,
    peak=40 * MIB,
    oom_kills=1,
    processes=3,
    threads=8,
    most_threads=100,
    swap=4096,
    disks={"/dev/sda": (10, 20, 1, 2)},
)
POD = PodUsage(
    namespace="shop",
    name="web-0",
    uid="uid-1",
    started=NOW,
    usage=USED,
    containers={"app": USED},
    interfaces=[Interface(name="eth0", received=[100, 2, 0, 1], sent=[50, 1, 0, 0])],
    cgroup="/kubepods/poduid-1",
    counters=COUNTED,
    facts={
        "app": ContainerFacts(
            id="abc",
            cgroup="/kubepods/poduid-1/abc",
            name="k8s_app_web-0",
            image="shop:1",
            started=NOW,
            cpu_shares=102,
            cpu_quota=50_000,
            log_bytes=123,
            counters=COUNTED,
        )
    },
    sandbox=ContainerFacts(
        id="box", cgroup="/kubepods/poduid-1/box", name="k8s_POD_web-0", image="pause:1"
    ),
)


def samples(page: bytes) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By name, as Prometheus reads it."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(page.decode()):
        for one in family.samples:
            found.setdefault(one.name, []).append((one.labels, one.value))
    return found


def types(page: bytes) -> dict[str, str]:
    lines = [line.split() for line in page.decode().splitlines() if line.startswith("# TYPE")]
    return {words[2]: words[3] for words in lines}


def test_the_format() -> None:
    page = Exposition()
    page.declare("a_total", "counter", "What is counted")
    page.declare("empty", "gauge", "Nothing")
    page.add("a_total", 2, {"name": 'say "hi"\\\n'}, at=5)
    page.add("a_total", 0.25)
    assert page.render().decode() == (
        "# HELP a_total What is counted\n"
        "# TYPE a_total counter\n"
        'a_total{name="say \\"hi\\"\\\\\\n"} 2 5\n'
        "a_total 0.25\n"
    )


def test_resource() -> None:
    page = resource.render(USED, [POD], NOW, swap=77)
    found = samples(page)
    whose = {"namespace": "shop", "pod": "web-0"}
    assert found["node_cpu_usage_seconds_total"] == [({}, 1.5)]
    assert found["pod_memory_working_set_bytes"] == [(whose, 20 * MIB)]
    assert found["container_cpu_usage_seconds_total"] == [({"container": "app"} | whose, 1.5)]
    assert found["container_start_time_seconds"][0][1] == NOW.timestamp()
    assert found["node_swap_usage_bytes"] == [({}, 77)]
    assert found["pod_swap_usage_bytes"] == [(whose, 4096)]
    assert found["container_swap_usage_bytes"] == [({"container": "app"} | whose, 4096)]
    assert found["container_swap_limit_bytes"] == [({"container": "app"} | whose, 4096)]
    assert found["resource_scrape_error"] == [({}, 0)]
    assert types(page)["container_cpu_usage_seconds_total"] == "counter"
    assert f"node_memory_working_set_bytes {20 * MIB} {STAMP}" in page.decode()


def test_cadvisor() -> None:
    disks = {"uid-1": DiskUse(layers={"app": 4096}, logs={"app": 512})}
    page = cadvisor.render([POD], cadvisor.Size(cpus=2, memory=4096), NOW, disks=disks)
    found = samples(page)
    whole, own = (labels for labels, _ in found["container_memory_working_set_bytes"])
    assert whole == {
        "container": "",
        "id": "/kubepods/poduid-1",
        "image": "",
        "name": "",
        "namespace": "shop",
        "pod": "web-0",
    }
    assert own == whole | {
        "container": "app",
        "id": "/kubepods/poduid-1/abc",
        "image": "shop:1",
        "name": "k8s_app_web-0",
    }
    assert found["container_cpu_usage_seconds_total"][1] == (own | {"cpu": "total"}, 1.5)
    assert found["container_cpu_cfs_throttled_seconds_total"][0][1] == 0.25
    received = found["container_network_receive_packets_dropped_total"]
    box = {"id": "/kubepods/poduid-1/box", "image": "pause:1", "name": "k8s_POD_web-0"}
    assert received == [(whole | box | {"interface": "eth0"}, 1)]
    assert found["container_network_transmit_bytes_total"][0][1] == 50
    assert found["container_spec_memory_limit_bytes"] == [(own, 64 * MIB)]
    assert found["container_spec_memory_reservation_limit_bytes"] == [(own, 0)]
    assert found["container_spec_memory_swap_limit_bytes"] == [(own, 64 * MIB)]
    assert found["container_fs_usage_bytes"] == [(own | {"device": ""}, 4608)]
    assert found["container_spec_cpu_quota"] == [(own, 50_000)]
    assert found["container_oom_events_total"][1] == (own, 1)
    assert (own | {"device": "/dev/sda"}, 20) in found["container_fs_writes_bytes_total"]
    assert (own | {"device": "/dev/sda"}, 1) in found["container_fs_reads_total"]
    assert (found["container_processes"][1], found["container_threads"][1]) == ((own, 3), (own, 8))
    assert found["container_threads_max"][1] == (own, 100)
    assert found["machine_cpu_cores"] == [({}, 2)]
    assert types(page)["container_memory_failcnt"] == "counter"


def test_cadvisor_of_what_is_above_the_pods() -> None:
    links = [Interface(name="ens3", received=[9, 0, 0, 0], sent=[8, 0, 0, 0])]
    root = Whole(cgroup="/", usage=USED, counters=COUNTED, interfaces=links)
    size = cadvisor.Size(cpus=2, memory=4096, swap=512, names={"machine_id": "m"})
    found = samples(cadvisor.render([POD], size, NOW, [root]))
    empty = dict.fromkeys(("container", "image", "name", "namespace", "pod"), "")
    first = found["container_cpu_usage_seconds_total"][0]
    assert first == (empty | {"id": "/", "cpu": "total"}, 1.5)
    received = found["container_network_receive_bytes_total"]
    assert received[0] == (empty | {"id": "/", "interface": "ens3"}, 9)
    assert found["machine_swap_bytes"] == [({"machine_id": "m"}, 512)]
    assert found["container_scrape_error"] == [({}, 0)]


def test_probes() -> None:
    tally = Tally()
    tally.add("web", Kind.LIVENESS, Verdict(passed=True), 0.003)
    tally.add("web", Kind.LIVENESS, Verdict(passed=False), 0.3)
    tally.add("web", Kind.READINESS, Verdict(passed=False, unknown=True), 60.0)
    found = samples(probes.render([(make_pod(container()), tally)]))
    whose = {"container": "web", "namespace": "ns", "pod": "pod"}
    kinds = [
        (labels["probe_type"], labels["result"], count)
        for labels, count in found["prober_probe_total"]
    ]
    assert kinds == [
        ("Liveness", "successful", 1),
        ("Liveness", "failed", 1),
        ("Readiness", "unknown", 1),
    ]
    assert found["prober_probe_total"][0][0]["pod_uid"] == UID
    live = whose | {"probe_type": "Liveness"}
    buckets = {
        labels["le"]: count
        for labels, count in found["prober_probe_duration_seconds_bucket"]
        if labels["probe_type"] == "Liveness"
    }
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (1, 1, 2, 2)
    assert (live, 0.303) in found["prober_probe_duration_seconds_sum"]
    assert (live, 2) in found["prober_probe_duration_seconds_count"]


def test_kubelet() -> None:
    running = ContainerStatus(
        name="web",
        image="app",
        image_id="",
        ready=True,
        restart_count=2,
        state=ContainerState(running=ContainerStateRunning()),
    )
    pod = make_pod(container(), status=PodStatus(container_statuses=[running]))
    operations = Operations(FakeClock())
    with operations.measured("start_container"):
        pass
    with pytest.raises(RuntimeFailure), operations.measured("start_container"):
        raise RuntimeFailure("no")
    started = operations.tallies["start_container"]
    agent = Kubelet(
        node="n1",
        version="v1.34.0+x",
        pods=[pod],
        sandboxes=1,
        operations={"start_container": started},
        evictions={"memory.available": 2},
        images_collected={"space": 3, "age": 1},
        static_pods=1,
        mirror_pods=1,
        shutdown_began=datetime(2026, 1, 1, tzinfo=UTC),
        claims=[("shop", "db", Volume(available=1, capacity=9, inodes=6, inodes_free=5))],
        preemptions={"cpu": 3},
        rejections={"OutOfcpu": 4},
    )
    found = samples(kubelet.render(agent))
    assert found["kubelet_node_name"] == [({"node": "n1"}, 1)]
    assert found["kubelet_running_pods"] == [({}, 1)]
    assert found["kubelet_desired_pods"] == [({"static": ""}, 0), ({"static": "true"}, 1)]
    assert found["kubelet_mirror_pods"] == [({}, 1)]
    collected = found["kubelet_image_garbage_collected_total"]
    assert collected == [({"reason": "space"}, 3), ({"reason": "age"}, 1)]
    assert found["kubelet_graceful_shutdown_start_time_seconds"] == [({}, 1767225600)]
    assert found["kubelet_graceful_shutdown_end_time_seconds"] == [({}, 0)]
    assert ({"container_state": "running"}, 1) in found["kubelet_running_containers"]
    kind = {"operation_type": "start_container"}
    assert found["kubelet_runtime_operations_total"] == [(kind, 2)]
    assert found["kubelet_runtime_operations_errors_total"] == [(kind, 1)]
    buckets = found["kubelet_runtime_operations_duration_seconds_bucket"]
    assert buckets[0] == (kind | {"le": "0.005"}, 2) and buckets[-1] == (kind | {"le": "+Inf"}, 2)
    assert found["kubelet_runtime_operations_duration_seconds_count"] == [(kind, 2)]
    assert found["kubelet_evictions_total"] == [({"eviction_signal": "memory.available"}, 2)]
    whose = {"namespace": "shop", "persistentvolumeclaim": "db"}
    stats = {
        name.removeprefix("kubelet_volume_stats_"): told[0][1]
        for name, told in found.items()
        if name.startswith("kubelet_volume_stats_") and told[0][0] == whose
    }
    assert stats == {
        "available_bytes": 1,
        "capacity_bytes": 9,
        "used_bytes": 8,
        "inodes": 6,
        "inodes_free": 5,
        "inodes_used": 1,
    }
    assert found["kubelet_preemptions_total"] == [({"preemption_signal": "cpu"}, 3)]
    assert found["kubelet_admission_rejections_total"] == [({"reason": "OutOfcpu"}, 4)]
    assert found["kubernetes_build_info"][0][0]["minor"] == "34"


def test_configz() -> None:
    words = ["--max-pods=42", "--eviction-hard=memory.available<5%", "--system-reserved=cpu=1"]
    words += ["--eviction-soft=nodefs.available<20%=1m30s", "--serialize-image-pulls=true"]
    words += ["--container-log-max-size=512Ki", "--container-log-max-files=3"]
    words += ["--shutdown-grace-period-by-pod-priority=1000=1m"]
    words += ["--register-with-taints=own=1:NoSchedule", "--node-status-max-images=7"]
    words += ["--healthz-port=0"]
    settings = load(words, {})
    found = json.loads(configz.render(settings, cgroup_driver="systemd"))["kubeletconfig"]
    assert (found["kind"], found["maxPods"], found["cgroupDriver"]) == (
        "KubeletConfiguration",
        42,
        "systemd",
    )
    assert found["registerWithTaints"] == [{"key": "own", "value": "1", "effect": "NoSchedule"}]
    assert (found["registerNode"], found["nodeStatusMaxImages"]) == (True, 7)
    assert (found["healthzBindAddress"], found["healthzPort"]) == ("127.0.0.1", 0)
    assert load([], {}).healthz_port == 10248
    assert found["evictionHard"] == {"memory.available": "5%"}
    assert found["evictionSoft"] == {"nodefs.available": "20%"}
    assert found["evictionSoftGracePeriod"] == {"nodefs.available": "1m30s"}
    assert found["evictionPressureTransitionPeriod"] == "5m0s"
    assert found["systemReserved"] == {"cpu": "1"}
    assert (found["containerLogMaxSize"], found["containerLogMaxFiles"]) == ("512Ki", 3)
    assert (found["serializeImagePulls"], found["maxParallelImagePulls"]) == (True, 1)
    assert found["shutdownGracePeriodByPodPriority"] == [
        {"priority": 1000, "shutdownGracePeriodSeconds": 60}
    ]
    assert "token" not in json.dumps(found).lower()


def test_the_summary() -> None:
    rates = Rates()

    def made(at: float, cpu: int) -> Mapping[str, Any]:
        node = replace(USED, cpu_nanoseconds=cpu)
        disk = Volume(available=10, capacity=100, inodes=8, inodes_free=2)
        machine = Machine(
            started=NOW,
            available_memory=99,
            disk=disk,
            image_disk=disk,
            swap=1000,
            swap_free=400,
            interfaces=POD.interfaces,
            daemons={"kubelet": replace(USED, since=NOW)},
            pods_since=NOW,
        )
        return summary("n1", node, [POD], rates=rates, now=NOW, at=at, machine=machine)

    made(0.0, 0)
    found = made(10.0, 5 * 10**9)
    node, (pod,) = found["node"], found["pods"]
    assert node["cpu"]["usageNanoCores"] == 5 * 10**8
    assert node["memory"]["availableBytes"] == 99
    assert (node["fs"]["usedBytes"], node["runtime"]["imageFs"]["inodesUsed"]) == (90, 6)
    assert node["runtime"]["containerFs"] == node["runtime"]["imageFs"]
    assert (node["swap"]["swapUsageBytes"], node["swap"]["swapAvailableBytes"]) == (600, 400)
    assert (node["network"]["name"], node["network"]["txBytes"]) == ("eth0", 50)
    systems = [(one["name"], one["startTime"]) for one in node["systemContainers"]]
    assert systems == [("kubelet", "2026-01-02T03:04:05Z"), ("pods", "2026-01-02T03:04:05Z")]
    assert pod["memory"] == {
        "time": "2026-01-02T03:04:05Z",
        "usageBytes": 30 * MIB,
        "workingSetBytes": 20 * MIB,
        "availableBytes": 44 * MIB,
        "rssBytes": 10 * MIB,
        "pageFaults": 7,
        "majorPageFaults": 1,
    }
    assert (pod["network"]["name"], pod["network"]["rxBytes"]) == ("eth0", 100)
    assert pod["containers"][0]["logs"]["usedBytes"] == 123
    assert pod["process_stats"] == {"process_count": 3}
    assert pod["swap"]["swapUsageBytes"] == pod["containers"][0]["swap"]["swapUsageBytes"] == 4096


def test_the_summary_of_what_lies_on_disks() -> None:
    disk = Volume(available=10, capacity=100, inodes=8, inodes_free=2)
    use = DiskUse(
        layers=dict.fromkeys(POD.containers, 5),
        logs=dict.fromkeys(POD.containers, 7),
        folders={"scratch": (30, 4)},
        mounted={"data": Volume(available=1, capacity=9, inodes=6, inodes_free=5)},
        claims={"data": "db"},
        total=42,
        inodes=4,
    )
    machine = Machine(disk=disk, image_disk=disk)
    (pod,) = summary(
        "n1",
        USED,
        [POD],
        rates=Rates(),
        now=NOW,
        at=0.0,
        machine=machine,
        disks={POD.uid: use, "another": use},
    )["pods"]
    room = {
        "time": "2026-01-02T03:04:05Z",
        "availableBytes": 10,
        "capacityBytes": 100,
        "inodesFree": 2,
        "inodes": 8,
    }
    web = pod["containers"][0]
    assert web["rootfs"] == room | {"usedBytes": 5}
    assert web["logs"] == room | {"usedBytes": 7}
    assert pod["ephemeral-storage"] == room | {"usedBytes": 42, "inodesUsed": 4}
    data, scratch = pod["volume"]
    assert scratch == {"name": "scratch"} | room | {"usedBytes": 30, "inodesUsed": 4}
    assert (data["usedBytes"], data["inodesUsed"], data["capacityBytes"]) == (8, 1, 9)
    assert data["pvcRef"] == {"name": "db", "namespace": POD.namespace}


async def test_what_lies_on_disks_is_looked_at_when_somebody_asks(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(disk_usage=1000)})
    await node.boot()
    volumes = [
        PodVolume(name="scratch", empty_dir=EmptyDirVolumeSource()),
        PodVolume(name="memory", empty_dir=EmptyDirVolumeSource(medium="Memory")),
        PodVolume(name="host", host_path=HostPathVolumeSource(path=str(tmp_path))),
    ]
    node.api.put(make_pod(volumes=volumes))
    await node.run(5)
    file = tmp_path / "pods" / UID / "volumes" / "scratch" / "file"
    file.write_bytes(b"x" * 10_000)
    figures = DiskFigures(node.manager)
    assert figures.ask() == {}, "nobody waits"
    await node.run(1)
    use = figures.ask()[UID]
    assert (use.layers["web"], use.logs["web"]) == (1000, 0)
    assert set(use.folders) == {"scratch"} and set(use.mounted) == {"memory"}
    size, inodes = use.folders["scratch"]
    assert size >= 10_000 and inodes == 1 and use.total == size + 1000
    file.unlink()
    await node.run(30)
    assert figures.ask()[UID] == use, "not more than once a minute"
    await node.run(31)
    figures.ask()
    await node.run(1)
    assert figures.ask()[UID].folders["scratch"] == (0, 0)
    await node.kill()


def write(root: Path, **files: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return root


def test_cgroups_of_version_2(tmp_path: Path) -> None:
    write(
        tmp_path,
        memory__current="1000\n",
        memory__max="max\n",
        memory__stat="anon 300\nfile 700\ninactive_file 400\npgfault 9\n",
        memory__peak="5000\n",
        memory__events="low 0\nmax 4\noom_kill 1\n",
        cpu__stat="usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_throttled 3\n",
        pids__current="12\n",
        pids__max="max\n",
        io__stat="7:9999 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:1\n",
        cgroup__procs="",
    )
    write(tmp_path / "abc", cgroup__procs="10\n11\n")
    used = cgroupfiles.usage(2, lambda controller: tmp_path)
    assert (used.cpu_nanoseconds, used.memory, used.working_set) == (30_000, 1000, 600)
    assert (used.rss, used.page_faults, used.limit) == (300, 9, 0)
    counted = cgroupfiles.counters(2, lambda controller: tmp_path)
    assert (counted.user, counted.failures, counted.oom_kills) == (20_000, 4, 1)
    assert (counted.throttled_periods, counted.threads, counted.peak) == (3, 12, 5000)
    assert (counted.processes, counted.inactive_file, counted.most_threads) == (2, 400, 0)
    assert counted.disks == {"": (1, 2, 3, 4)}, "of a device that the kernel does not name"
    assert cgroupfiles.peak(2, lambda controller: tmp_path) == 5000


def test_cgroups_of_version_1(tmp_path: Path) -> None:
    stat = "rss 1\ntotal_rss 300\ntotal_cache 70\ntotal_inactive_file 1500\ntotal_pgmajfault 2\n"
    write(
        tmp_path / "memory",
        memory__usage_in_bytes="1000",
        memory__limit_in_bytes="9223372036854771712",
        memory__stat=stat,
        memory__max_usage_in_bytes="5000",
        memory__failcnt="4",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    )
    write(tmp_path / "cpuacct", cpuacct__usage="30", cpuacct__stat="user 2\nsystem 1\n")
    write(tmp_path / "cpu", cpu__stat="nr_periods 5\nnr_throttled 3\nthrottled_time 77\n")
    write(tmp_path / "pids", pids__current="12", pids__max="64", cgroup__procs="1\n2\n3\n")
    write(
        tmp_path / "blkio",
        blkio__throttle__io_service_bytes="7:9999 Read 5\n7:9999 Write 6\n7:9999 Total 11\nTotal 11\n",
        blkio__throttle__io_serviced_recursive="7:9999 Read 1\n7:9999 Write 2\n",
        blkio__throttle__io_serviced="7:9999 Read 9\n",
    )
    used = cgroupfiles.usage(1, lambda controller: tmp_path / controller)
    assert (used.cpu_nanoseconds, used.memory, used.working_set) == (30, 1000, 0)
    assert (used.rss, used.major_page_faults, used.limit) == (300, 2, 0)
    counted = cgroupfiles.counters(1, lambda controller: tmp_path / controller)
    assert (counted.user, counted.throttled, counted.failures) == (20_000_000, 77, 4)
    assert (counted.peak, counted.oom_kills, counted.cache) == (5000, 1, 70)
    assert (counted.processes, counted.threads, counted.most_threads) == (3, 12, 64)
    assert counted.disks == {"": (5, 6, 1, 2)}


def test_the_root_of_version_2_counts_for_itself(tmp_path: Path) -> None:
    """It has no memory.current; what there is stands in its statistics."""
    stat = "anon 300\nfile 700\ninactive_file 400\n"
    write(tmp_path, memory__stat=stat, cpu__stat="usage_usec 30\n")
    used = cgroupfiles.usage(2, lambda controller: tmp_path)
    assert (used.memory, used.working_set, used.cpu_nanoseconds) == (1000, 600, 30_000)


def test_a_cgroup_that_is_gone_has_used_nothing(tmp_path: Path) -> None:
    for version in (1, 2):
        used = cgroupfiles.usage(version, lambda controller: tmp_path / "none")
        assert used == Usage(cpu_nanoseconds=0, memory=0, working_set=0)
        assert cgroupfiles.counters(version, lambda controller: tmp_path / "none") == Counters()


def test_interfaces_of_a_process() -> None:
    found = cgroupfiles.interfaces(os.getpid())
    assert "lo" not in [one.name for one in found]
    assert all(len(one.received) == len(one.sent) == 4 for one in found)
    assert cgroupfiles.interfaces(2**22) == []
    everything = {one.name for one in cgroupfiles.interfaces(os.getpid(), without=("?",))}
    assert "lo" in everything


async def test_the_machine_is_the_node_where_it_is_not_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    await node.boot()
    memory = node.manager.agent.cgroups.machine("memory")
    write(memory, memory__usage_in_bytes="900", memory__stat="total_inactive_file 100\n")
    write(memory / "test" / "kubepods", memory__usage_in_bytes="90", memory__stat="")
    alone = PodsUsage(node.manager, version=1, alone=True)
    shared = PodsUsage(node.manager, version=1)
    assert (alone.node().working_set, shared.node().working_set) == (800, 90)
    assert [one.cgroup for one in alone.wholes()] == ["/", "/test/kubepods"]
    assert [one.usage.memory for one in alone.wholes()] == [900, 90]
    assert [one.cgroup for one in shared.wholes()] == ["/test/kubepods"]
    monkeypatch.setattr(cgroupfiles, "has_own_network", lambda: False)
    assert shared.interfaces() == (), "the links are others', too"
    monkeypatch.setattr(cgroupfiles, "has_own_network", lambda: True)
    assert [*shared.interfaces()] == [*alone.interfaces()], "a network namespace is one node's"
    since = shared.since()
    assert since is not None and since.tzinfo is UTC
    names = [one.name for one in alone.interfaces()]
    assert not any(name.startswith(("lo", "veth", "docker")) for name in names)
    await node.kill()


def process(proc: Path, pid: int, name: str, parent: int, ticks: int) -> None:
    words = ["S", str(parent), *["0"] * 9, str(ticks), "0", *["0"] * 6, "700", "0", "3"]
    write(proc / str(pid), comm=f"{name}\n", stat=f"{pid} ({name} x) {' '.join(words)} 0 0")


def test_the_engine_is_found_with_its_containerd(tmp_path: Path) -> None:
    process(tmp_path, os.getpid(), "podwright", 1, 5)
    process(tmp_path, 10, "dockerd", 1, 100)
    process(tmp_path, 11, "containerd", 10, 50)
    process(tmp_path, 12, "containerd", 1, 1000)
    write(tmp_path, stat="cpu 1 2 3\nbtime 1000000000\n")
    daemons = Daemons(str(tmp_path / "no.sock"), proc=tmp_path)
    used = daemons.usage()
    after = 700 / os.sysconf("SC_CLK_TCK")
    assert used["runtime"].since == datetime.fromtimestamp(1_000_000_000 + after, UTC)
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    assert used["kubelet"].cpu_nanoseconds == 5 * tick
    assert used["runtime"].cpu_nanoseconds == 150 * tick
    assert used["runtime"].memory == 6 * os.sysconf("SC_PAGE_SIZE")
    # Of two engines that nobody can tell apart neither is this node's.
    process(tmp_path, 20, "dockerd", 1, 100)
    assert "runtime" not in Daemons(str(tmp_path / "no.sock"), proc=tmp_path).usage()
