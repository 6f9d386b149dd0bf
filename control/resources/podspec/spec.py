"""Validation of a whole pod spec, and of the template that holds one."""

from collections.abc import Iterator
from itertools import chain

from api import validation
from api.core import (
    DNSPolicy,
    PodDNSConfig,
    PodSpec,
    PodTemplateSpec,
    PreemptionPolicy,
    RestartPolicy,
)
from api.fielderrors import (
    FieldError,
    Path,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from control.resources.checks import (
    check_enum,
    check_labels,
    check_text,
    check_unique,
    is_negative,
)
from control.resources.podspec.containers import (
    container_errors,
    host_network_errors,
    host_port_conflicts,
)
from control.resources.podspec.environment import file_volume_errors
from control.resources.podspec.placement import placement_errors
from control.resources.podspec.probes import (
    app_container_errors,
    init_container_errors,
    stop_signal_errors,
)
from control.resources.podspec.resources import pod_resource_errors
from control.resources.podspec.restarts import restart_errors
from control.resources.podspec.security import pod_security_errors
from control.resources.podspec.volumes import volume_errors

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
MAX_DEADLINE = 2**31 - 1
MAX_HOSTNAME = 64


def pod_spec_errors(
    spec: PodSpec, path: Path, *, in_template: bool = False
) -> Iterator[FieldError]:
    """Every error of a pod spec; a template may still leave out what only a pod must say."""
    yield from volume_errors(spec.volumes, path.child("volumes"))
    yield from _container_list_errors(spec, path, in_template=in_template)
    yield from pod_resource_errors(spec, path)
    yield from check_enum(
        path.child("restartPolicy"), spec.restart_policy, RestartPolicy, needed=True
    )
    yield from placement_errors(spec, path)
    yield from _dns_errors(spec, path)
    yield from _lifetime_errors(spec, path)
    yield from _identity_errors(spec, path)
    yield from pod_security_errors(spec, path)


def template_errors(
    template: PodTemplateSpec, path: Path, workload: str = "ReplicaSet"
) -> Iterator[FieldError]:
    """A pod template of a workload that keeps its pods running: restartPolicy must be Always.

    Of a Deployment's template Kubernetes speaks as of its ReplicaSets'.
    """
    yield from any_template_errors(template, path)
    if template.spec.restart_policy not in ("", "Always"):
        yield not_supported(
            path.child("spec", "restartPolicy"), template.spec.restart_policy, ("Always",)
        )
    if template.spec.active_deadline_seconds is not None:
        yield forbidden(
            path.child("spec", "activeDeadlineSeconds"),
            f"activeDeadlineSeconds in {workload} is not Supported",
        )


def any_template_errors(template: PodTemplateSpec, path: Path) -> Iterator[FieldError]:
    """What holds for every pod template, of workloads that end too."""
    yield from check_labels(path.child("metadata", "labels"), template.metadata.labels)
    yield from pod_spec_errors(template.spec, path.child("spec"), in_template=True)
    if template.spec.ephemeral_containers:
        yield forbidden(
            path.child("spec", "ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        )


def _container_list_errors(spec: PodSpec, path: Path, *, in_template: bool) -> Iterator[FieldError]:
    volumes = frozenset(volume.name for volume in spec.volumes)
    app = [(path.child("containers").index(n), c) for n, c in enumerate(spec.containers)]
    init = [(path.child("initContainers").index(n), c) for n, c in enumerate(spec.init_containers)]
    debug = [
        (path.child("ephemeralContainers").index(n), c)
        for n, c in enumerate(spec.ephemeral_containers)
    ]
    if not app:
        yield required(path.child("containers"), "")
    named = [(where, container.name) for where, container in chain(init, app)]
    named += [(where, container.name) for where, container in debug]
    yield from check_unique(path, ((where.child("name"), name) for where, name in named))
    system = spec.os.name if spec.os is not None else ""
    for where, container in chain(init, app):
        yield from container_errors(container, where, volumes)
        yield from stop_signal_errors(container, where, os=system)
        yield from restart_errors(container, where)
    grace = max(spec.termination_grace_period_seconds or 0, 0)
    for where, container in app:
        yield from app_container_errors(container, where, grace)
    for where, container in init:
        yield from init_container_errors(container, where, grace)
    for where, debugger in debug:
        yield from container_errors(debugger, where, volumes)
    by_name = {volume.name: volume for volume in spec.volumes}
    for where, container in chain(init, app):
        yield from file_volume_errors(container.env, by_name, where)
    for where, debugger in debug:
        yield from file_volume_errors(debugger.env, by_name, where)
    yield from host_port_conflicts(app)
    if spec.host_network:
        yield from host_network_errors(app, in_template=in_template)


def _dns_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    yield from check_enum(path.child("dnsPolicy"), spec.dns_policy, DNSPolicy, needed=True)
    config = spec.dns_config
    where = path.child("dnsConfig")
    if spec.dns_policy == "None" and config is None:
        yield required(where, "must provide `dnsConfig` when `dnsPolicy` is None")
    elif spec.dns_policy == "None" and config is not None and not config.nameservers:
        yield required(
            where.child("nameservers"),
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        )
    if config is not None:
        yield from _dns_config_errors(config, where)


def _dns_config_errors(config: PodDNSConfig, path: Path) -> Iterator[FieldError]:
    if len(config.nameservers) > MAX_NAMESERVERS:
        yield invalid(
            path.child("nameservers"),
            config.nameservers,
            f"must not have more than {MAX_NAMESERVERS} nameservers",
        )
    for number, server in enumerate(config.nameservers):
        yield from check_text(
            path.child("nameservers").index(number), server, validation.ip_address
        )
    searches = path.child("searches")
    if len(config.searches) > MAX_SEARCHES:
        words = f"must not have more than {MAX_SEARCHES} search paths"
        yield invalid(searches, config.searches, words)
    if len(" ".join(config.searches)) > MAX_SEARCH_CHARACTERS:
        words = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces)"
        yield invalid(searches, config.searches, f"{words} in the search list")
    for number, search in enumerate(config.searches):
        if search != ".":
            yield from check_text(
                searches.index(number),
                search.removesuffix(".").replace("_", "-"),  # resolvers know names with underscores
                validation.dns1123_subdomain,
            )
    for number, option in enumerate(config.options):
        if not option.name:
            yield required(path.child("options").index(number), "must not be empty")


def _lifetime_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    deadline = spec.active_deadline_seconds
    if deadline is not None and not 1 <= deadline <= MAX_DEADLINE:
        yield invalid(
            path.child("activeDeadlineSeconds"),
            deadline,
            f"must be between 1 and {MAX_DEADLINE}, inclusive",
        )
    yield from check_enum(path.child("preemptionPolicy"), spec.preemption_policy, PreemptionPolicy)
    for name, value in spec.overhead.items():
        if is_negative(value):
            yield invalid(
                path.child("overhead").key(name), value, "must be greater than or equal to 0"
            )


def _hostname_override_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    """What PodSpec's documentation says of the field (KEP-4762)."""
    name = spec.hostname_override
    if name is None:
        return
    if len(name) > MAX_HOSTNAME:
        yield too_long(path, MAX_HOSTNAME)
    yield from check_text(path, name, validation.dns1123_subdomain, needed=False)
    if spec.set_hostname_as_fqdn:
        yield forbidden(path, "may not be set when `setHostnameAsFQDN` is true")
    if spec.host_network:
        yield forbidden(path, "may not be set when `hostNetwork` is true")


def _identity_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    for name, value in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        yield from check_text(path.child(name), value, validation.dns1123_label, needed=False)
    yield from _hostname_override_errors(spec, path.child("hostnameOverride"))
    for name, value in (
        ("serviceAccountName", spec.service_account_name),
        ("priorityClassName", spec.priority_class_name),
        ("runtimeClassName", spec.runtime_class_name or ""),
        ("schedulerName", spec.scheduler_name),
    ):
        yield from check_text(path.child(name), value, validation.dns1123_subdomain, needed=False)
    for number, alias in enumerate(spec.host_aliases):
        where = path.child("hostAliases").index(number)
        yield from check_text(where.child("ip"), alias.ip, validation.ip_address)
        for at, hostname in enumerate(alias.hostnames):
            yield from check_text(
                where.child("hostnames").index(at), hostname, validation.dns1123_subdomain
            )
    for number, secret in enumerate(spec.image_pull_secrets):
        if secret.name:
            yield from check_text(
                path.child("imagePullSecrets").index(number).child("name"),
                secret.name,
                validation.dns1123_subdomain,
            )
    for number, gate in enumerate(spec.readiness_gates):
        yield from check_text(
            path.child("readinessGates").index(number).child("conditionType"),
            gate.condition_type,
            validation.qualified_name,
        )
    if spec.os is not None and spec.os.name not in ("linux", "windows"):
        yield not_supported(path.child("os", "name"), spec.os.name, ("linux", "windows"))
