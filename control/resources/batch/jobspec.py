"""What a Job may say, in an object of its own or as a CronJob's pattern. Walk step 1."""

from collections.abc import Iterator

from api import validation
from api.batch import CompletionMode, JobSpec, PodReplacementPolicy
from api.fielderrors import FieldError, Path, invalid, not_supported, required, too_long
from api.poddefaults import default_pod_spec
from control.resources.batch.policies import failure_policy_errors, success_policy_errors
from control.resources.checks import check_enum, check_non_negative
from control.resources.podspec.spec import any_template_errors

DEFAULT_BACKOFF_LIMIT = 6
UNLIMITED = 2**31 - 1
MAX_PARALLELISM = 100_000
"""Of an Indexed Job, so that the list of its completed indexes stays short."""
MAX_FAILED_INDEXES = 100_000
MANY_COMPLETIONS = 100_000
MAX_WITH_MANY = 10_000
"""Parallelism and failed indexes of a Job with more completions than that and a limit per index."""
MANAGER_LENGTH = 63
_RESTARTS = ("OnFailure", "Never")


def is_indexed(spec: JobSpec) -> bool:
    """Whether each pod has a number."""
    return spec.completion_mode == "Indexed"


def default_job_spec(spec: JobSpec) -> None:
    """Fill in place what the API reference says of fields that are left out."""
    if spec.completions is None and spec.parallelism is None:
        spec.completions = 1
    if spec.parallelism is None:
        spec.parallelism = 1
    if spec.backoff_limit is None:
        unlimited = spec.backoff_limit_per_index is not None
        spec.backoff_limit = UNLIMITED if unlimited else DEFAULT_BACKOFF_LIMIT
    spec.completion_mode = spec.completion_mode or "NonIndexed"
    if spec.suspend is None:
        spec.suspend = False
    if spec.manual_selector is None:
        spec.manual_selector = False
    if spec.pod_replacement_policy is None:
        known = spec.pod_failure_policy is not None
        spec.pod_replacement_policy = "Failed" if known else "TerminatingOrFailed"
    default_job_template(spec)


def default_job_template(spec: JobSpec) -> None:
    """What is filled in of a CronJob's pattern too, which is kept as it was written otherwise."""
    if spec.pod_failure_policy is not None:
        for rule in spec.pod_failure_policy.rules:
            for pattern in rule.on_pod_conditions:
                pattern.status = pattern.status or "True"
    default_pod_spec(spec.template.spec)


def job_spec_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    """Everything but the selector, which only a Job itself has."""
    for name, value in (
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ):
        yield from check_non_negative(path.child(name), value)
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        yield required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified")
    yield from _manager_errors(spec.managed_by, path.child("managedBy"))
    yield from check_enum(path.child("completionMode"), spec.completion_mode, CompletionMode)
    yield from _indexed_errors(spec, path) if is_indexed(spec) else _plain_errors(spec, path)
    if spec.pod_failure_policy is not None:
        yield from failure_policy_errors(spec, path.child("podFailurePolicy", "rules"))
    if spec.success_policy is not None and is_indexed(spec):
        yield from success_policy_errors(spec, path.child("successPolicy", "rules"))
    yield from _replacement_errors(spec, path.child("podReplacementPolicy"))
    yield from any_template_errors(spec.template, path.child("template"))
    yield from _restart_errors(spec, path.child("template", "spec", "restartPolicy"))


def _manager_errors(manager: str | None, path: Path) -> Iterator[FieldError]:
    if manager is None:
        return
    domain, slash, name = manager.partition("/")
    if not manager:
        yield required(path, "")
    elif not slash or not name or validation.dns1123_subdomain(domain):
        yield invalid(path, manager, 'must be a domain-prefixed path (such as "acme.io/foo")')
    if len(manager) > MANAGER_LENGTH:
        yield too_long(path, MANAGER_LENGTH)


def _plain_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    words = "requires indexed completion mode"
    if spec.backoff_limit_per_index is not None:
        yield invalid(path.child("backoffLimitPerIndex"), spec.backoff_limit_per_index, words)
    if spec.max_failed_indexes is not None:
        yield invalid(path.child("maxFailedIndexes"), spec.max_failed_indexes, words)
    if spec.success_policy is not None:
        yield invalid(path.child("successPolicy"), spec.success_policy, words)


def _indexed_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    completions, parallelism = spec.completions, spec.parallelism or 0
    failed, where = spec.max_failed_indexes, path.child("maxFailedIndexes")
    if completions is None:
        yield required(path.child("completions"), "when completion mode is Indexed")
        completions = 0
    elif failed is not None and failed > completions:
        yield invalid(where, failed, "must be less than or equal to completions")
    if parallelism > MAX_PARALLELISM:
        words = f"must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed"
        yield invalid(path.child("parallelism"), parallelism, words)
    if failed is not None and failed > MAX_FAILED_INDEXES:
        yield invalid(where, failed, f"must be less than or equal to {MAX_FAILED_INDEXES}")
    if completions <= MANY_COMPLETIONS or spec.backoff_limit_per_index is None:
        return
    if failed is None:
        yield required(where, f"must be specified when completions is above {MANY_COMPLETIONS}")
    words = (
        f"must be less than or equal to {MAX_WITH_MANY} when completions are above "
        f"{MANY_COMPLETIONS} and used with backoff limit per index"
    )
    if parallelism > MAX_WITH_MANY:
        yield invalid(path.child("parallelism"), parallelism, words)
    if failed is not None and failed > MAX_WITH_MANY:
        yield invalid(where, failed, words)


def _replacement_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    policy = spec.pod_replacement_policy
    if spec.pod_failure_policy is not None and policy not in (None, "Failed"):
        yield not_supported(path, policy, ("Failed",))  # a pod that is ending has no outcome yet
    else:
        yield from check_enum(path, policy, PodReplacementPolicy)


def _restart_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    policy = spec.template.spec.restart_policy
    if policy in ("", "Always"):  # the default: nothing was said
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in _RESTARTS:
        yield not_supported(path, policy, _RESTARTS)
    elif spec.pod_failure_policy is not None and policy != "Never":
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')
