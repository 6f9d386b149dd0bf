"""Rules that stand whatever services there are: what may be forwarded, what leaves with another
address, and what is refused (step 4 and 6 of the pod's walk). Pure.

- FORWARD: packets of the cluster's pods pass, even where the policy is DROP, as Docker sets it.
- Still addressed to the service range when it is to be forwarded or sent: no service claimed it.
  One rule refuses it, with a reset or a port-unreachable, however many services have no endpoints.
- Traffic of our pods that leaves the cluster gets the node's address; to pods, and to nodes on a
  shared link, which have a route back, it does not. Nodes behind the tunnel are reached over the
  underlay, which would not know a pod's address: there it does.
- Marked packets (from outside through a VIP or node port, or a pod reaching itself) are masqueraded
  whatever their way.
- INPUT: nobody but the node itself speaks to or as its loopback, also while the bridge lets answers to
  it in (`netplugin.hostports`); without that the kernel drops it by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from netplugin.proxy.rules import LOOPBACK, MARK_MASQUERADE, REFUSE
from netplugin.records import NetworkConfig
from netplugin.rules.ruleset import ChainId, Jump, Rules, Ruleset
from netplugin.rules.tree import Addresses, arrange

MARK = "0x4000"
"""The bit of the packet mark that asks for masquerading: the one that other programs on Kubernetes
nodes already know to leave alone. It is cleared again before the packet leaves."""

_FORWARD = ChainId("filter", "PW-FORWARD")
_INPUT = ChainId("filter", "PW-INPUT")
_OUTPUT = ChainId("filter", "PW-OUTPUT")
_UNSERVED = ChainId("filter", "PW-UNSERVED")
_POSTROUTING = ChainId("nat", "PW-POSTROUTING")
_MASQUERADE = ChainId("nat", "PW-MASQUERADE")
LEAVING = ChainId("nat", "PW-LEAVING")
LEAVING_CHAINS = (LEAVING.name, "PW-PEER-")
"""How the names of the chains of `leaving` begin."""

_NEW = "-m conntrack --ctstate NEW"


def build(config: NetworkConfig) -> Ruleset:
    """The rules that depend on the node alone."""
    chains: dict[ChainId, Rules] = {
        _FORWARD: _forward(config),
        _INPUT: _input(config),
        _OUTPUT: (
            f"{_NEW} -j {REFUSE.name}",
            f"-d {config.service_cidr} -m addrtype ! --dst-type LOCAL -g {_UNSERVED.name}",
        ),
        _UNSERVED: (
            "-p tcp -j REJECT --reject-with tcp-reset",
            "-j REJECT --reject-with icmp-port-unreachable",
        ),
        ChainId("nat", MARK_MASQUERADE): (f"-j MARK --set-xmark {MARK}/{MARK}",),
        _POSTROUTING: (
            f"-m mark --mark {MARK}/{MARK} -g {_MASQUERADE.name}",
            f"-s {config.pod_cidr} -g {LEAVING.name}",
        ),
        _MASQUERADE: (f"-j MARK --set-xmark {MARK}/0x0", "-j MASQUERADE --random-fully"),
    }
    jumps = {
        Jump("filter", "FORWARD", _FORWARD.name),
        Jump("filter", "INPUT", _INPUT.name),
        Jump("filter", "OUTPUT", _OUTPUT.name),
        Jump("nat", "POSTROUTING", _POSTROUTING.name),
    }
    return Ruleset(chains, frozenset(jumps))


def leaving(config: NetworkConfig, direct_peers: Iterable[IPv4Address]) -> Ruleset:
    """What leaves with the node's address, given the nodes on shared links."""
    # RETURN would only leave the branch; ACCEPT in this table says no more than "no translation".
    entries: dict[int, Rules] = {int(p): (f"-d {p}/32 -j ACCEPT",) for p in direct_peers}
    return Ruleset(
        arrange(
            LEAVING,
            "PEER",
            entries,
            Addresses(),
            verb="-j",
            first=(f"-d {config.cluster_cidr} -j RETURN", "-d 224.0.0.0/4 -j RETURN"),
            last=("-j MASQUERADE --random-fully",),
        )
    )


def _forward(config: NetworkConfig) -> Rules:
    return (
        f"{_NEW} -j {REFUSE.name}",
        f"-d {config.service_cidr} -g {_UNSERVED.name}",
        f"-m mark --mark {MARK}/{MARK} -j ACCEPT",
        f"-s {config.cluster_cidr} -j ACCEPT",
        f"-d {config.cluster_cidr} -j ACCEPT",
        # Answers to what was accepted by its mark; nothing else here was ever let through by us.
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )


def _input(config: NetworkConfig) -> Rules:
    to_dns = f"-d {config.cluster_dns}/32 -i {config.bridge}"
    return (
        f"-s {LOOPBACK} -i {config.bridge} -j DROP",
        f"-d {LOOPBACK} -i {config.bridge} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP",
        f"{_NEW} -j {REFUSE.name}",
        f"{to_dns} -p udp -m udp --dport 53 -j ACCEPT",
        f"{to_dns} -p tcp -m tcp --dport 53 -j ACCEPT",
    )
