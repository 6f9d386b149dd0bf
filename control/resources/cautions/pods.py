"""Cautions about a pod's spec, wherever it stands: `prefix` is "" or as `spec.template.`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from api import quantity
from api.core import Affinity, Container, EphemeralContainer, PodAffinityTerm, PodSpec
from api.meta import ObjectMeta
from control.resources.cautions import fading

_SYSCTLS = 'non-functional in v1.11+; use the "sysctls" field instead'
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": _SYSCTLS,
    "security.alpha.kubernetes.io/unsafe-sysctls": _SYSCTLS,
    "seccomp.security.alpha.kubernetes.io/pod": _SECCOMP,
}
_ANNOTATION_PREFIXES = {
    "container.seccomp.security.alpha.kubernetes.io/": _SECCOMP,
    "container.apparmor.security.beta.kubernetes.io/": (
        'deprecated since v1.30; use the "appArmorProfile" field instead'
    ),
}
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_WHOLE_BYTES = ("memory", "ephemeral-storage")


def cautions(metadata: ObjectMeta, spec: PodSpec, prefix: str) -> Iterator[str]:
    """Every text about a pod or a template of pods."""
    path = f"{prefix}spec"
    yield from _annotations(metadata.annotations, f"{prefix}metadata.annotations")
    yield from fading.selector(spec.node_selector, f"{path}.nodeSelector")
    if spec.affinity is not None:
        yield from _affinity(spec.affinity, f"{path}.affinity")
    yield from _spread(spec, f"{path}.topologySpreadConstraints")
    yield from _volumes(spec, f"{path}.volumes")
    yield from _repeated([one.ip for one in spec.host_aliases], f"{path}.hostAliases", "ip")
    names = [one.name for one in spec.image_pull_secrets]
    yield from _repeated(names, f"{path}.imagePullSecrets", "name")
    for position, name in enumerate(names):
        if not name:
            yield f'{path}.imagePullSecrets[{position}].name: invalid empty name ""'
    yield from _fractions(spec.overhead, f"{path}.overhead")
    groups: dict[str, Sequence[Container | EphemeralContainer]] = {
        "initContainers": spec.init_containers,
        "containers": spec.containers,
        "ephemeralContainers": spec.ephemeral_containers,
    }
    for field, containers in groups.items():
        for position, container in enumerate(containers):
            yield from _container(container, f"{path}.{field}[{position}]")
    if (spec.termination_grace_period_seconds or 0) < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and "
            "will be treated as 1"
        )


def _annotations(found: Mapping[str, str], path: str) -> Iterator[str]:
    for key in found:
        told = _ANNOTATIONS.get(key) or next(
            (text for start, text in _ANNOTATION_PREFIXES.items() if key.startswith(start)), ""
        )
        if told:
            yield f"{path}[{key}]: {told}"


def _affinity(affinity: Affinity, path: str) -> Iterator[str]:
    required, preferred = (
        f"{sort}DuringSchedulingIgnoredDuringExecution" for sort in ("required", "preferred")
    )
    nodes = affinity.node_affinity
    if nodes is not None:
        chosen = nodes.required_during_scheduling_ignored_during_execution
        for position, term in enumerate(chosen.node_selector_terms if chosen else ()):
            where = f"{path}.nodeAffinity.{required}.nodeSelectorTerms[{position}]"
            yield from fading.term(term, where)
        for position, wish in enumerate(nodes.preferred_during_scheduling_ignored_during_execution):
            where = f"{path}.nodeAffinity.{preferred}[{position}].preference"
            yield from fading.term(wish.preference, where)
    for name, one in (
        ("podAffinity", affinity.pod_affinity),
        ("podAntiAffinity", affinity.pod_anti_affinity),
    ):
        if one is None:
            continue
        for position, must in enumerate(one.required_during_scheduling_ignored_during_execution):
            yield from _pod_term(must, f"{path}.{name}.{required}[{position}]")
        for position, may in enumerate(one.preferred_during_scheduling_ignored_during_execution):
            where = f"{path}.{name}.{preferred}[{position}].podAffinityTerm"
            yield from _pod_term(may.pod_affinity_term, where)


def _pod_term(term: PodAffinityTerm, path: str) -> Iterator[str]:
    if term.label_selector is None:
        yield f"{path}.labelSelector: {_NO_SELECTOR}"


def _spread(spec: PodSpec, path: str) -> Iterator[str]:
    constraints = spec.topology_spread_constraints
    yield from fading.keys([one.topology_key for one in constraints], path, "topologyKey")
    for position, one in enumerate(constraints):
        if one.label_selector is None:
            yield f"{path}[{position}].labelSelector: {_NO_SELECTOR}"


def _volumes(spec: PodSpec, path: str) -> Iterator[str]:
    for position, volume in enumerate(spec.volumes):
        where = f"{path}[{position}]"
        yield from fading.volume(volume, where)
        claim = volume.ephemeral.volume_claim_template if volume.ephemeral is not None else None
        if claim is not None:
            inside = f"{where}.ephemeral.volumeClaimTemplate"
            yield from fading.storage_class(
                claim.metadata.annotations, f"{inside}.metadata.annotations"
            )
            if claim.spec.resources is not None:
                requests = claim.spec.resources.requests
                yield from _fractions(requests, f"{inside}.spec.resources.requests", ("storage",))


def _container(container: Container | EphemeralContainer, path: str) -> Iterator[str]:
    yield from _fractions(container.resources.limits, f"{path}.resources.limits")
    yield from _fractions(container.resources.requests, f"{path}.resources.requests")
    known: set[str] = set()
    for position, variable in enumerate(container.env):
        # A value may be built on the one before it: then both are meant.
        if variable.name in known and f"$({variable.name})" not in variable.value:
            yield (
                f'{path}.env[{position}]: hides previous definition of "{variable.name}", which may '
                "be dropped when using apply"
            )
        known.add(variable.name)
    ports: dict[tuple[int, str, int, str], int] = {}
    for position, port in enumerate(container.ports):
        first = ports.setdefault(
            (port.container_port, port.protocol, port.host_port, port.host_ip), position
        )
        if first != position:
            yield f"{path}.ports[{position}]: duplicate port definition with {path}.ports[{first}]"


def _repeated(values: Sequence[str], path: str, field: str) -> Iterator[str]:
    known: set[str] = set()
    for position, value in enumerate(values):
        if value in known:
            yield f'{path}[{position}].{field}: duplicate {field} "{value}"'
        known.add(value)


def _fractions(
    amounts: Mapping[str, str], path: str, names: Sequence[str] = _WHOLE_BYTES
) -> Iterator[str]:
    """Bytes are whole."""
    for name in names:
        if (text := amounts.get(name)) and quantity.milli(text) % 1000:
            yield f'{path}[{name}]: fractional byte value "{text}" is invalid, must be an integer'
