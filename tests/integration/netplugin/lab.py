"""Machines made of network namespaces, for tests: nodes on a switch, pods on nodes, small servers.

Everything is named `netplugin-…` and removed by `Lab.close`, which also runs before a lab is built,
so that leftovers of a killed run do no harm.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from netplugin import namespaces
from netplugin.namespaces import run_inside
from netplugin.records import Mode, NetworkConfig
from tests.patience import DEADLINE

PREFIX = "netplugin-"
SILENCE = 20.0
"""Seconds after which nobody will answer any more, however slow the machine."""
CLUSTER = IPv4Network("10.244.0.0/16")
SERVICES = IPv4Network("10.96.0.0/12")
DNS = IPv4Address("10.96.0.10")


@dataclass
class Lab:
    """Namespaces and the processes started in them."""

    names: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in namespaces.namespaces():
            if name.startswith(PREFIX):
                namespaces.delete_namespace(name)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        for name in self.names:
            namespaces.delete_namespace(name)

    def namespace(self, name: str) -> str:
        full = PREFIX + name
        namespaces.create_namespace(full)
        self.names.append(full)
        return full

    def switch(self, name: str = "switch") -> str:
        full = self.namespace(name)
        namespaces.create_bridge(full, "br0")
        return full

    def plug(self, namespace: str, switch: str, port: str, address: str) -> None:
        namespaces.connect(namespace, "eth0", switch, port, bridge="br0")
        namespaces.set_address(namespace, "eth0", address)

    def start(self, namespace: str, code: str, *arguments: str) -> subprocess.Popen[str]:
        """A Python program inside the namespace; returns when it has printed its first line."""
        argv = [sys.executable, "-c", code, *arguments]
        process = run_inside(
            namespace,
            lambda: subprocess.Popen(argv, stdout=subprocess.PIPE, text=True),
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline(), f"server did not start: {argv}"
        return process

    def serve(self, namespace: str, answer: str, *, port: int = 80, address: str = "") -> None:
        """Answer every TCP connection and UDP packet with `answer` and the address it came from. A
        machine with several addresses must say which: UDP answers else come from any of them."""
        self.start(namespace, _SERVER, answer, str(port), address)


def run(namespace: str, *argv: str, check: bool = True) -> str:
    done = run_inside(
        namespace,
        lambda: subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE),
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} in {namespace}: {done.stdout}{done.stderr}")
    return done.stdout


def reaches(namespace: str, address: str, *, port: int = 9) -> bool:
    """Whether packets come and go: a refusal comes from the other end, silence from nowhere."""

    def body() -> bool:
        try:
            socket.create_connection((address, port), timeout=SILENCE).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    return run_inside(namespace, body)


def ask(
    namespace: str,
    address: str,
    port: int,
    *,
    udp: bool = False,
    source: tuple[str, int] | None = None,
    timeout: float = SILENCE,
) -> str:
    """What a server answers: its name and the address it saw."""

    def body() -> str:
        if udp:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(timeout)
                if source:
                    sock.bind(source)
                sock.connect((address, port))
                sock.send(b"?")
                return sock.recv(100).decode()
        with socket.create_connection((address, port), timeout=timeout) as sock:
            return sock.recv(100).decode()

    return run_inside(namespace, body)


def config(
    index: int,
    *,
    state: Path,
    namespace: str,
    mode: Mode = Mode.AUTO,
    serve_dns: bool = False,
    address: str = "",
) -> NetworkConfig:
    """Node number `index` of a cluster: 192.0.2.(10 + index), 10.244.index.0/24."""
    return NetworkConfig(
        node_name=f"node-{index}",
        node_ip=IPv4Address(address or f"192.0.2.{10 + index}"),
        pod_cidr=IPv4Network(f"10.244.{index}.0/24"),
        cluster_cidr=CLUSTER,
        service_cidr=SERVICES,
        cluster_dns=DNS,
        state_dir=state,
        mode=mode,
        namespace=namespace,
        serve_dns=serve_dns,
    )


_SERVER = """
import socket, sys, threading
answer, port, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tcp = socket.create_server((address, port), backlog=100)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, port))
def datagrams():
    while True:
        _, peer = udp.recvfrom(2000)
        udp.sendto(f"{answer} {peer[0]}".encode(), peer)
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    connection, peer = tcp.accept()
    connection.sendall(f"{answer} {peer[0]}".encode())
    connection.close()
"""
