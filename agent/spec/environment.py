"""The environment, command and arguments of a container (step 4 of the pod's walk). Pure.

Order and precedence are the kubelet's: service variables, then envFrom in order, then env in order;
a later one wins, and a `$(VAR)` sees what came before it. ConfigMaps and Secrets were read before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.spec.envfile import parse
from agent.spec.errors import ConfigError
from agent.spec.expansion import expand
from agent.spec.fieldref import Place, resource_field
from agent.spec.fieldref import field as pod_field
from agent.spec.serviceenv import service_environment
from api.core import ConfigMap, Container, EnvFromSource, EnvVarSource, Pod, Secret, Service


@dataclass(frozen=True, kw_only=True)
class References:
    """What the pod refers to, by name; None for what does not exist."""

    config_maps: Mapping[str, ConfigMap | None] = field(default_factory=dict)
    secrets: Mapping[str, Secret | None] = field(default_factory=dict)
    files: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict)
    """By volume and path."""


def environment(
    pod: Pod,
    container: Container,
    *,
    place: Place,
    references: References,
    services: Iterable[Service] = (),
) -> dict[str, str]:
    """All variables of the container. Raises ConfigError in the kubelet's words."""
    links = pod.spec.enable_service_links is not False
    known = service_environment(services, pod.metadata.namespace, links=links)
    for source in container.env_from:
        known.update(_all_keys(source, references))
    for variable in container.env:
        if variable.value_from is not None:
            value = _from(variable.value_from, pod, container, place, references)
            if value is None:
                continue
        else:
            value = expand(variable.value, known)
        known[variable.name] = value
    return known


def command_line(
    container: Container, environment: Mapping[str, str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Command and arguments, expanded; None where the image decides."""

    def expanded(words: Sequence[str]) -> tuple[str, ...] | None:
        return tuple(expand(word, environment) for word in words) if words else None

    return expanded(container.command), expanded(container.args)


def references_of(container: Container) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that the container's environment refers to."""
    maps = {s.config_map_ref.name for s in container.env_from if s.config_map_ref}
    secrets = {s.secret_ref.name for s in container.env_from if s.secret_ref}
    for variable in container.env:
        source = variable.value_from
        if source is not None and source.config_map_key_ref is not None:
            maps.add(source.config_map_key_ref.name)
        if source is not None and source.secret_key_ref is not None:
            secrets.add(source.secret_key_ref.name)
    return maps, secrets


def text(data: bytes) -> str:
    """A value as the environment can carry it."""
    # surrogateescape gives back the very bytes when the runtime encodes it again.
    return data.decode("utf-8", "surrogateescape")


def _all_keys(source: EnvFromSource, references: References) -> dict[str, str]:
    values: dict[str, str] = {}
    if (ref := source.config_map_ref) is not None:
        config_map = references.config_maps.get(ref.name)
        if config_map is None:
            if not ref.optional:
                raise ConfigError(f'configmap "{ref.name}" not found')
        else:
            values = dict(config_map.data)
    if (secret_ref := source.secret_ref) is not None:
        secret = references.secrets.get(secret_ref.name)
        if secret is None:
            if not secret_ref.optional:
                raise ConfigError(f'secret "{secret_ref.name}" not found')
        else:
            values = {key: text(value) for key, value in secret.data.items()}
    return {source.prefix + key: value for key, value in values.items() if "=" not in key}


def _from(
    source: EnvVarSource, pod: Pod, container: Container, place: Place, references: References
) -> str | None:
    """The value of a valueFrom; None when it is optional and not there."""
    namespace = pod.metadata.namespace
    if source.field_ref is not None:
        return pod_field(source.field_ref.field_path, pod, place)
    if source.resource_field_ref is not None:
        return resource_field(source.resource_field_ref, pod, container, place)
    if (ref := source.config_map_key_ref) is not None:
        config_map = references.config_maps.get(ref.name)
        if config_map is None:
            return _absent(ref.optional, f'configmap "{ref.name}" not found')
        if ref.key not in config_map.data:
            words = f"couldn't find key {ref.key} in ConfigMap {namespace}/{ref.name}"
            return _absent(ref.optional, words)
        return config_map.data[ref.key]
    if (secret_ref := source.secret_key_ref) is not None:
        secret = references.secrets.get(secret_ref.name)
        if secret is None:
            return _absent(secret_ref.optional, f'secret "{secret_ref.name}" not found')
        if secret_ref.key not in secret.data:
            words = f"couldn't find key {secret_ref.key} in Secret {namespace}/{secret_ref.name}"
            return _absent(secret_ref.optional, words)
        return text(secret.data[secret_ref.key])
    if (file_ref := source.file_key_ref) is not None:
        found = references.files.get((file_ref.volume_name, file_ref.path))
        where = f"file {file_ref.path} of volume {file_ref.volume_name}"
        if found is None:
            return _absent(file_ref.optional, f"{where} not found")
        try:
            values = parse(text(found))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}") from error
        if file_ref.key not in values:
            return _absent(file_ref.optional, f"couldn't find key {file_ref.key} in {where}")
        return values[file_ref.key]
    return ""


def _absent(optional: bool | None, words: str) -> str | None:
    if optional:
        return None
    raise ConfigError(words)
