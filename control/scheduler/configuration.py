"""Reads how schedulers decide from a file of Kubernetes' kind KubeSchedulerConfiguration. Walk step 3.

The file is read once, at the start; everything that is wrong with it is told at once, each with its
field. What the file could ask of Kubernetes' scheduler and this one does not do is refused, not
ignored: plugins and extenders of one's own. Only what has no meaning here (`leaderElection`, `parallelism`
and the like: this scheduler is a part of the control plane) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from api.codec import yaml
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from base.settings import SettingsError
from control.scheduler.fileparts import Part, UnreadableError, check_range, into
from control.scheduler.pluginargs import PluginConfig, read_arguments
from control.scheduler.pluginsets import PluginSet, read_plugins
from control.scheduler.profile import DEFAULT_NAME, Configuration, Profile
from control.scheduler.queue import FIRST_BACKOFF, MAX_BACKOFF
from control.scheduler.rules import Rules
from control.scheduler.scores import SCORES

API_VERSION = "kubescheduler.config.k8s.io/v1"
KIND = "KubeSchedulerConfiguration"


class _Profile(Part):
    scheduler_name: str = ""
    percentage_of_nodes_to_score: int | None = None
    plugins: dict[str, PluginSet] = {}
    plugin_config: list[PluginConfig] = []


class _File(Part):
    api_version: str = ""
    kind: str = ""
    percentage_of_nodes_to_score: int | None = None
    pod_initial_backoff_seconds: int = int(FIRST_BACKOFF)
    pod_max_backoff_seconds: int = int(MAX_BACKOFF)
    profiles: list[_Profile] = []
    extenders: list[Any] = []
    client_connection: Any = None
    delay_cache_until_active: Any = None
    enable_contention_profiling: Any = None
    enable_profiling: Any = None
    leader_election: Any = None
    parallelism: Any = None


def read(file: File) -> Configuration:
    """The configuration in a file.

    Raises:
        SettingsError: it cannot be read, or something in it cannot be done.
    """
    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(
            f"{file}: {error}", hint="docs/scheduling.md says what can be chosen, with an example."
        ) from error


def parse(text: bytes) -> Configuration:
    """The configuration that a text says. Raises ValueError, with a line for each wrong field."""
    file = into(_File, yaml.load(text), "")
    errors = [*_check_file(file)]
    profiles: dict[str, Profile] = {}
    for number, one in enumerate(file.profiles or [_Profile()]):
        path = Path("profiles").index(number)
        name = one.scheduler_name or ("" if len(file.profiles) > 1 else DEFAULT_NAME)
        if not name:
            errors.append(required(path.child("schedulerName")))
        elif name in profiles:
            errors.append(duplicate(path.child("schedulerName"), name))
        profiles[name] = _profile(path, name, one, file, errors)
    if errors:
        raise UnreadableError("\n".join(map(str, errors)))
    return Configuration(
        profiles=profiles,
        first_backoff=file.pod_initial_backoff_seconds,
        longest_backoff=file.pod_max_backoff_seconds,
    )


def _check_file(file: _File) -> Iterator[FieldError]:
    if file.api_version != API_VERSION:
        yield not_supported("apiVersion", file.api_version, [API_VERSION])
    if file.kind != KIND:
        yield not_supported("kind", file.kind, [KIND])
    first, longest = file.pod_initial_backoff_seconds, file.pod_max_backoff_seconds
    if first <= 0:
        yield invalid("podInitialBackoffSeconds", first, "must be greater than 0")
    if longest < first:
        words = "must be greater than or equal to PodInitialBackoffSeconds"
        yield invalid("podMaxBackoffSeconds", longest, words)
    yield from check_range(
        Path("percentageOfNodesToScore"), file.percentage_of_nodes_to_score or 0, 100
    )
    if file.extenders:
        yield forbidden("extenders", "this scheduler calls none")


def _profile(
    path: Path, name: str, one: _Profile, file: _File, errors: list[FieldError]
) -> Profile:
    percentage = one.percentage_of_nodes_to_score
    errors += check_range(path.child("percentageOfNodesToScore"), percentage or 0, 100)
    args = read_arguments(one.plugin_config, path.child("pluginConfig"), errors)
    chosen = read_plugins(one.plugins, path.child("plugins"), errors, defaults=args.spread is None)
    functions = {plugin: function for plugin, _, function in SCORES} | args.functions
    added = args.affinity
    return Profile(
        name=name,
        scores=tuple(
            (plugin, weight, functions[plugin]) for plugin, weight in chosen.weights.items()
        ),
        percentage=(file.percentage_of_nodes_to_score if percentage is None else percentage) or 0,
        preempts=chosen.preempts,
        least_tried=args.least_tried,
        share_tried=args.share_tried,
        bind_seconds=args.bind_seconds,
        rules=Rules(
            skips=chosen.skips,
            ignored=args.ignored,
            ignored_groups=args.ignored_groups,
            required=added.required_during_scheduling_ignored_during_execution,
            preferred=tuple(added.preferred_during_scheduling_ignored_during_execution),
            spread=args.spread or (),
        ),
    )
