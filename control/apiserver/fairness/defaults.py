"""The flow schemas and priority levels that every cluster begins with. Before step 1 of the pod's walk.

They are Kubernetes' ("API Priority and Fairness": mandatory and suggested), but for one thing. There,
`system:masters` are exempt; here they have a level of their own, because on a small cluster everybody's
kubeconfig says so, and an exemption for everybody would protect nobody. The schema `exempt` is there,
and chooses nobody; who wants Kubernetes' rule adds its subjects.

All of a level's seats are lent while it does not need them.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.flowcontrol import (
    ExemptPriorityLevelConfiguration,
    FlowDistinguisherMethod,
    FlowSchema,
    FlowSchemaSpec,
    GroupSubject,
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationReference,
    PriorityLevelConfigurationSpec,
    QueuingConfiguration,
    ResourcePolicyRule,
    ServiceAccountSubject,
    Subject,
    UserSubject,
)
from api.meta import ObjectMeta
from control.auth.user import AUTHENTICATED, MASTERS, NODES, SERVICE_ACCOUNTS, UNAUTHENTICATED

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
"""The annotation by which an object says that its spec follows this table."""
CATCH_ALL, EXEMPT = "catch-all", "exempt"

_BY_USER, _BY_NAMESPACE = "ByUser", "ByNamespace"
_ALL = ["*"]


def _metadata(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, annotations={AUTO_UPDATE: "true"})


def _level(
    name: str, shares: int, *, queues: int = 64, hand: int = 6
) -> PriorityLevelConfiguration:
    queuing = QueuingConfiguration(queues=queues, hand_size=hand, queue_length_limit=50)
    limited = LimitedPriorityLevelConfiguration(
        nominal_concurrency_shares=shares,
        lendable_percent=100,
        limit_response=LimitResponse(type="Queue", queuing=queuing),
    )
    spec = PriorityLevelConfigurationSpec(type="Limited", limited=limited)
    return PriorityLevelConfiguration(metadata=_metadata(name), spec=spec)


LEVELS: tuple[PriorityLevelConfiguration, ...] = (
    PriorityLevelConfiguration(
        metadata=_metadata(EXEMPT),
        spec=PriorityLevelConfigurationSpec(
            type="Exempt",
            exempt=ExemptPriorityLevelConfiguration(
                nominal_concurrency_shares=0, lendable_percent=0
            ),
        ),
    ),
    _level("administrators", 60, queues=128),
    _level("leader-election", 10, queues=16, hand=4),
    _level("node-high", 40),
    _level("system", 30),
    _level("workload-high", 40, queues=128),
    _level("workload-low", 60, queues=128),
    _level("global-default", 20, queues=128),
    _level(CATCH_ALL, 5, queues=16, hand=4),
)


def _groups(*names: str) -> list[Subject]:
    return [Subject(kind="Group", group=GroupSubject(name=name)) for name in names]


def _users(*names: str) -> list[Subject]:
    return [Subject(kind="User", user=UserSubject(name=name)) for name in names]


def _accounts(namespace: str) -> Subject:
    account = ServiceAccountSubject(namespace=namespace, name="*")
    return Subject(kind="ServiceAccount", service_account=account)


def _anything(subjects: Sequence[Subject]) -> PolicyRulesWithSubjects:
    return PolicyRulesWithSubjects(
        subjects=list(subjects),
        resource_rules=[_on(["*"], ["*"])],
        non_resource_rules=[NonResourcePolicyRule(verbs=_ALL, non_resource_urls=_ALL)],
    )


def _on(
    groups: list[str], resources: list[str], verbs: Sequence[str] = ("*",)
) -> ResourcePolicyRule:
    return ResourcePolicyRule(
        verbs=list(verbs),
        api_groups=groups,
        resources=resources,
        namespaces=_ALL,
        cluster_scope=True,
    )


def _leases(subjects: Sequence[Subject]) -> PolicyRulesWithSubjects:
    rule = _on(["coordination.k8s.io"], ["leases"], ("get", "create", "update", "patch"))
    return PolicyRulesWithSubjects(subjects=list(subjects), resource_rules=[rule])


def _schema(
    name: str, precedence: int, level: str, *rules: PolicyRulesWithSubjects, by: str = ""
) -> FlowSchema:
    return FlowSchema(
        metadata=_metadata(name),
        spec=FlowSchemaSpec(
            priority_level_configuration=PriorityLevelConfigurationReference(name=level),
            matching_precedence=precedence,
            distinguisher_method=FlowDistinguisherMethod(type=by) if by else None,
            rules=list(rules),
        ),
    )


_EVERYBODY = _groups(UNAUTHENTICATED, AUTHENTICATED)
_MANAGER, _SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
_PROBES = ["/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*"]
_NODE_RULES = [
    _on([""], ["nodes", "nodes/status"]),
    _on(["coordination.k8s.io"], ["leases"]),
]

SCHEMAS: tuple[FlowSchema, ...] = (
    _schema(EXEMPT, 1, EXEMPT),
    _schema(
        "probes", 2, EXEMPT,
        PolicyRulesWithSubjects(
            subjects=_EVERYBODY,
            non_resource_rules=[NonResourcePolicyRule(verbs=_ALL, non_resource_urls=_PROBES)],
        ),
    ),
    _schema("system-masters", 3, "administrators", _anything(_groups(MASTERS)), by=_BY_USER),
    _schema(
        "system-leader-election", 100, "leader-election",
        _leases([*_users(_MANAGER, _SCHEDULER), _accounts("kube-system")]),
        by=_BY_USER,
    ),
    _schema(
        "workload-leader-election", 200, "leader-election",
        _leases(_groups(SERVICE_ACCOUNTS)),
        by=_BY_USER,
    ),
    _schema(
        "system-node-high", 400, "node-high",
        PolicyRulesWithSubjects(subjects=_groups(NODES), resource_rules=_NODE_RULES),
        by=_BY_USER,
    ),
    _schema("system-nodes", 500, "system", _anything(_groups(NODES)), by=_BY_USER),
    _schema(
        "kube-controller-manager", 800, "workload-high",
        _anything(_users(_MANAGER)),
        by=_BY_NAMESPACE,
    ),
    _schema(
        "kube-scheduler", 800, "workload-high", _anything(_users(_SCHEDULER)), by=_BY_NAMESPACE
    ),
    _schema(
        "kube-system-service-accounts", 900, "workload-high",
        _anything([_accounts("kube-system")]),
        by=_BY_NAMESPACE,
    ),
    _schema(
        "service-accounts", 9000, "workload-low",
        _anything(_groups(SERVICE_ACCOUNTS)),
        by=_BY_USER,
    ),
    _schema("global-default", 9900, "global-default", _anything(_EVERYBODY), by=_BY_USER),
    _schema(CATCH_ALL, 10000, CATCH_ALL, _anything(_EVERYBODY), by=_BY_USER),
)  # fmt: skip
