"""One pod on one node: it starts, is looked into, is judged by its probes, and ends."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl, KubectlError
from tests.e2e.manifests import BUSYBOX, container, pod

Eventually = Callable[..., Any]


def status(kubectl: Kubectl, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", "pod", name)["status"]
    return found


def main_status(kubectl: Kubectl, name: str) -> dict[str, Any]:
    found: dict[str, Any] = status(kubectl, name)["containerStatuses"][0]
    return found


def ready(kubectl: Kubectl, name: str) -> None:
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", timeout=70)


def test_containers_share_localhost_and_ipc(kubectl: Kubectl) -> None:
    server = container("httpd -f -p 8080 -h /tmp & wait", name="server")
    other = container(name="other")
    kubectl.apply(pod("shared", server, other))
    ready(kubectl, "shared")
    kubectl("exec", "shared", "-c", "server", "--", "sh", "-c", "echo hello > /tmp/page")
    kubectl("exec", "shared", "-c", "server", "--", "sh", "-c", "echo by memory > /dev/shm/note")
    page = kubectl(
        "exec", "shared", "-c", "other", "--", "wget", "-qO-", "http://127.0.0.1:8080/page"
    )
    assert page == "hello\n"
    note = kubectl("exec", "shared", "-c", "other", "--", "cat", "/dev/shm/note")
    assert note == "by memory\n"
    names = {
        kubectl("exec", "shared", "-c", c, "--", "hostname").strip() for c in ("server", "other")
    }
    assert names == {"shared"}


def test_logs_exec_and_describe(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(
        pod("talker", container("for i in 1 2 3; do echo line $i; done; sleep 1000 & wait"))
    )
    ready(kubectl, "talker")
    kubectl.logged("line 1\nline 2\nline 3\n", "talker")
    assert kubectl("logs", "talker", "--tail=1") == "line 3\n"
    assert kubectl("exec", "talker", "--", "echo", "one  two") == "one  two\n"
    with pytest.raises(KubectlError) as failed:
        kubectl("exec", "talker", "--", "sh", "-c", "exit 7")
    assert failed.value.code == 7
    done = subprocess.run(
        kubectl.command("exec", "-i", "talker", "--", "cat"),
        input="through stdin\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "through stdin\n"
    words = ("Successfully assigned", "Created container", "Started container", "QoS Class")

    def described() -> bool:
        told = kubectl("describe", "pod", "talker")
        return all(word in told for word in words)

    eventually(described)
    missing = kubectl("logs", "talker", "-c", "nobody", check=False)
    assert missing == ""


def test_logs_follow_until_the_end(kubectl: Kubectl) -> None:
    script = """
        echo tick 1
        until [ -e /tmp/followed ]; do sleep 0.1; done
        for i in 2 3 4 5; do echo tick $i; sleep 0.3; done
    """
    kubectl.apply(pod("ticker", container(script), restartPolicy="Never"))
    ready(kubectl, "ticker")
    follower = subprocess.Popen(
        kubectl.command("logs", "-f", "ticker"), stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "tick 1\n"
    kubectl("exec", "ticker", "--", "touch", "/tmp/followed")
    told, _ = follower.communicate(timeout=60)
    assert told.splitlines() == [f"tick {n}" for n in range(2, 6)]


def test_a_pod_that_completes(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(pod("job", container("echo done; exit 0"), restartPolicy="Never"))
    eventually(lambda: status(kubectl, "job")["phase"] == "Succeeded")
    row = kubectl("get", "pod", "job", "--no-headers").split()
    assert row[1:3] == ["0/1", "Completed"]
    assert kubectl("logs", "job") == "done\n"


def test_environment_and_volumes(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "settings", "--from-literal=colour=blue")
    kubectl("create", "secret", "generic", "keys", "--from-literal=password=hush")
    reader = container(
        env=[
            {
                "name": "COLOUR",
                "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}},
            },
            {
                "name": "PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}},
            },
            {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "BOTH", "value": "$(WHO) is $(COLOUR)"},
        ],
        volumeMounts=[
            {"name": "settings", "mountPath": "/settings"},
            {"name": "keys", "mountPath": "/keys", "readOnly": True},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
    )
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "scratch", "emptyDir": {}},
    ]
    kubectl.apply(pod("reader", reader, volumes=volumes))
    ready(kubectl, "reader")
    told = kubectl("exec", "reader", "--", "sh", "-c", "echo $BOTH $PASSWORD $IP")
    assert told.split() == ["reader", "is", "blue", "hush", status(kubectl, "reader")["podIP"]]
    files = kubectl("exec", "reader", "--", "sh", "-c", "cat /settings/colour /keys/password")
    assert files == "bluehush"
    mode = kubectl("exec", "reader", "--", "stat", "-L", "-c", "%a", "/keys/password")
    assert mode.strip() == "400"
    with pytest.raises(KubectlError):
        kubectl("exec", "reader", "--", "touch", "/keys/x")


def test_init_containers_run_in_order(kubectl: Kubectl) -> None:
    mount = [{"name": "work", "mountPath": "/work"}]
    first = container("sleep 1; echo first > /work/file", name="first", volumeMounts=mount)
    second = container("echo second >> /work/file", name="second", volumeMounts=mount)
    app = container("cat /work/file; sleep 1000 & wait", volumeMounts=mount)
    kubectl.apply(
        pod(
            "staged",
            app,
            initContainers=[first, second],
            volumes=[{"name": "work", "emptyDir": {}}],
        )
    )
    ready(kubectl, "staged")
    kubectl.logged("first\nsecond\n", "staged", "-c", "main")


def test_liveness_restarts(kubectl: Kubectl, eventually: Eventually) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    alive = container("touch /tmp/alive; sleep 2; rm /tmp/alive; sleep 1000 & wait")
    kubectl.apply(pod("sick", {**alive, "livenessProbe": {**probe, "initialDelaySeconds": 1}}))
    eventually(lambda: main_status(kubectl, "sick")["restartCount"] >= 1)
    assert status(kubectl, "sick")["phase"] == "Running"

    def told() -> bool:
        events = kubectl("get", "events", "--field-selector", "involvedObject.name=sick")
        return "Liveness probe failed" in events and "will be restarted" in events

    eventually(told)


def test_crash_loop_backs_off(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(pod("crasher", container("echo dying; exit 3")))

    def looping() -> dict[str, Any] | None:
        told = main_status(kubectl, "crasher")
        waiting = told["state"].get("waiting", {})
        known = told["restartCount"] >= 1 and waiting.get("reason") == "CrashLoopBackOff"
        return told if known else None

    told = eventually(looping)
    assert "restarting failed container" in told["state"]["waiting"]["message"]
    assert told["lastState"]["terminated"]["exitCode"] == 3
    cause = "its program ended with exit code 3"
    assert told["lastState"]["terminated"]["message"] == cause
    path = "/apis/podwright.io/v1alpha1/namespaces/{}/pods/crasher/why"
    where = kubectl.json("get", "pod", "crasher")["metadata"]["namespace"]
    deaths = json.loads(kubectl("get", "--raw", path.format(where)))["deaths"]
    assert (deaths[0]["cause"], deaths[0]["lastLines"]) == (cause, ["dying"])
    assert len(deaths) >= told["restartCount"]
    assert kubectl("logs", "crasher", "--previous") == "dying\n"
    eventually(lambda: "CrashLoopBackOff" in kubectl("get", "pod", "crasher"))


def test_out_of_memory(kubectl: Kubectl, eventually: Eventually) -> None:
    greedy = container("x=a; while true; do x=$x$x; done", resources={"limits": {"memory": "24Mi"}})
    kubectl.apply(pod("greedy", greedy, restartPolicy="Never"))

    def killed() -> bool:
        ended = main_status(kubectl, "greedy")["state"].get("terminated", {})
        return ended.get("reason") == "OOMKilled" and ended.get("exitCode") == 137

    eventually(killed)
    assert "OOMKilled" in kubectl("get", "pod", "greedy")
    said = main_status(kubectl, "greedy")["state"]["terminated"]["message"]
    assert said.startswith(
        "the kernel killed it for want of memory: its limit is 24Mi; the pod had "
    )
    peak = float(said.rpartition("had ")[2].removesuffix("Mi at most"))
    assert 12 < peak < 40


def test_limits_are_cgroup_values(kubectl: Kubectl) -> None:
    limited = container(
        resources={
            "requests": {"cpu": "250m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        }
    )
    kubectl.apply(pod("limited", limited))
    ready(kubectl, "limited")
    lines = kubectl("exec", "limited", "--", "cat", "/proc/self/cgroup").splitlines()
    where = {part: line.split(":")[2] for line in lines for part in line.split(":")[1].split(",")}
    if "cpu" not in where:
        pytest.skip("this machine has cgroup v2: the values have other files")
    assert "/burstable/pod" in where["cpu"]
    cpu = Path("/sys/fs/cgroup/cpu") / where["cpu"].lstrip("/")
    memory = Path("/sys/fs/cgroup/memory") / where["memory"].lstrip("/")
    assert (cpu / "cpu.cfs_quota_us").read_text().strip() == "50000"
    assert (cpu / "cpu.shares").read_text().strip() == "256"
    assert (memory / "memory.limit_in_bytes").read_text().strip() == str(64 * 2**20)
    assert (memory.parent / "memory.limit_in_bytes").read_text().strip() == str(64 * 2**20)
    assert status(kubectl, "limited")["qosClass"] == "Burstable"


def test_a_graceful_end(kubectl: Kubectl, eventually: Eventually) -> None:
    script = "trap 'echo got TERM; sleep 1; echo bye; exit 0' TERM; echo up; sleep 1000 & wait"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo preStop > /proc/1/fd/1"]}}}
    kubectl.apply(
        pod("polite", container(script, lifecycle=hook), terminationGracePeriodSeconds=100)
    )
    ready(kubectl, "polite")
    follower = subprocess.Popen(
        kubectl.command("logs", "-f", "polite"), stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "up\n"
    began = time.monotonic()
    kubectl("delete", "pod", "polite", timeout=120)
    took = time.monotonic() - began
    told, _ = follower.communicate(timeout=60)
    assert told.splitlines() == ["preStop", "got TERM", "bye"]
    assert took < 60, "the pod ended by itself, long before its grace period"


def test_a_deaf_pod_is_killed_after_its_grace(kubectl: Kubectl) -> None:
    kubectl.apply(pod("deaf", container("trap '' TERM; while true; do sleep 1; done")))
    ready(kubectl, "deaf")
    began = time.monotonic()
    kubectl("delete", "pod", "deaf", "--grace-period=3", timeout=60)
    assert time.monotonic() - began > 2.5


@pytest.mark.parametrize(
    ("image", "policy", "reasons"),
    [
        ("podwright/no-such-image:1", "Never", {"ErrImageNeverPull"}),
        ("podwright/Upper:1", "IfNotPresent", {"InvalidImageName"}),
        ("127.0.0.1:1/nowhere:1", "IfNotPresent", {"RegistryUnavailable", "ImagePullBackOff"}),
    ],
)
def test_image_errors(
    kubectl: Kubectl, eventually: Eventually, image: str, policy: str, reasons: set[str]
) -> None:
    broken = container(image=image, imagePullPolicy=policy)
    kubectl.apply(pod("broken", broken))
    eventually(
        lambda: main_status(kubectl, "broken")["state"].get("waiting", {}).get("reason") in reasons
    )
    assert status(kubectl, "broken")["phase"] == "Pending"
    eventually(
        lambda: "Warning" in kubectl("get", "events", "--field-selector=involvedObject.name=broken")
    )


def test_a_missing_config_map_is_named(kubectl: Kubectl, eventually: Eventually) -> None:
    lost = container(
        env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}]
    )
    kubectl.apply(pod("lost", lost))

    def waiting() -> bool:
        told = main_status(kubectl, "lost")["state"].get("waiting", {})
        return told.get("reason") == "CreateContainerConfigError" and "none" in told["message"]

    eventually(waiting)
    kubectl("create", "configmap", "none", "--from-literal=k=v")
    ready(kubectl, "lost")


def test_host_network(kubectl: Kubectl, cluster: Any) -> None:
    kubectl.apply(pod("host", container(), hostNetwork=True))
    ready(kubectl, "host")
    found = kubectl.json("get", "pod", "host")
    node = kubectl.json("get", "node", found["spec"]["nodeName"])
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    assert found["status"]["podIP"] == found["status"]["hostIP"] == address


def test_a_debugger_sees_the_processes_of_its_target(
    kubectl: Kubectl, eventually: Eventually
) -> None:
    kubectl.apply(pod("patient", container("sleep 4242 & wait")))
    ready(kubectl, "patient")
    kubectl(
        *("debug", "patient", f"--image={BUSYBOX}", "--image-pull-policy=Never", "-c", "doctor"),
        *("--target=main", "--", "sh", "-c", "ps; exit 3"),
    )

    def ended() -> Any:
        found = status(kubectl, "patient").get("ephemeralContainerStatuses", [{}])[0]
        return found.get("state", {}).get("terminated")

    assert eventually(ended)["exitCode"] == 3
    assert "sleep 4242" in kubectl("logs", "patient", "-c", "doctor")
    assert main_status(kubectl, "patient")["restartCount"] == 0
    row = kubectl("get", "pod", "patient", "--no-headers").split()
    assert row[1:3] == ["1/1", "Running"]
    eventually(lambda: "Started container doctor" in kubectl("describe", "pod", "patient"))


def test_who_writes_more_to_the_disk_than_it_may_is_evicted(
    kubectl: Kubectl, eventually: Eventually
) -> None:
    fill = "dd if=/dev/zero of={} bs=1M count=8; sleep 1000 & wait"
    volume = {"name": "scratch", "emptyDir": {"sizeLimit": "4Mi"}}
    mounts = [{"name": "scratch", "mountPath": "/scratch"}]
    limits = {"limits": {"ephemeral-storage": "4Mi"}}
    kubectl.apply(
        pod("hoarder", container(fill.format("/scratch/a"), volumeMounts=mounts), volumes=[volume])
    )
    kubectl.apply(pod("scribbler", container(fill.format("/tmp/a"), resources=limits)))
    kubectl.apply(pod("tidy", container(resources=limits)))
    ready(kubectl, "tidy")

    for name, words in (
        ("hoarder", 'Usage of EmptyDir volume "scratch" exceeds the limit "4Mi". '),
        ("scribbler", 'Container main exceeded its local ephemeral storage limit "4Mi". '),
    ):
        eventually(lambda name=name: status(kubectl, name)["phase"] == "Failed")
        found = status(kubectl, name)
        assert (found["reason"], found["message"]) == ("Evicted", words)
    assert status(kubectl, "tidy")["phase"] == "Running"


def test_top_shows_who_is_busy(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(pod("busy", container("while :; do :; done & wait")))
    kubectl.apply(pod("idle", container()))
    ready(kubectl, "busy")
    ready(kubectl, "idle")

    def used() -> dict[str, int]:
        rows = [line.split() for line in kubectl("top", "pods", "--no-headers").splitlines()]
        return {name: int(cpu.removesuffix("m")) for name, cpu, _ in rows}

    eventually(lambda: used().get("busy", 0) >= 100 and used()["idle"] < 50)
    sorted_by_cpu = kubectl("top", "pods", "--sort-by=cpu", "--no-headers").split()
    assert sorted_by_cpu[0] == "busy"
    (row,) = kubectl("top", "pod", "busy", "--containers", "--no-headers").splitlines()
    assert row.split()[:2] == ["busy", "main"]
    busy = kubectl("top", "pods", "-l", "app=busy", "--no-headers").splitlines()
    assert len(busy) == 1
    nodes = kubectl("top", "nodes", "--no-headers").splitlines()
    assert {line.split()[0] for line in nodes} == set(
        kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
    )
    missing = kubectl("top", "pod", "nobody", check=False)
    assert missing == ""


def test_the_pages_of_a_node(kubectl: Kubectl, eventually: Eventually, cluster: Cluster) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    limits = {"cpu": "500m", "memory": "64Mi"}
    kubectl.apply(
        pod("seen", container(readinessProbe=probe, resources={"limits": limits}, name="main"))
    )
    ready(kubectl, "seen")
    node = kubectl.json("get", "pod", "seen")["spec"]["nodeName"]

    def page(path: str) -> str:
        return kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")

    def value(path: str, name: str, *labels: str) -> float:
        lines = [
            line
            for line in page(path).splitlines()
            if line.startswith(f"{name}{{") and all(label in line for label in labels)
        ]
        assert len(lines) == 1, lines
        return float(lines[0].rpartition("}")[2].split()[0])

    own = ('pod="seen"', 'container="main"')
    memory = ("metrics/cadvisor", "container_spec_memory_limit_bytes", *own)
    eventually(lambda: value(*memory) == 64 * 1024**2)
    assert value("metrics/cadvisor", "container_spec_cpu_quota", *own) == 50_000
    assert value("metrics/cadvisor", "container_memory_usage_bytes", *own) > 0
    assert value("metrics/cadvisor", "container_processes", *own) >= 1
    received = "container_network_receive_bytes_total"
    assert value("metrics/cadvisor", received, 'pod="seen"', 'interface="eth0"') >= 0
    assert value("metrics/resource", "container_memory_working_set_bytes", *own) > 0
    passed = 'result="successful"'
    eventually(lambda: value("metrics/probes", "prober_probe_total", *own, passed) > 1)
    assert value("metrics", "kubelet_node_name", f'node="{node}"') == 1
    summary = json.loads(page("stats/summary"))
    (found,) = (one for one in summary["pods"] if one["podRef"]["name"] == "seen")
    assert found["containers"][0]["memory"]["availableBytes"] <= 64 * 1024**2
    assert found["network"]["name"] == "eth0"
    assert {"kubelet", "pods"} <= {one["name"] for one in summary["node"]["systemContainers"]}
    assert summary["node"]["fs"]["capacityBytes"] > 0
    assert json.loads(page("configz"))["kubeletconfig"]["kind"] == "KubeletConfiguration"
    assert cluster.fetch(node, "http://127.0.0.1:10248/healthz") == "ok", "without TLS, on the node"
    for which in ("pods", "runningpods/"):
        assert "seen" in [one["metadata"]["name"] for one in json.loads(page(which))["items"]]
    started = 'operation_type="start_container"'
    assert value("metrics", "kubelet_runtime_operations_total", started) >= 1
    meta = kubectl.json("get", "pod", "seen")["metadata"]
    folder = f"{meta['namespace']}_seen_{meta['uid']}/"
    assert folder in page("logs/pods/")
    assert page(f"logs/pods/{folder}main/0.log") == "", "it has said nothing"


def test_a_pod_that_runs_gets_more_and_less(kubectl: Kubectl, eventually: Eventually) -> None:
    amounts = {"cpu": "100m", "memory": "32Mi"}
    kubectl.apply(pod("grows", container(resources={"limits": amounts, "requests": amounts})))
    ready(kubectl, "grows")
    limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"

    def resize(memory: str) -> None:
        wanted = {"cpu": "200m", "memory": memory}
        resources = {"limits": wanted, "requests": wanted}
        change = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
        kubectl("patch", "pod", "grows", "--subresource=resize", "-p", json.dumps(change))

    for memory, size in (("64Mi", 64), ("48Mi", 48)):
        resize(memory)
        eventually(
            lambda memory=memory: (
                main_status(kubectl, "grows")["resources"]["limits"]["memory"] == memory
            )
        )
        told = kubectl("exec", "grows", "--", "sh", "-c", limit, check=False)
        assert told.split() == [str(size * 1024 * 1024)]
    assert main_status(kubectl, "grows")["allocatedResources"] == {"cpu": "200m", "memory": "48Mi"}
    assert main_status(kubectl, "grows")["restartCount"] == 0
    eventually(lambda: "Resized container main in place" in kubectl("describe", "pod", "grows"))

    resize("1000Gi")
    eventually(
        lambda: any(
            (one["type"], one.get("reason")) == ("PodResizePending", "Infeasible")
            for one in status(kubectl, "grows")["conditions"]
        )
    )


def test_what_is_not_honoured_is_refused_and_said(kubectl: Kubectl, eventually: Eventually) -> None:
    weak = pod("confined", {"name": "main", "image": BUSYBOX, "command": ["sleep", "1000"]})
    weak["spec"]["hostUsers"] = False
    kubectl.apply(weak)

    def refused() -> bool:
        told = kubectl("get", "events", "--field-selector=involvedObject.name=confined")
        return "spec.hostUsers" in told

    eventually(refused)
    assert status(kubectl, "confined")["phase"] in ("Pending", "Failed")
