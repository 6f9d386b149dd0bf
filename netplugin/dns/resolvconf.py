"""The resolv.conf of a pod: by which server and search path its programs find names (step 4). Pure.

The agent calls `pod_resolv_conf` when it makes the sandbox's files. What comes out follows the
pod's `dnsPolicy`, then `dnsConfig`, as the API documents; limits are those of Kubernetes, and what
exceeds them is left out and reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from api.core import Pod

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_LENGTH = 2048


@dataclass(frozen=True)
class ResolvConf:
    """A resolver's configuration."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"nameserver {server}" for server in self.nameservers]
        if self.searches:
            lines.append("search " + " ".join(self.searches))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class PodResolvConf:
    content: str
    problems: tuple[str, ...] = ()
    """What had to be left out, for an event on the pod."""


def parse(text: str) -> ResolvConf:
    """Read a resolv.conf; the last `search` or `domain` line counts, as for the C library."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        match words:
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search" | "domain", *names]:
                searches = tuple(names)
            case ["options", *given]:
                options += given
    return ResolvConf(tuple(servers), searches, tuple(options))


def pod_resolv_conf(
    pod: Pod, *, cluster_dns: IPv4Address, domain: str, node: ResolvConf
) -> PodResolvConf:
    """The file for this pod on a node with that configuration of its own."""
    base = _by_policy(pod, cluster_dns, domain, node)
    wanted = pod.spec.dns_config
    if wanted is not None:
        options = {_key(option): option for option in base.options}
        for option in wanted.options:
            options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
        base = ResolvConf(
            nameservers=_unique((*base.nameservers, *wanted.nameservers)),
            searches=_unique((*base.searches, *wanted.searches)),
            options=tuple(options.values()),
        )
    return _limited(base)


def _by_policy(pod: Pod, cluster_dns: IPv4Address, domain: str, node: ResolvConf) -> ResolvConf:
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "None":
        return ResolvConf()
    # With the host's network ClusterFirst means the host's resolver: that is what the other name
    # ClusterFirstWithHostNet exists for.
    if policy == "Default" or (policy == "ClusterFirst" and pod.spec.host_network):
        return node
    below = f"svc.{domain}"
    return ResolvConf(
        nameservers=(str(cluster_dns),),
        searches=_unique((f"{pod.metadata.namespace}.{below}", below, domain, *node.searches)),
        options=("ndots:5",),
    )


def _limited(conf: ResolvConf) -> PodResolvConf:
    problems = []
    if len(conf.nameservers) > MAX_NAMESERVERS:
        kept = ", ".join(conf.nameservers[:MAX_NAMESERVERS])
        problems.append(f"more than {MAX_NAMESERVERS} nameservers; only {kept} are used")
    searches: list[str] = []
    for name in conf.searches[:MAX_SEARCHES]:
        if len(" ".join([*searches, name])) <= MAX_SEARCH_LENGTH:
            searches.append(name)
    if len(searches) < len(conf.searches):
        left_out = ", ".join(name for name in conf.searches if name not in searches)
        problems.append(f"the search path is too long; left out: {left_out}")
    kept_conf = ResolvConf(conf.nameservers[:MAX_NAMESERVERS], tuple(searches), conf.options)
    return PodResolvConf(str(kept_conf), tuple(problems))


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _key(option: str) -> str:
    return option.split(":", 1)[0]
