"""From a type to its schema, with everything clients read in it: merge keys, list types, enums.

Pure, but for descriptions, which come from the source. Names are Kubernetes' own
(`io.k8s.api.core.v1.Pod`), because clients look for some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

from api.codec.shapes import Field, Kind, Shape, struct_shape
from api.meta import Status
from api.scheme import SERVED, Resource
from api.struct import ApiStruct, Leaf, StringEnum
from control.apiserver.discovery.openapi import descriptions, jsonschema
from control.apiserver.discovery.version import GIT_VERSION

Schema = dict[str, Any]

_TITLE = "Kubernetes"  # clients of the Kubernetes API look for it
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"


def _moment(precise_to: str) -> Schema:
    text = f"A moment in RFC 3339, precise to {precise_to}."
    return {"description": text, "type": "string", "format": "date-time"}


_LEAVES: Mapping[Leaf, tuple[str, Schema]] = {
    Leaf.QUANTITY: (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {
            "description": "An amount as a decimal with a suffix: 500m, 1.5Gi, 2k.",
            "oneOf": [{"type": "string"}, {"type": "number"}],
        },
    ),
    Leaf.TIME: (f"{_META}.Time", _moment("seconds")),
    Leaf.MICRO_TIME: (f"{_META}.MicroTime", _moment("microseconds")),
    Leaf.DURATION: (
        f"{_META}.Duration",
        {"description": "A time span such as 1h30m or 500ms.", "type": "string"},
    ),
    Leaf.INT_OR_STRING: (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {
            "description": "A whole number, or a string such as 25% or the name of a port.",
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        },
    ),
    Leaf.RAW_EXTENSION: (
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        {"description": "An object of any kind.", "type": "object"},
    ),
}
_OWN_KINDS: Mapping[type[ApiStruct], tuple[str, str, str]] = {
    resource.type: (resource.group, resource.version, resource.kind) for resource in SERVED
}
MAY_BE_LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "APIGroup": ("preferredVersion",),
    "APIService": ("spec",),
    "AzureFilePersistentVolumeSource": ("secretNamespace",),
    "CSINodeDriver": ("topologyKeys",),
    "ClusterRole": ("rules",),
    "ContainerImage": ("names",),
    "CronJob": ("spec",),
    "DaemonSet": ("spec",),
    "Deployment": ("spec",),
    "EndpointSlice": ("ports",),
    "Event": ("reportingComponent", "reportingInstance"),
    "FlowSchema": ("spec",),
    "FlowSchemaSpec": ("matchingPrecedence",),
    "GRPCAction": ("service",),
    "HorizontalPodAutoscaler": ("spec",),
    "IngressClassParametersReference": ("scope",),
    "Job": ("spec",),
    "JobTemplateSpec": ("spec",),
    "LimitedPriorityLevelConfiguration": ("limitResponse", "nominalConcurrencyShares"),
    "NetworkPolicySpec": ("podSelector",),
    "Node": ("status",),
    "NodeRuntimeHandler": ("name",),
    "NodeStatus": ("nodeInfo",),
    "Pod": ("spec",),
    "PodTemplate": ("template",),
    "PodTemplateSpec": ("spec",),
    "PriorityLevelConfiguration": ("spec",),
    "ProjectedVolumeSource": ("sources",),
    "QueuingConfiguration": ("queues", "handSize", "queueLengthLimit"),
    "ReplicaSet": ("spec",),
    "ReplicaSetSpec": ("template",),
    "ResourcePolicyRule": ("namespaces",),
    "Role": ("rules",),
    "Scale": ("status",),
    "StatefulSet": ("spec",),
    "StatefulSetOrdinals": ("start",),
    "StatefulSetSpec": ("serviceName",),
    "TokenRequestSpec": ("audiences", "boundObjectRef", "expirationSeconds"),
    "TokenRequestStatus": ("token", "expirationTimestamp"),
    "TypedLocalObjectReference": ("apiGroup",),
    "TypedObjectReference": ("apiGroup",),
    "VolumeAttachment": ("status",),
}
"""Fields that always stand in an answer, yet a client may leave out: it would refuse what is sound."""
_PACKAGES = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
    "autoscalingv2": "io.k8s.api.autoscaling.v2",
    "eventsv1": "io.k8s.api.events.v1",
    "meta": _META,
}
"""Modules whose types Kubernetes has elsewhere; the others are v1 of the group they are named after."""


def component_name(type_: type[ApiStruct]) -> str:
    """The name of a type among the schemas."""
    package = type_.__module__.split(".")[1]
    return f"{_PACKAGES.get(package, f'io.k8s.api.{package}.v1')}.{type_.__name__}"


def envelope(paths: dict[str, Any], schemas: dict[str, Schema]) -> dict[str, Any]:
    """An OpenAPI v3 document."""
    return {
        "openapi": "3.0.0",
        "info": {"title": _TITLE, "version": GIT_VERSION},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}
            },
        },
    }


class Components:
    """The schemas of one document: every type asked for, and every type those refer to."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def add(self, type_: type[ApiStruct]) -> Schema:
        """A reference to the type's schema, which is made if it is not there yet."""
        name = component_name(type_)
        if name not in self.schemas:
            self.schemas[name] = {}  # before its fields: types refer to themselves
            self.schemas[name] = self._object(type_)
        return reference(name)

    def add_kind(self, resource: Resource) -> Schema:
        """As `add`, of a resource's own type."""
        return self.add(resource.type)

    def add_list(self, resource: Resource) -> Schema:
        """The list of a kind, which has no class of its own."""
        from api.meta import ListMeta

        name = component_name(resource.type) + "List"
        items = _element(self.add_kind(resource))
        self.schemas[name] = list_schema(resource, items, _element(self.add(ListMeta)))
        return reference(name)

    def _object(self, type_: type[ApiStruct]) -> Schema:
        schema: Schema = {"type": "object"}
        if text := descriptions.of_type(type_).get(""):
            schema["description"] = text
        fields = struct_shape(type_).fields
        may_lack = MAY_BE_LEFT_OUT.get(type_.__name__, ())
        if required := [
            wire for wire, field in fields.items() if field.info.required and wire not in may_lack
        ]:
            schema["required"] = required
        if fields:
            schema["properties"] = {wire: self._field(field) for wire, field in fields.items()}
        if type_.__atomic__:
            schema["x-kubernetes-map-type"] = "atomic"
        own = _OWN_KINDS.get(type_) or (("", "v1", "Status") if type_ is Status else None)
        if own is not None:
            schema["x-kubernetes-group-version-kind"] = [gvk(*own)]
        return schema

    def _field(self, field: Field) -> Schema:
        schema = self._shape(field.shape)
        if "$ref" in schema:
            schema = _element(schema, pointer=field.shape.pointer)
        if text := descriptions.of_type(field.info.owner).get(field.info.attribute):
            schema["description"] = text
        _add_enum(schema, field.info.type)
        if field.info.patch is not None:
            if field.info.patch.strategies:
                schema["x-kubernetes-patch-strategy"] = ",".join(field.info.patch.strategies)
            if field.info.patch.key:
                schema["x-kubernetes-patch-merge-key"] = field.info.patch.key
        if field.info.list_type is not None and field.shape.kind is Kind.LIST:
            schema["x-kubernetes-list-type"] = field.info.list_type.kind
            if field.info.list_type.keys:
                schema["x-kubernetes-list-map-keys"] = list(field.info.list_type.keys)
        if field.info.atomic:
            schema["x-kubernetes-map-type"] = "atomic"
        return schema

    def _shape(self, shape: Shape) -> Schema:
        make = _SIMPLE.get(shape.kind)
        if make is not None:
            return make(shape)
        if shape.kind is Kind.LIST:
            return {"type": "array", "items": _element(self._shape(shape.element))}
        if shape.kind is Kind.MAP:
            values = _element(self._shape(shape.element))
            return {"type": "object", "additionalProperties": values}
        if shape.kind is Kind.STRUCT:
            assert shape.struct is not None
            return self.add(shape.struct)
        return self._leaf(shape.leaf)

    def _leaf(self, leaf: Leaf | None) -> Schema:
        if leaf is None or leaf is Leaf.STRING_LIST:
            return {"type": "array", "items": {"type": "string", "default": ""}}
        if leaf is Leaf.JSON_SCHEMA:
            self.schemas.update(jsonschema.components())
            return reference(jsonschema.NAME)
        name, schema = _LEAVES[leaf]
        self.schemas.setdefault(name, schema)
        return reference(name)


_SIMPLE: Mapping[Kind, Callable[[Shape], Schema]] = {
    Kind.STRING: lambda shape: {"type": "string"},
    Kind.BOOL: lambda shape: {"type": "boolean"},
    Kind.INT: lambda shape: {"type": "integer", "format": f"int{shape.bits or 64}"},
    Kind.FLOAT: lambda shape: {"type": "number", "format": "double"},
    Kind.BYTES: lambda shape: {"type": "string", "format": "byte"},
}


def _add_enum(schema: Schema, hint: Any) -> None:
    values = _enum_values(hint)
    if not values:
        return
    target = schema["items"] if schema.get("type") == "array" else schema
    target["enum"] = [value for value in values if value]


def _enum_values(hint: Any) -> Iterable[str]:
    """The values of a string enumeration, wherever in the annotation it stands."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, StringEnum):
            return extra.values
    if get_origin(hint) is dict:
        return ()
    for argument in get_args(hint):
        if values := _enum_values(argument):
            return values
    return ()


def reference(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _element(schema: Schema, *, pointer: bool = False) -> Schema:
    """A reference cannot carry a description or a default beside it: it is wrapped."""
    if "$ref" not in schema:
        return schema
    wrapped: Schema = {"allOf": [schema]}
    if not pointer:
        wrapped["default"] = {}
    return wrapped


def list_schema(resource: Resource, items: Schema, metadata: Schema) -> Schema:
    """The schema of a kind's list."""
    kind = resource.kind
    return {
        "description": f"{kind}List is a list of {kind} objects.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {
                "description": f"Group and version of this schema: `{resource.api_version}`.",
                "type": "string",
            },
            "kind": {"description": f"Name of this schema: `{kind}List`.", "type": "string"},
            "items": {"description": "The objects.", "type": "array", "items": items},
            "metadata": {
                "description": "The version of the list, and where it goes on.",
                **metadata,
            },
        },
        "x-kubernetes-group-version-kind": [gvk(resource.group, resource.version, f"{kind}List")],
    }


def gvk(group: str, version: str, kind: str) -> dict[str, str]:
    """How schemas and operations name a kind."""
    return {"group": group, "version": version, "kind": kind}
