"""A pod's hostname, /etc/hosts and /etc/resolv.conf (step 4 of the pod's walk). Pure.

They are files of the pod, bind-mounted into each container, because Docker refuses its own
hostname, DNS and host options beside `network_mode=container:`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.spec.errors import ConfigError
from api.core import Pod

HOSTNAME_LENGTH = 63
KERNEL_LENGTH = 64
"""Characters of a host name that the kernel takes (sethostname(2))."""
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
    if pod.spec.hostname_override:
        return pod.spec.hostname_override
    name = pod.spec.hostname or pod.metadata.name
    return name[:HOSTNAME_LENGTH].rstrip("-.")


def domain(pod: Pod, cluster_domain: str) -> str:
    """The pod's fully qualified name; empty without `spec.subdomain`."""
    if not pod.spec.subdomain or pod.spec.hostname_override:
        return ""
    return f"{hostname(pod)}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"


def kernel_hostname(pod: Pod, cluster_domain: str) -> str:
    """What `hostname` prints: the short name, or the whole one with setHostnameAsFQDN.

    Raises ConfigError when the whole one is too long: cut, it would be another machine's.
    """
    full = domain(pod, cluster_domain)
    if not (pod.spec.set_hostname_as_fqdn and full):
        return hostname(pod)
    if len(full) > KERNEL_LENGTH:
        raise ConfigError(
            f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
            f"({KERNEL_LENGTH} characters is the max, {len(full)} characters requested)"
        )
    return full


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
    asked = _asked(pod, node=node, cluster_dns=cluster_dns, cluster_domain=cluster_domain)
    return _limited(asked)


def compromises(
    pod: Pod, *, node: ResolvConf, cluster_dns: Sequence[str], cluster_domain: str
) -> Iterator[tuple[str, str]]:
    """Where the pod does not get what it asks for: the reasons and words of events."""
    if not cluster_dns and (policy := _policy(pod)).startswith("ClusterFirst"):
        yield (
            "MissingClusterDNS",
            f"the agent does not have ClusterDNS IP configured and cannot create Pod using "
            f'"{policy}" policy. Falling back to "Default" policy.',
        )
    asked = _asked(pod, node=node, cluster_dns=cluster_dns, cluster_domain=cluster_domain)
    given = _limited(asked)
    if given.nameservers != asked.nameservers:
        yield (
            "DNSConfigForming",
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(given.nameservers)}",
        )
    if given.searches != asked.searches:
        yield (
            "DNSConfigForming",
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(given.searches)}",
        )


def _policy(pod: Pod) -> str:
    policy = pod.spec.dns_policy or "ClusterFirst"
    return "Default" if policy == "ClusterFirst" and pod.spec.host_network else policy


def _asked(
    pod: Pod, *, node: ResolvConf, cluster_dns: Sequence[str], cluster_domain: str
) -> ResolvConf:
    policy = _policy(pod)
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
    return _with_config(base, pod)


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
