"""The command lines that local clusters give to the daemons are ones that the daemons understand."""

from __future__ import annotations

from pathlib import Path

from agent import settings as agent_settings
from control import settings as control_settings
from local import daemons, topology

PLAN = topology.plan("demo", Path("/tmp/x"), ["node-1"])
MACHINE = topology.plan_machine("demo", Path("/tmp/x"), "here")


def flags(command: daemons.Command) -> list[str]:
    """What follows `podwright control`."""
    at = command.argv.index("cli")
    return command.argv[at + 2 :]


def test_a_control_plane_on_the_switch() -> None:
    command = daemons.control(
        PLAN.control,
        pki=Path("/tmp/x/pki"),
        kubeconfig=Path("/tmp/x/kubeconfig"),
        server="https://127.0.0.1:20001",
        inherited=True,
        options=["--node-monitor-grace-period=10s"],
    )
    loaded = control_settings.load(flags(command), {})
    assert PLAN.control.cable is not None
    assert loaded.advertise_address == str(PLAN.control.cable.address.ip)
    assert loaded.listen_fd == (daemons.LISTENER,)
    assert loaded.kubeconfig_server == "https://127.0.0.1:20001"
    assert loaded.node_monitor_grace_period == 10


def test_a_control_plane_on_the_machine_itself() -> None:
    command = daemons.control(
        MACHINE.control,
        pki=Path("/tmp/x/pki"),
        kubeconfig=Path("/tmp/x/kubeconfig"),
        server="https://127.0.0.1:6443",
        inherited=False,
    )
    loaded = control_settings.load(flags(command), {})
    assert loaded.advertise_address is None
    assert loaded.listen_fd == ()
    assert loaded.port == daemons.CONTROL_PORT


def test_an_agent_that_is_to_join() -> None:
    member = PLAN.nodes[0]
    command = daemons.agent(
        member,
        engine="unix:///run/x/docker.sock",
        server="https://198.18.0.2:6443",
        join=daemons.Join(token="abcdef.0123456789abcdef", ca_hash="sha256:" + "0" * 64),
        capacity=topology.Capacity(cpu=2, memory=2**30),
    )
    assert not any("0123456789abcdef" in word for word in command.argv), "seen by everybody in ps"
    loaded = agent_settings.load(flags(command), command.environment)
    assert member.cable is not None
    assert loaded.token == "abcdef.0123456789abcdef"
    assert loaded.node_ip == str(member.cable.address.ip)
    assert loaded.amounts(loaded.capacity) == {"cpu": "2", "memory": "1Gi"}
    assert loaded.cgroup_root == f"/{member.cgroup_root}"


def test_an_agent_of_the_machine_itself_that_has_joined() -> None:
    command = daemons.agent(
        MACHINE.nodes[0],
        engine="unix:///var/run/docker.sock",
        server="https://127.0.0.1:6443",
        join=None,
        capacity=None,
    )
    loaded = agent_settings.load(flags(command), {})
    assert (loaded.join, loaded.node_ip, loaded.capacity) == (None, None, ())
    assert loaded.node_name == "here"
