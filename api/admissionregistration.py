"""Who else decides about requests: webhooks, and policies in CEL (group `admissionregistration.k8s.io`).

They are asked in step 1 of a pod's walk, after the server's own rules.
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.meta import Condition, LabelSelector, ObjectMeta, StatusReason
from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Inline,
    Int32,
    Int64,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

ScopeType = Annotated[str, enum("Cluster", "Namespaced", "*")]
OperationType = Annotated[str, enum("*", "CREATE", "UPDATE", "DELETE", "CONNECT")]
FailurePolicyType = Annotated[str, enum("Ignore", "Fail")]
MatchPolicyType = Annotated[str, enum("Exact", "Equivalent")]
SideEffectClass = Annotated[str, enum("Unknown", "None", "Some", "NoneOnDryRun")]
ReinvocationPolicyType = Annotated[str, enum("Never", "IfNeeded")]
ParameterNotFoundActionType = Annotated[str, enum("Allow", "Deny")]
ValidationAction = Annotated[str, enum("Deny", "Warn", "Audit")]


class ServiceReference(ApiStruct, kw_only=True):
    """A Service behind which a webhook is."""

    namespace: Annotated[str, pb(1)]
    """The Service's namespace."""
    name: Annotated[str, pb(2)]
    """The Service's name."""
    path: Annotated[str | None, pb(3)] = None
    """The path in the URL."""
    port: Annotated[Int32 | None, pb(4)] = None
    """The Service's port; 443 if nothing is said."""


class WebhookClientConfig(ApiStruct, kw_only=True):
    """How a webhook is reached: by `url` or by `service`, not both."""

    url: Annotated[str | None, pb(3)] = None
    """Its address, which begins with `https://`."""
    service: Annotated[ServiceReference | None, pb(1)] = None
    """The Service behind which it is."""
    ca_bundle: Annotated[bytes, pb(2)] = b""
    """Certificates of the authority that vouches for it, in PEM; those of the machine if nothing
    is said."""


class Rule(ApiStruct, kw_only=True):
    """Some resources. `*` stands for all."""

    api_groups: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """Their groups; the empty string is the core group."""
    api_versions: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Their versions."""
    resources: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Their plurals: `pods`, `pods/log`, `pods/*`, `*/scale`; `*` is all resources without, `*/*`
    with subresources."""
    scope: Annotated[ScopeType | None, pb(4)] = None
    """`Cluster` or `Namespaced` resources, or `*`, which is both and the default."""


class RuleWithOperations(Rule, kw_only=True):
    """Some operations on some resources."""

    __inline__: ClassVar[Inline] = {2: Rule}
    operations: Annotated[list[OperationType], pb(1), LIST_ATOMIC] = []
    """`CREATE`, `UPDATE`, `DELETE`, `CONNECT`, or `*` for all."""


class MatchCondition(ApiStruct, kw_only=True):
    """An expression that must be true for a request to be looked at."""

    name: Annotated[str, pb(1)]
    """What it is called in messages."""
    expression: Annotated[str, pb(2)]
    """In CEL; it must yield true or false."""


class MutatingWebhook(ApiStruct, kw_only=True):
    """A webhook that may change objects before they are stored."""

    name: Annotated[str, pb(1)]
    """A full name, such as `image.example.com`."""
    client_config: Annotated[WebhookClientConfig, pb(2)] = field(
        default_factory=WebhookClientConfig
    )
    """How it is reached."""
    rules: Annotated[list[RuleWithOperations], pb(3), LIST_ATOMIC] = []
    """Which requests it is asked about."""
    failure_policy: Annotated[FailurePolicyType | None, pb(4)] = None
    """What happens when it cannot be asked: `Fail`, which is the default, or `Ignore`."""
    match_policy: Annotated[MatchPolicyType | None, pb(9)] = None
    """Whether it is also asked about other versions of what the rules name: `Equivalent`, which is
    the default, or `Exact`."""
    namespace_selector: Annotated[LabelSelector | None, pb(5)] = None
    """The labels of the namespaces it is asked about; all if empty."""
    object_selector: Annotated[LabelSelector | None, pb(11)] = None
    """The labels of the objects it is asked about; all if empty."""
    side_effects: Annotated[SideEffectClass | None, pb(6)]
    """What asking it may do beside answering: `None`, or `NoneOnDryRun`."""
    timeout_seconds: Annotated[Int32 | None, pb(7)] = None
    """How long it may take, from 1 to 30 seconds; 10 if nothing is said."""
    admission_review_versions: Annotated[list[str], pb(8), LIST_ATOMIC]
    """The versions of the question that it understands; the first one that is known here is used."""
    reinvocation_policy: Annotated[ReinvocationPolicyType | None, pb(10)] = None
    """Whether it is asked again when webhooks after it have changed the object: `IfNeeded`, or
    `Never`, which is the default."""
    match_conditions: Annotated[
        list[MatchCondition], pb(12), patch("merge", key="name"), list_map("name")
    ] = []
    """Expressions that must all be true for it to be asked, at most 64."""


class MutatingWebhookConfiguration(ApiStruct, kw_only=True):
    """Webhooks that may change objects before they are stored."""

    api_version: str = type_meta("admissionregistration.k8s.io/v1")
    """Group and version of this schema: `admissionregistration.k8s.io/v1`."""
    kind: str = type_meta("MutatingWebhookConfiguration")
    """Name of this schema: `MutatingWebhookConfiguration`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    webhooks: Annotated[
        list[MutatingWebhook], pb(2), patch("merge", key="name"), list_map("name")
    ] = []
    """The webhooks, asked one after the other."""


class ValidatingWebhook(ApiStruct, kw_only=True):
    """A webhook that may refuse requests."""

    name: Annotated[str, pb(1)]
    """A full name, such as `image.example.com`."""
    client_config: Annotated[WebhookClientConfig, pb(2)] = field(
        default_factory=WebhookClientConfig
    )
    """How it is reached."""
    rules: Annotated[list[RuleWithOperations], pb(3), LIST_ATOMIC] = []
    """Which requests it is asked about."""
    failure_policy: Annotated[FailurePolicyType | None, pb(4)] = None
    """What happens when it cannot be asked: `Fail`, which is the default, or `Ignore`."""
    match_policy: Annotated[MatchPolicyType | None, pb(9)] = None
    """Whether it is also asked about other versions of what the rules name: `Equivalent`, which is
    the default, or `Exact`."""
    namespace_selector: Annotated[LabelSelector | None, pb(5)] = None
    """The labels of the namespaces it is asked about; all if empty."""
    object_selector: Annotated[LabelSelector | None, pb(10)] = None
    """The labels of the objects it is asked about; all if empty."""
    side_effects: Annotated[SideEffectClass | None, pb(6)]
    """What asking it may do beside answering: `None`, or `NoneOnDryRun`."""
    timeout_seconds: Annotated[Int32 | None, pb(7)] = None
    """How long it may take, from 1 to 30 seconds; 10 if nothing is said."""
    admission_review_versions: Annotated[list[str], pb(8), LIST_ATOMIC]
    """The versions of the question that it understands; the first one that is known here is used."""
    match_conditions: Annotated[
        list[MatchCondition], pb(11), patch("merge", key="name"), list_map("name")
    ] = []
    """Expressions that must all be true for it to be asked, at most 64."""


class ValidatingWebhookConfiguration(ApiStruct, kw_only=True):
    """Webhooks that may refuse requests."""

    api_version: str = type_meta("admissionregistration.k8s.io/v1")
    """Group and version of this schema: `admissionregistration.k8s.io/v1`."""
    kind: str = type_meta("ValidatingWebhookConfiguration")
    """Name of this schema: `ValidatingWebhookConfiguration`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    webhooks: Annotated[
        list[ValidatingWebhook], pb(2), patch("merge", key="name"), list_map("name")
    ] = []
    """The webhooks, asked all at once."""


class ParamKind(ApiStruct, kw_only=True):
    """The kind of the objects that a policy takes its parameters from."""

    api_version: Annotated[str, pb(1)] = ""
    """Its group and version."""
    kind: Annotated[str, pb(2)] = ""
    """Its name."""


class NamedRuleWithOperations(RuleWithOperations, kw_only=True):
    """Some operations on some resources, of certain names."""

    __inline__: ClassVar[Inline] = {2: RuleWithOperations}
    resource_names: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """The names; all if empty."""


class MatchResources(ApiStruct, kw_only=True):
    """Which requests a policy looks at."""

    namespace_selector: Annotated[LabelSelector | None, pb(1)] = None
    """The labels of their namespaces; all if empty."""
    object_selector: Annotated[LabelSelector | None, pb(2)] = None
    """The labels of their objects; all if empty."""
    resource_rules: Annotated[list[NamedRuleWithOperations], pb(3), LIST_ATOMIC] = []
    """Their operations and resources."""
    exclude_resource_rules: Annotated[list[NamedRuleWithOperations], pb(4), LIST_ATOMIC] = []
    """What is left out again."""
    match_policy: Annotated[MatchPolicyType | None, pb(7)] = None
    """Whether other versions of what the rules name count too: `Equivalent`, which is the default,
    or `Exact`."""


class Validation(ApiStruct, kw_only=True):
    """One rule of a policy."""

    expression: Annotated[str, pb(1)]
    """In CEL; the request is refused unless it is true."""
    message: Annotated[str, pb(2)] = ""
    """What the client is told."""
    reason: Annotated[StatusReason | None, pb(3)] = None
    """The reason in the answer, which decides its code."""
    message_expression: Annotated[str, pb(4)] = ""
    """In CEL; it yields what the client is told."""


class AuditAnnotation(ApiStruct, kw_only=True):
    """Something that a policy adds to the audit log."""

    key: Annotated[str, pb(1)]
    """Under which key."""
    value_expression: Annotated[str, pb(2)]
    """In CEL; it yields the text, or null for none."""


class Variable(ApiStruct, kw_only=True):
    """An expression that others of the policy can use by its name."""

    name: Annotated[str, pb(1)]
    """Its name, as in `variables.name`."""
    expression: Annotated[str, pb(2)]
    """In CEL."""


class ValidatingAdmissionPolicySpec(ApiStruct, kw_only=True):
    """What a policy demands."""

    param_kind: Annotated[ParamKind | None, pb(1)] = None
    """The kind of its parameters, where it has some."""
    match_constraints: Annotated[MatchResources | None, pb(2)] = None
    """Which requests it looks at."""
    validations: Annotated[list[Validation], pb(3), LIST_ATOMIC] = []
    """What must be true of them."""
    failure_policy: Annotated[FailurePolicyType | None, pb(4)] = None
    """What happens when an expression fails or the policy is not sound: `Fail`, which is the
    default, or `Ignore`."""
    audit_annotations: Annotated[list[AuditAnnotation], pb(5), LIST_ATOMIC] = []
    """What it adds to the audit log."""
    match_conditions: Annotated[
        list[MatchCondition], pb(6), patch("merge", key="name"), list_map("name")
    ] = []
    """Expressions that must all be true for a request to be looked at."""
    variables: Annotated[list[Variable], pb(7), patch("merge", key="name"), list_map("name")] = []
    """Expressions that the others share; each may use those before it."""


class ExpressionWarning(ApiStruct, kw_only=True):
    """Something doubtful in an expression."""

    field_ref: Annotated[str, pb(2)]
    """Where the expression is."""
    warning: Annotated[str, pb(3)]
    """What is doubtful."""


class TypeChecking(ApiStruct, kw_only=True):
    """What was found when the expressions were compared with the types they are about."""

    expression_warnings: Annotated[list[ExpressionWarning], pb(1), LIST_ATOMIC] = []
    """Each doubt."""


class ValidatingAdmissionPolicyStatus(ApiStruct, kw_only=True):
    """What became of a policy."""

    observed_generation: Annotated[Int64, pb(1)] = 0
    """The generation of the spec that this is about."""
    type_checking: Annotated[TypeChecking | None, pb(2)] = None
    """What was found in its expressions."""
    conditions: Annotated[list[Condition], pb(3), list_map("type")] = []
    """Whether it is in force."""


class ValidatingAdmissionPolicy(ApiStruct, kw_only=True):
    """Rules in CEL that requests must follow. A binding puts it in force."""

    api_version: str = type_meta("admissionregistration.k8s.io/v1")
    """Group and version of this schema: `admissionregistration.k8s.io/v1`."""
    kind: str = type_meta("ValidatingAdmissionPolicy")
    """Name of this schema: `ValidatingAdmissionPolicy`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ValidatingAdmissionPolicySpec, pb(2)] = field(
        default_factory=ValidatingAdmissionPolicySpec
    )
    """The wanted state."""
    status: Annotated[ValidatingAdmissionPolicyStatus, pb(3)] = field(
        default_factory=ValidatingAdmissionPolicyStatus
    )
    """The observed state. Set by the cluster, ignored in other writes."""


class ParamRef(ApiStruct, kw_only=True):
    """The objects that a policy takes its parameters from."""

    name: Annotated[str, pb(1)] = ""
    """The name of the one object; not together with `selector`."""
    namespace: Annotated[str, pb(2)] = ""
    """Its namespace; that of the request if nothing is said."""
    selector: Annotated[LabelSelector | None, pb(3)] = None
    """The labels of the objects; not together with `name`."""
    parameter_not_found_action: Annotated[ParameterNotFoundActionType | None, pb(4)] = None
    """What happens when there is none: `Allow` or `Deny`."""


class ValidatingAdmissionPolicyBindingSpec(ApiStruct, kw_only=True):
    """Where a policy is in force, and how."""

    policy_name: Annotated[str, pb(1)] = ""
    """The policy."""
    param_ref: Annotated[ParamRef | None, pb(2)] = None
    """Its parameters."""
    match_resources: Annotated[MatchResources | None, pb(3)] = None
    """A narrower choice of requests than the policy's own."""
    validation_actions: Annotated[list[ValidationAction], pb(4), LIST_SET] = []
    """What follows when a rule is not kept: `Deny`, `Warn`, `Audit`."""


class ValidatingAdmissionPolicyBinding(ApiStruct, kw_only=True):
    """Puts a policy in force."""

    api_version: str = type_meta("admissionregistration.k8s.io/v1")
    """Group and version of this schema: `admissionregistration.k8s.io/v1`."""
    kind: str = type_meta("ValidatingAdmissionPolicyBinding")
    """Name of this schema: `ValidatingAdmissionPolicyBinding`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ValidatingAdmissionPolicyBindingSpec, pb(2)] = field(
        default_factory=ValidatingAdmissionPolicyBindingSpec
    )
    """The wanted state."""
