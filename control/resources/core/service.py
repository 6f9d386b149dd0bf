"""Service: a stable address in front of changing pods. Walk step 6.

Cluster IPs and node ports are handed out by the registry's allocators after these rules ran.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from api import validation
from api.core import (
    IPFamily,
    IPFamilyPolicy,
    Protocol,
    Service,
    ServiceAffinity,
    ServiceExternalTrafficPolicy,
    ServiceInternalTrafficPolicy,
    ServicePort,
    ServiceSpec,
    ServiceType,
)
from api.core.service import ClientIPConfig, SessionAffinityConfig
from api.fielderrors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from api.scheme import resource_of
from control.resources.checks import (
    check_enum,
    check_labels,
    check_port,
    check_port_or_name,
    check_text,
    check_unique,
)
from control.resources.columns import AGE, NONE, join_or_none
from control.resources.core.addresses import endpoint_address_errors
from control.resources.strategy import Column, Strategy, mask_trailing_dash

HEADLESS = "None"
TRAFFIC_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
DEFAULT_AFFINITY_SECONDS = 10800
MAX_AFFINITY_SECONDS = 86400


class ServiceStrategy(Strategy[Service]):
    """The cluster IP, once given, stays until the type becomes ExternalName."""

    columns = (
        Column("Type", "string", lambda service, now: service.spec.type),
        Column("Cluster-IP", "string", lambda service, now: service.spec.cluster_ip or NONE),
        Column("External-IP", "string", lambda service, now: _external_ip(service)),
        Column("Port(s)", "string", lambda service, now: _ports(service.spec.ports)),
        AGE,
        Column("Selector", "string", lambda service, now: _selector(service), priority=1),
    )

    def default(self, obj: Service) -> None:
        spec = obj.spec
        spec.type = spec.type or "ClusterIP"
        spec.session_affinity = spec.session_affinity or "None"
        if spec.session_affinity == "None":
            spec.session_affinity_config = None
        elif spec.session_affinity == "ClientIP" and _affinity_seconds(spec) is None:
            spec.session_affinity_config = SessionAffinityConfig(
                client_ip=ClientIPConfig(timeout_seconds=DEFAULT_AFFINITY_SECONDS)
            )
        if spec.type != "ExternalName":
            spec.internal_traffic_policy = spec.internal_traffic_policy or "Cluster"
            spec.ip_families = spec.ip_families or ["IPv4"]
            spec.ip_family_policy = spec.ip_family_policy or "SingleStack"
        if _externally_accessible(spec):
            spec.external_traffic_policy = spec.external_traffic_policy or "Cluster"
        if spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports is None:
            spec.allocate_load_balancer_node_ports = True
        if spec.cluster_ip and not spec.cluster_ips:
            spec.cluster_ips = [spec.cluster_ip]
        elif spec.cluster_ips and not spec.cluster_ip:
            spec.cluster_ip = spec.cluster_ips[0]
        for port in spec.ports:
            port.protocol = port.protocol or "TCP"
            if port.target_port in (0, ""):
                port.target_port = port.port

    def prepare_update(self, new: Service, old: Service) -> None:
        """The addresses it was given are carried over, or dropped where the type has no use for them.

        A client leaves them out of a replace, or changes the type alone with a patch.
        """
        super().prepare_update(new, old)
        new.spec.type = new.spec.type or "ClusterIP"
        _drop_what_the_type_has_not(new.spec, old.spec)
        _carry_over(new.spec, old.spec)

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        return validation.dns1035_label(mask_trailing_dash(name) if generated else name)

    def validate(self, obj: Service) -> list[FieldError]:
        return list(_spec_errors(obj.spec, Path("spec")))

    def validate_update(self, new: Service, old: Service) -> list[FieldError]:
        errors = self.validate(new)
        kept = old.spec.type != "ExternalName" and new.spec.type != "ExternalName"
        if kept and old.spec.cluster_ip and new.spec.cluster_ip != old.spec.cluster_ip:
            where = Path("spec").child("clusterIPs").index(0)
            errors.append(invalid(where, new.spec.cluster_ip, "may not change once set"))
        return errors

    def fields(self, obj: Service) -> dict[str, str]:
        return {"spec.clusterIP": obj.spec.cluster_ip, "spec.type": obj.spec.type}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"spec.clusterIP", "spec.type"}

    def generation_changes(self, new: Service, old: Service) -> bool:
        """Services carry no generation (as in Kubernetes)."""
        return False


def _has_cluster_ip(spec: ServiceSpec) -> bool:
    return spec.type != "ExternalName"


def _has_node_ports(spec: ServiceSpec) -> bool:
    if spec.type == "LoadBalancer":
        return spec.allocate_load_balancer_node_ports is not False
    return spec.type == "NodePort"


def _externally_accessible(spec: ServiceSpec) -> bool:
    if spec.type in ("NodePort", "LoadBalancer"):
        return True
    return spec.type == "ClusterIP" and bool(spec.external_ips)


def _affinity_seconds(spec: ServiceSpec) -> int | None:
    config = spec.session_affinity_config
    if config is None or config.client_ip is None:
        return None
    return config.client_ip.timeout_seconds


def _drop_what_the_type_has_not(new: ServiceSpec, old: ServiceSpec) -> None:
    """After a change of type, fields of the old type that the client did not touch go."""
    if _has_cluster_ip(old) and not _has_cluster_ip(new):
        if new.cluster_ips == old.cluster_ips:
            new.cluster_ip, new.cluster_ips = "", []
        if new.ip_families == old.ip_families:
            new.ip_families = []
        if new.ip_family_policy == old.ip_family_policy:
            new.ip_family_policy = None
    if _has_node_ports(old) and not _has_node_ports(new):
        given = {port.node_port for port in old.ports}
        for port in new.ports:
            port.node_port = 0 if port.node_port in given else port.node_port
    if _externally_accessible(old) and not _externally_accessible(new):
        if new.external_traffic_policy == old.external_traffic_policy:
            new.external_traffic_policy = ""
    if old.type == "LoadBalancer" != new.type:
        if new.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports:
            new.allocate_load_balancer_node_ports = None
        if new.load_balancer_class == old.load_balancer_class:
            new.load_balancer_class = None


def _carry_over(new: ServiceSpec, old: ServiceSpec) -> None:
    if _has_cluster_ip(old) and _has_cluster_ip(new):
        new.cluster_ip = new.cluster_ip or old.cluster_ip
        if not new.cluster_ips and new.cluster_ip == old.cluster_ip:
            new.cluster_ips = list(old.cluster_ips)
        elif new.cluster_ip != old.cluster_ip and new.cluster_ips == old.cluster_ips:
            new.cluster_ips = [new.cluster_ip]  # told by the one field of the two
    if _has_node_ports(old) and _has_node_ports(new):
        given = {port.name: port.node_port for port in old.ports}
        taken = {port.node_port for port in new.ports}
        for port in new.ports:
            known = given.get(port.name, 0)
            if port.node_port == 0 and known not in taken:
                port.node_port = known
                taken.add(known)


def _spec_errors(spec: ServiceSpec, path: Path) -> Iterator[FieldError]:
    yield from check_enum(path.child("type"), spec.type, ServiceType, needed=True)
    if not spec.ports and spec.cluster_ip != HEADLESS and spec.type != "ExternalName":
        yield required(path.child("ports"), "")
    yield from _ports_errors(spec, path.child("ports"))
    yield from check_labels(path.child("selector"), spec.selector)
    yield from check_enum(
        path.child("sessionAffinity"), spec.session_affinity, ServiceAffinity, needed=True
    )
    yield from _affinity_errors(spec, path)
    yield from _address_errors(spec, path)
    yield from check_enum(
        path.child("externalTrafficPolicy"),
        spec.external_traffic_policy,
        ServiceExternalTrafficPolicy,
    )
    if spec.external_traffic_policy and not _externally_accessible(spec):
        yield invalid(
            path.child("externalTrafficPolicy"),
            spec.external_traffic_policy,
            "may only be set for externally-accessible services",
        )
    yield from check_enum(
        path.child("internalTrafficPolicy"),
        spec.internal_traffic_policy,
        ServiceInternalTrafficPolicy,
    )
    distribution = spec.traffic_distribution
    if distribution is not None and distribution not in TRAFFIC_DISTRIBUTIONS:
        yield not_supported(path.child("trafficDistribution"), distribution, TRAFFIC_DISTRIBUTIONS)
    yield from check_enum(path.child("ipFamilyPolicy"), spec.ip_family_policy, IPFamilyPolicy)
    for number, family in enumerate(spec.ip_families):
        where = path.child("ipFamilies").index(number)
        yield from check_enum(where, family, IPFamily, needed=True)
        if family == "IPv6":
            yield invalid(where, family, "not configured on this cluster")
    if spec.ip_family_policy == "RequireDualStack":
        yield invalid(
            path.child("ipFamilyPolicy"),
            spec.ip_family_policy,
            "this cluster is not configured for dual-stack services",
        )
    for number, address in enumerate(spec.external_ips):
        yield from endpoint_address_errors(path.child("externalIPs").index(number), address)
    yield from _load_balancer_errors(spec, path)


def _load_balancer_errors(spec: ServiceSpec, path: Path) -> Iterator[FieldError]:
    for number, network in enumerate(spec.load_balancer_source_ranges):
        where = path.child("loadBalancerSourceRanges").index(number)
        yield from check_text(where, network.strip(), validation.cidr)
    if spec.type == "LoadBalancer":
        return
    for name, value in (
        ("allocateLoadBalancerNodePorts", spec.allocate_load_balancer_node_ports),
        ("loadBalancerClass", spec.load_balancer_class),
        ("loadBalancerSourceRanges", spec.load_balancer_source_ranges or None),
    ):
        if value is not None:
            yield forbidden(path.child(name), "may only be used when `type` is 'LoadBalancer'")
    if spec.health_check_node_port:
        yield invalid(
            path.child("healthCheckNodePort"),
            spec.health_check_node_port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )


def _ports_errors(spec: ServiceSpec, path: Path) -> Iterator[FieldError]:
    seen: set[tuple[int, str]] = set()
    node_ports = [
        (path.index(number).child("nodePort"), (port.node_port, port.protocol))
        for number, port in enumerate(spec.ports)
        if port.node_port
    ]
    yield from (
        duplicate(where, pair[0])
        for number, (where, pair) in enumerate(node_ports)
        if any(pair == earlier for _, earlier in node_ports[:number])
    )
    for number, port in enumerate(spec.ports):
        where = path.index(number)
        if len(spec.ports) > 1 and not port.name:
            yield required(where.child("name"), "")
        if port.name:
            yield from check_text(where.child("name"), port.name, validation.dns1123_label)
        yield from check_port(where.child("port"), port.port)
        yield from check_enum(where.child("protocol"), port.protocol, Protocol, needed=True)
        yield from check_port_or_name(where.child("targetPort"), port.target_port)
        yield from check_port(where.child("nodePort"), port.node_port, needed=False)
        if port.app_protocol is not None:
            at = where.child("appProtocol")
            yield from check_text(at, port.app_protocol, validation.qualified_name)
        if port.node_port and spec.type not in ("NodePort", "LoadBalancer"):
            yield forbidden(
                where.child("nodePort"), f"may not be used when `type` is '{spec.type}'"
            )
        pair = (port.port, port.protocol)
        if pair in seen:
            yield duplicate(where, f"{port.port}/{port.protocol}")
        seen.add(pair)
    yield from check_unique(
        path,
        (
            (path.index(n).child("name"), port.name)
            for n, port in enumerate(spec.ports)
            if port.name
        ),
    )


def _affinity_errors(spec: ServiceSpec, path: Path) -> Iterator[FieldError]:
    if spec.session_affinity != "ClientIP":
        return
    seconds = _affinity_seconds(spec)
    where = path.child("sessionAffinityConfig")
    if seconds is None or not 1 <= seconds <= MAX_AFFINITY_SECONDS:
        yield invalid(
            where.child("clientIP", "timeoutSeconds"),
            seconds,
            f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}",
        )


def _address_errors(spec: ServiceSpec, path: Path) -> Iterator[FieldError]:
    if spec.type == "ExternalName":
        for name, value in (
            ("clusterIPs", spec.cluster_ips),
            ("ipFamilies", spec.ip_families),
            ("ipFamilyPolicy", spec.ip_family_policy),
        ):
            if value:
                yield forbidden(path.child(name), "may not be set for ExternalName services")
        yield from check_text(
            path.child("externalName"),
            spec.external_name.removesuffix("."),
            validation.dns1123_subdomain,
        )
        return
    if spec.cluster_ip == HEADLESS and spec.type in ("NodePort", "LoadBalancer"):
        yield invalid(
            path.child("clusterIPs").index(0),
            HEADLESS,
            f"may not be set to 'None' for {spec.type} services",
        )
    if spec.cluster_ips and spec.cluster_ip != spec.cluster_ips[0]:
        yield invalid(
            path.child("clusterIPs"), spec.cluster_ips, "first value must match `clusterIP`"
        )
    if spec.cluster_ip and spec.cluster_ip != HEADLESS:
        where = path.child("clusterIPs").index(0)
        errors = list(check_text(where, spec.cluster_ip, validation.ip_address))
        yield from errors
        if not errors and ip_address(spec.cluster_ip).version != 4:
            yield invalid(
                where, spec.cluster_ip, "expected an IPv4 value: this cluster has no IPv6"
            )


def _external_ip(service: Service) -> str:
    match service.spec.type:
        case "ExternalName":
            return service.spec.external_name
        case "LoadBalancer":
            given = [entry.ip or entry.hostname for entry in service.status.load_balancer.ingress]
            return ",".join([*given, *service.spec.external_ips]) or "<pending>"
        case _:
            return join_or_none(service.spec.external_ips)


def _ports(ports: list[ServicePort]) -> str:
    return join_or_none(
        f"{port.port}:{port.node_port}/{port.protocol}"
        if port.node_port
        else f"{port.port}/{port.protocol}"
        for port in ports
    )


def _selector(service: Service) -> str:
    return join_or_none(f"{key}={value}" for key, value in sorted(service.spec.selector.items()))


STRATEGY = ServiceStrategy(resource_of(Service))
