"""docs/compatibility.md, made from the tables that the code itself goes by.

Kinds, verbs and subresources are those of `api.scheme`, fields without effect those of which the
API server warns, refusals those of the agent. A test keeps the page equal to what this prints:

    python -m cli.compatibility > docs/compatibility.md
"""

from collections.abc import Iterable, Iterator, Sequence

from agent.spec.refusals import REFUSALS
from api import core
from api.scheme import SERVED, Resource
from api.scheme.resource import ALL_VERBS
from control.resources.compatibility import NOT_YET, POD_SPEC, NotYet

_INTRODUCTION = """\
# Compatibility

Generated from `api/scheme/`, `control/resources/compatibility.py` and `agent/spec/refusals.py`.

podwright serves the kinds below in the versions of Kubernetes 1.34. Every field of theirs is decoded,
validated, stored and returned. What a field does is what Kubernetes documents, with the exceptions
on this page: some have no effect yet, and some make the agent refuse the pod, because running it
without them would be less safe than asked for."""

_FIELDS = """\
## Fields without effect yet

They are accepted, and a `Warning` header (which kubectl prints) names each one that is set."""

_REFUSED = """\
## Pods that an agent refuses

The pod is not started; its containers wait with a reason that names the field, and an event says why. Where
Kubernetes documents it (sysctls, AppArmor, another operating system), the pod fails instead.
`containers[*]` stands for init containers too."""

_MISSING = """\
## Requests that are not served yet

| request | answer |
|---|---|
| `Impersonate-User` and the other headers of `kubectl --as` | 403 that names the header |
| a CustomResourceDefinition with `x-kubernetes-validations` (CEL) | 422 that names the rule |
| a ValidatingAdmissionPolicy (CEL) | 403 that says how to store it without effect |
| a webhook with `matchConditions` (CEL) | 422 that names them |
| `auditAnnotations` in a webhook's answer | taken, and dropped: there is no audit log yet |
| a group and version that an APIService gives to another server | 503 that names the service |
| groups and kinds that are not in the table above | 404 |"""


def page() -> str:
    """The whole page."""
    sections = [
        _INTRODUCTION,
        "## Kinds\n\n" + _table(("kind", "API", "names", "verbs", "subresources"), _kinds()),
        _FIELDS,
        "### Pod, and the templates of workloads\n\n"
        "Paths begin at the pod's `spec`; `containers[*]` stands for init containers too.\n\n"
        + _fields(POD_SPEC),
        *(
            f"### {type_.__name__}\n\n{_fields(rows)}"
            for type_, rows in NOT_YET.items()
            if not _is_pod_like(rows)
        ),
        f"{_REFUSED}\n\n" + _table(("field", "why", "works on"), _refusals()),
        _MISSING,
    ]
    return "\n\n".join(sections) + "\n"


def _kinds() -> Iterator[Sequence[str]]:
    for resource in sorted(SERVED, key=lambda resource: (resource.group, resource.kind)):
        yield (
            resource.kind,
            resource.api_version,
            ", ".join((resource.plural, *resource.short_names)),
            _verbs(resource),
            ", ".join(f"`{subresource.name}`" for subresource in resource.subresources),
        )


def _verbs(resource: Resource) -> str:
    if not resource.stored:
        return ", ".join(resource.verbs)
    missing = [verb for verb in ALL_VERBS if verb not in resource.verbs]
    return f"all but {', '.join(missing)}" if missing else "all"


def _fields(rows: Iterable[NotYet]) -> str:
    """Fields with the same words share a row; one of a container counts for init containers too."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if not row.path.startswith("initContainers"):
            grouped.setdefault((row.when, row.missing), []).append(f"`{row.path}`")
    shown = [
        (", ".join(paths) + (f", when {when}" if when else ""), missing)
        for (when, missing), paths in grouped.items()
    ]
    return _table(("field", "what is missing"), shown)


def _is_pod_like(rows: Sequence[NotYet]) -> bool:
    return len(rows) == len(NOT_YET[core.Pod])


def _refusals() -> Iterator[Sequence[str]]:
    for rule in REFUSALS:
        yield f"`{rule.field}`", rule.why, rule.needs or "no machine yet"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(line.replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    print(page(), end="")
