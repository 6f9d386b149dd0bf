"""A pod's hostname, /etc/hosts and /etc/resolv.conf (step 4 of the pod's walk). Pure.

They are files of the pod, bind-mounted into each container, because Docker refuses its own
hostname, DNS and host options beside `network_mode=container:`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.core import Pod

HOSTNAME_LENGTH = 63
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
"""Limits of what the C libraries read; beyond them entries are left out, as Kubernetes does."""


@dataclass(frozen=True, kw_only=True)
class ResolvConf:
    """The content of a resolv.conf(5)."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def text(self) -> str:
        lines = []
        if self.searches:
            lines.append("search " + " ".join(self.searches))
        lines += [f"nameserver {server}" for server in self.nameservers]
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> ResolvConf:
    """Read a resolv.conf: the last `search` wins, comments and unknown lines are dropped."""
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver" and len(words) > 1:
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(words[1:])
        elif words[0] == "options":
            options += words[1:]
    return ResolvConf(nameservers=tuple(nameservers), searches=searches, options=tuple(options))


def hostname(pod: Pod) -> str:
    """The pod's host name: as its spec says, or its own name, cut to what a kernel takes."""
    name = pod.spec.hostname_override or pod.spec.hostname or pod.metadata.name
    return name[:HOSTNAME_LENGTH].rstrip("-.")


def domain(pod: Pod, cluster_domain: str) -> str:
    """The pod's fully qualified name; empty without `spec.subdomain`."""
    if not pod.spec.subdomain or pod.spec.hostname_override:
        return ""
    return f"{hostname(pod)}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"


def kernel_hostname(pod: Pod, cluster_domain: str) -> str:
    """What `hostname` prints: the short name, or the whole one with setHostnameAsFQDN."""
    full = domain(pod, cluster_domain)
    return full if pod.spec.set_hostname_as_fqdn and full else hostname(pod)


def hosts(pod: Pod, *, ip: str, cluster_domain: str) -> str:
    """/etc/hosts of a pod with an address of its own."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    if ip:
        full = domain(pod, cluster_domain)
        lines.append(f"{ip}\t{full}\t{hostname(pod)}" if full else f"{ip}\t{hostname(pod)}")
    return _with_aliases("".join(f"{line}\n" for line in lines), pod)


def host_network_hosts(pod: Pod, *, node_hosts: str) -> str:
    """/etc/hosts of a pod in the node's network: the node's, and the pod's own aliases."""
    header = "# Kubernetes-managed hosts file (host network).\n"
    return _with_aliases(header + node_hosts, pod)


def _with_aliases(text: str, pod: Pod) -> str:
    if not pod.spec.host_aliases:
        return text
    lines = ["", "# Entries added by HostAliases."]
    lines += ["\t".join((alias.ip, *alias.hostnames)) for alias in pod.spec.host_aliases]
    return text + "".join(f"{line}\n" for line in lines)


def resolv_conf(
    pod: Pod, *, node: ResolvConf, cluster_dns: Sequence[str], cluster_domain: str
) -> ResolvConf:
    """What the pod's dnsPolicy and dnsConfig make of the node's and the cluster's resolvers."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.host_network:
        policy = "Default"
    if policy == "None":
        base = ResolvConf()
    elif policy == "Default" or not cluster_dns:
        base = node
    else:
        namespace = pod.metadata.namespace
        own = (
            f"{namespace}.svc.{cluster_domain}",
            f"svc.{cluster_domain}",
            cluster_domain,
        )
        base = ResolvConf(
            nameservers=tuple(cluster_dns),
            searches=_unique((*own, *node.searches)),
            options=("ndots:5",),
        )
    return _limited(_with_config(base, pod))


def _with_config(base: ResolvConf, pod: Pod) -> ResolvConf:
    config = pod.spec.dns_config
    if config is None:
        return base
    options = {option.partition(":")[0]: option for option in base.options}
    for option in config.options:
        if option.name:
            options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
    return ResolvConf(
        nameservers=_unique((*base.nameservers, *config.nameservers)),
        searches=_unique((*base.searches, *config.searches)),
        options=tuple(options.values()),
    )


def _limited(conf: ResolvConf) -> ResolvConf:
    searches = list(conf.searches[:MAX_SEARCHES])
    while searches and len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        searches.pop()
    return ResolvConf(
        nameservers=conf.nameservers[:MAX_NAMESERVERS],
        searches=tuple(searches),
        options=conf.options,
    )


def _unique(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
