"""The command lines that local clusters give to the daemons are ones that the daemons understand."""

from __future__ import annotations

from pathlib import Path

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
