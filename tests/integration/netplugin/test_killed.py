"""The agent killed at any moment of attaching and detaching: no address twice, nothing left behind."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from netplugin.links import NodeLinks
from netplugin.namespaces import run_inside
from tests.integration.netplugin.lab import Lab, config, reaches, run

_AGENT = """
import itertools, random, sys
from pathlib import Path
from netplugin.links import NodeLinks
from netplugin.namespaces import enter
from tests.integration.netplugin.lab import config
state, namespace, *pods = sys.argv[1:]
enter(namespace)
links = NodeLinks(config(1, state=Path(state), namespace=None))
links.setup()
print("ready", flush=True)
while True:
    pod = random.choice(pods)
    links.attach(f"sandbox-{pod}", pod, pod=pod, host_ports=())
    if random.random() < 0.5:
        links.detach(f"sandbox-{pod}")
"""


def test_killed_while_wiring_pods(lab: Lab, tmp_path: Path) -> None:
    node = lab.namespace("node-1")
    pods = [lab.namespace(f"pod-{number}") for number in range(4)]
    chance = random.Random(7)
    for _ in range(6):
        agent = subprocess.Popen(
            [sys.executable, "-c", _AGENT, str(tmp_path), node, *pods],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.1))  # the one thing here that is left to chance
        agent.kill()
        agent.communicate()
        run_inside(node, lambda: _recover(tmp_path, node, pods))
    links = NodeLinks(config(1, state=tmp_path, namespace=None))
    run_inside(node, links.teardown)
    assert run(node, "ip", "-o", "link", "show", "type", "veth") == ""


def _recover(state: Path, node: str, pods: list[str]) -> None:
    links = NodeLinks(config(1, state=state, namespace=None))
    links.setup()
    links.cut_orphans()
    before = {a.sandbox: a.address for a in links.allocations()}
    assert len(set(before.values())) == len(before)
    places = {}
    for pod in pods:
        place = links.attach(f"sandbox-{pod}", pod, pod=pod, host_ports=())
        places[pod] = str(place.ip)
        assert before.get(f"sandbox-{pod}", places[pod]) == places[pod]
    assert len(set(places.values())) == len(pods)
    assert all(reaches(node, address) for address in places.values())
    for sandbox in links.dead(live=()):
        links.detach(sandbox)
    assert links.allocations() == []
    assert run(node, "ip", "-o", "link", "show", "master", "pwbr0") == ""
    links.close()
