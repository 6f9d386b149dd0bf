"""Validation of a container's own restart policy and of its rules by exit code.

Facts from the API reference of `Container.restartPolicyRules`: at most 20 rules, at most 255 exit codes
each, and whoever has rules says the policy too, even if it is the pod's.
"""

from collections.abc import Iterator

from api.core import (
    Container,
    ContainerRestartPolicy,
    ContainerRestartRule,
    ContainerRestartRuleAction,
    ContainerRestartRuleOnExitCodesOperator,
)
from api.fielderrors import FieldError, Path, required, too_many
from control.resources.checks import check_enum

MAX_RULES = 20
MAX_CODES = 255


def restart_errors(container: Container, path: Path) -> Iterator[FieldError]:
    """What may be wrong with when the container is restarted."""
    rules = container.restart_policy_rules
    where = path.child("restartPolicy")
    if container.restart_policy is not None:
        yield from check_enum(where, container.restart_policy, ContainerRestartPolicy)
    elif rules:
        yield required(where, "must specify restartPolicy when restart rules are used")
    within = path.child("restartPolicyRules")
    if len(rules) > MAX_RULES:
        yield too_many(within, len(rules), MAX_RULES)
    for number, rule in enumerate(rules):
        yield from _rule_errors(rule, within.index(number))


def _rule_errors(rule: ContainerRestartRule, path: Path) -> Iterator[FieldError]:
    yield from check_enum(
        path.child("action"), rule.action, ContainerRestartRuleAction, needed=True
    )
    where, codes = path.child("exitCodes"), rule.exit_codes
    if codes is None:
        yield required(where, "must be specified")
        return
    operators = ContainerRestartRuleOnExitCodesOperator
    yield from check_enum(where.child("operator"), codes.operator, operators, needed=True)
    if len(codes.values) > MAX_CODES:
        yield too_many(where.child("values"), len(codes.values), MAX_CODES)
