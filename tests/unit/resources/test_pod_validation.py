"""What is wrong with a pod: the field that is blamed and Kubernetes' words for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import REMOVE, Change, assert_says, complete, said, strategy_of

POD = strategy_of("Pod")
C0 = "spec.containers[0]"
INIT = "spec.initContainers[0]"
FILE = {"volumeName": "data", "path": "env", "key": "A"}
RESTART_RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
V = "spec.volumes"
AFFINITY = "spec.affinity.nodeAffinity"
REQUIRED = f"{AFFINITY}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
ANTI = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
SPREAD = "spec.topologySpreadConstraints[0]"
HTTP_PROBE = f"{C0}.readinessProbe"

GOOD: list[tuple[str, Change]] = [
    ("as it is", {}),
    ("a variable of a file", {f"{C0}.env[0]": {"name": "a", "valueFrom": {"fileKeyRef": FILE}}}),
    (
        "restart rules",
        {
            f"{C0}.restartPolicy": "Never",
            f"{C0}.restartPolicyRules": [RESTART_RULE] * 20,
            f"{INIT}.restartPolicy": "OnFailure",
        },
    ),
    ("no init containers", {"spec.initContainers": []}),
    ("host network", {"spec.hostNetwork": True, f"{C0}.ports[0].hostPort": 80}),
    ("a name of its own", {"spec.hostnameOverride": "a.b", "spec.setHostnameAsFQDN": False}),
    ("same port, two protocols", {f"{C0}.ports[1].containerPort": 80}),
    ("empty variable", {f"{C0}.env[0].value": ""}),
    ("variable names are free", {f"{C0}.env[0].name": "a.b-c d"}),
    ("annotation by key", {f"{C0}.env[1].valueFrom.fieldRef.fieldPath": "metadata.labels['a/b']"}),
    ("image by digest", {f"{C0}.image": "app@sha256:" + "a" * 64}),
    ("extended resource", {f"{C0}.resources.limits": {"example.com/gpu": "1"}}),
    (
        "a pod as a whole",
        {"spec.resources": {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi"}}},
    ),
    (
        "huge pages",
        {f"{C0}.resources.limits": {"hugepages-2Mi": "2Mi", "cpu": "1", "memory": "1Gi"}},
    ),
    ("zero grace", {"spec.terminationGracePeriodSeconds": 0, f"{C0}.lifecycle": REMOVE}),
    ("negative grace", {"spec.terminationGracePeriodSeconds": -1, f"{C0}.lifecycle": REMOVE}),
    ("toleration of everything", {"spec.tolerations": [{"operator": "Exists"}]}),
    ("search path of the root", {"spec.dnsConfig": {"searches": [".", "a_b.example.com."]}}),
    ("zero user", {f"{C0}.securityContext": {"runAsUser": 0, "runAsNonRoot": True}}),
    ("stop signal", {f"{C0}.lifecycle.stopSignal": "SIGUSR1", "spec.os": {"name": "linux"}}),
    ("optional reference", {f"{C0}.envFrom[0].secretRef": {"name": "x", "optional": True}}),
    ("sub path with dots", {f"{C0}.volumeMounts[0].subPath": "a..b/c"}),
    ("unset volume is an emptyDir", {f"{V}[0].emptyDir": REMOVE}),
    (
        "sysctl with a slash",
        {"spec.securityContext.sysctls": [{"name": "net/core.x", "value": "1"}]},
    ),
]

BROKEN: list[tuple[Change, str, str]] = [
    # containers
    ({"spec.containers": []}, "spec.containers", "Required value"),
    ({f"{C0}.name": ""}, f"{C0}.name", "Required value"),
    ({f"{C0}.name": "Web"}, f"{C0}.name", 'Invalid value: "Web": a lowercase RFC 1123 label'),
    ({f"{C0}.name": "a" * 64}, f"{C0}.name", "must be no more than 63 bytes"),
    ({f"{C0}.name": "a.b"}, f"{C0}.name", "must not contain dots"),
    ({"spec.containers[1].name": "app"}, "spec.containers[1].name", 'Duplicate value: "app"'),
    ({f"{INIT}.name": "app"}, f"{C0}.name", 'Duplicate value: "app"'),
    ({f"{C0}.image": ""}, f"{C0}.image", "Required value"),
    ({f"{C0}.image": " a"}, f"{C0}.image", "must not have leading or trailing whitespace"),
    (
        {f"{C0}.imagePullPolicy": "Sometimes"},
        f"{C0}.imagePullPolicy",
        'Unsupported value: "Sometimes": supported values: "Always"',
    ),
    (
        {f"{C0}.terminationMessagePolicy": "Log"},
        f"{C0}.terminationMessagePolicy",
        'Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',
    ),
    (
        {f"{C0}.restartPolicy": "Perhaps"},
        f"{C0}.restartPolicy",
        'supported values: "Always", "Never", "OnFailure"',
    ),
    (
        {f"{C0}.restartPolicyRules": [RESTART_RULE]},
        f"{C0}.restartPolicy",
        "Required value: must specify restartPolicy when restart rules are used",
    ),
    (
        {f"{C0}.restartPolicy": "Never", f"{C0}.restartPolicyRules": [RESTART_RULE] * 21},
        f"{C0}.restartPolicyRules",
        "Too many: 21: must have at most 20 items",
    ),
    (
        {f"{C0}.restartPolicy": "Never", f"{C0}.restartPolicyRules": [{"exitCodes": {}}]},
        f"{C0}.restartPolicyRules[0].action",
        "Required value",
    ),
    (
        {f"{C0}.restartPolicy": "Never", f"{C0}.restartPolicyRules": [{"action": "Restart"}]},
        f"{C0}.restartPolicyRules[0].exitCodes",
        "Required value: must be specified",
    ),
    (
        {
            f"{INIT}.restartPolicy": "Never",
            f"{INIT}.restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "Near", "values": [1]}}
            ],
        },
        f"{INIT}.restartPolicyRules[0].exitCodes.operator",
        'supported values: "In", "NotIn"',
    ),
    (
        {
            f"{C0}.restartPolicy": "Never",
            f"{C0}.restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [*range(256)]}}
            ],
        },
        f"{C0}.restartPolicyRules[0].exitCodes.values",
        "Too many: 256",
    ),
    (
        {f"{C0}.env[0]": {"name": "a", "valueFrom": {"fileKeyRef": FILE | {"path": "/etc/env"}}}},
        f"{C0}.env[0].valueFrom.fileKeyRef.path",
        "must be a relative path",
    ),
    (
        {f"{C0}.env[0]": {"name": "a", "valueFrom": {"fileKeyRef": FILE | {"path": "a/../b"}}}},
        f"{C0}.env[0].valueFrom.fileKeyRef.path",
        "must not contain '..'",
    ),
    (
        {f"{C0}.env[0]": {"name": "a", "valueFrom": {"fileKeyRef": FILE | {"volumeName": ""}}}},
        f"{C0}.env[0].valueFrom.fileKeyRef.volumeName",
        "Required value",
    ),
    (
        {f"{C0}.env[0]": {"name": "a", "valueFrom": {"fileKeyRef": FILE | {"key": "a=b"}}}},
        f"{C0}.env[0].valueFrom.fileKeyRef.key",
        "Invalid value",
    ),
    (
        {f"{C0}.env[0]": {"name": "a", "valueFrom": {"fileKeyRef": FILE | {"volumeName": "no"}}}},
        f"{C0}.env[0].valueFrom.fileKeyRef.volumeName",
        'Not found: "no"',
    ),
    (
        {
            "spec.volumes": [{"name": "data", "hostPath": {"path": "/tmp"}}],
            f"{INIT}.env": [{"name": "a", "valueFrom": {"fileKeyRef": FILE}}],
        },
        f"{INIT}.env[0].valueFrom.fileKeyRef.volumeName",
        'Invalid value: "data": referenced volume must be of type emptyDir',
    ),
    # init containers
    (
        {f"{INIT}.livenessProbe": {"exec": {"command": ["ls"]}}},
        f"{INIT}.livenessProbe",
        "Forbidden: may not be set for init containers without restartPolicy=Always",
    ),
    ({f"{INIT}.lifecycle": {}}, f"{INIT}.lifecycle", "Forbidden: may not be set for init"),
    ({f"{INIT}.restartPolicy": "No"}, f"{INIT}.restartPolicy", "Unsupported value"),
    (
        {"spec.initContainers[1].startupProbe.tcpSocket.port": 0},
        "spec.initContainers[1].startupProbe.tcpSocket.port",
        "must be between 1 and 65535, inclusive",
    ),
    # ports
    ({f"{C0}.ports[0].containerPort": 0}, f"{C0}.ports[0].containerPort", "Required value"),
    (
        {f"{C0}.ports[0].containerPort": 65536},
        f"{C0}.ports[0].containerPort",
        "Invalid value: 65536: must be between 1 and 65535, inclusive",
    ),
    ({f"{C0}.ports[0].hostPort": -1}, f"{C0}.ports[0].hostPort", "between 1 and 65535"),
    ({f"{C0}.ports[1].name": "http"}, f"{C0}.ports[1].name", 'Duplicate value: "http"'),
    ({f"{C0}.ports[0].name": "a" * 16}, f"{C0}.ports[0].name", "must be no more than 15 bytes"),
    ({f"{C0}.ports[0].name": "80"}, f"{C0}.ports[0].name", "at least one letter"),
    ({f"{C0}.ports[0].protocol": "tcp"}, f"{C0}.ports[0].protocol", 'Unsupported value: "tcp"'),
    ({f"{C0}.ports[0].hostIP": "home"}, f"{C0}.ports[0].hostIP", "must be a valid IP address"),
    ({"spec.hostnameOverride": "Not-RFC1123"}, "spec.hostnameOverride", "RFC 1123 subdomain"),
    ({"spec.hostnameOverride": "a" * 65}, "spec.hostnameOverride", "may not be more than 64"),
    (
        {"spec.hostnameOverride": "a", "spec.setHostnameAsFQDN": True},
        "spec.hostnameOverride",
        "Forbidden: may not be set when `setHostnameAsFQDN` is true",
    ),
    (
        {"spec.hostnameOverride": "a", "spec.hostNetwork": True},
        "spec.hostnameOverride",
        "Forbidden: may not be set when `hostNetwork` is true",
    ),
    (
        {"spec.hostNetwork": True},
        f"{C0}.ports[0].hostPort",
        "Invalid value: 8080: must match `containerPort` when `hostNetwork` is true",
    ),
    (
        {"spec.containers[1].ports": [{"containerPort": 1, "hostPort": 8080}]},
        "spec.containers[1].ports[0].hostPort",
        'Duplicate value: "TCP//8080"',
    ),
    # environment
    ({f"{C0}.env[0].name": ""}, f"{C0}.env[0].name", "Required value"),
    ({f"{C0}.env[0].name": "a=b"}, f"{C0}.env[0].name", "other than '='"),
    ({f"{C0}.env[1].value": "x"}, f"{C0}.env[1].valueFrom", "when `value` is not empty"),
    ({f"{C0}.env[1].valueFrom": {}}, f"{C0}.env[1].valueFrom", "must specify one of: `fieldRef`"),
    (
        {f"{C0}.env[1].valueFrom.resourceFieldRef": {"resource": "limits.cpu"}},
        f"{C0}.env[1].valueFrom",
        "may not have more than one field specified at a time",
    ),
    (
        {f"{C0}.env[1].valueFrom.fieldRef.fieldPath": ""},
        f"{C0}.env[1].valueFrom.fieldRef.fieldPath",
        "Required value",
    ),
    (
        {f"{C0}.env[1].valueFrom.fieldRef.fieldPath": "status.phase"},
        f"{C0}.env[1].valueFrom.fieldRef.fieldPath",
        'Unsupported value: "status.phase": supported values: "metadata.name"',
    ),
    (
        {f"{C0}.env[1].valueFrom.fieldRef.fieldPath": "spec.nodeName['a']"},
        f"{C0}.env[1].valueFrom.fieldRef.fieldPath",
        "does not support subscript",
    ),
    (
        {f"{C0}.env[2].valueFrom.resourceFieldRef.resource": "limits.mem"},
        f"{C0}.env[2].valueFrom.resourceFieldRef.resource",
        'Unsupported value: "limits.mem"',
    ),
    (
        {f"{C0}.env[2].valueFrom.resourceFieldRef.divisor": "1Mi"},
        f"{C0}.env[2].valueFrom.resourceFieldRef.divisor",
        "only divisor's values 1m, 1 are supported",
    ),
    (
        {f"{C0}.env[3].valueFrom.configMapKeyRef.key": "a/b"},
        f"{C0}.env[3].valueFrom.configMapKeyRef.key",
        "a valid config key must consist of alphanumeric characters",
    ),
    (
        {f"{C0}.env[3].valueFrom.configMapKeyRef.name": ""},
        f"{C0}.env[3].valueFrom.configMapKeyRef.name",
        "Required value",
    ),
    (
        {f"{C0}.envFrom[0].configMapRef": {"name": "x"}},
        f"{C0}.envFrom[0]",
        "may not have more than one field specified at a time",
    ),
    ({f"{C0}.envFrom[0].secretRef": REMOVE}, f"{C0}.envFrom[0]", "must specify one of"),
    ({f"{C0}.envFrom[0].secretRef.name": ""}, f"{C0}.envFrom[0].secretRef.name", "Required"),
    # resources
    (
        {f"{C0}.resources.limits[mem]": "1Gi"},
        f"{C0}.resources.limits[mem]",
        'Invalid value: "mem": must be a standard resource for containers',
    ),
    (
        {f"{C0}.resources.requests[cpu]": "300m"},
        f"{C0}.resources.requests",
        'Invalid value: "300m": must be less than or equal to cpu limit of 200m',
    ),
    (
        {f"{C0}.resources.requests[cpu]": "-1"},
        f"{C0}.resources.requests[cpu]",
        "must be greater than or equal to 0",
    ),
    (
        {f"{C0}.resources.requests": {"example.com/gpu": "1"}},
        f"{C0}.resources.limits",
        "Limit must be set for non overcommitable resources",
    ),
    (
        {
            f"{C0}.resources.limits": {"example.com/gpu": "2"},
            f"{C0}.resources.requests": {"example.com/gpu": "1"},
        },
        f"{C0}.resources.requests",
        "must be equal to example.com/gpu limit of 2",
    ),
    (
        {f"{C0}.resources": {"limits": {"example.com/gpu": "1500m"}}},
        f"{C0}.resources.limits[example.com/gpu]",
        "must be an integer",
    ),
    (
        {f"{C0}.resources": {"limits": {"hugepages-2Mi": "2Mi"}}},
        f"{C0}.resources",
        "HugePages require cpu or memory",
    ),
    (
        {f"{C0}.resources.limits": {"hugepages-2Mi": "3Mi", "cpu": "1", "memory": "1Gi"}},
        f"{C0}.resources.limits[hugepages-2Mi]",
        'Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
    ),
    # resources of the pod as a whole
    (
        {"spec.resources": {"limits": {"example.com/gpu": "1"}}},
        "spec.resources.limits[example.com/gpu]",
        'Unsupported value: "example.com/gpu": supported values: "cpu", "hugepages-", "memory"',
    ),
    (
        {"spec.resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        "spec.resources.requests",
        'Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        {"spec.resources": {"requests": {"cpu": "1m"}}},
        "spec.resources.requests[cpu]",
        'Invalid value: "1m": must be greater than or equal to aggregate container requests of ',
    ),
    (
        {"spec.resources": {"limits": {"cpu": "150m"}}, f"{C0}.resources.limits[cpu]": "160m"},
        "spec.resources.containers[0][cpu].limits",
        'Invalid value: "160m": must be less than or equal to pod limits of 150m',
    ),
    (
        {"spec.resources": {"claims": [{"name": "c"}]}},
        "spec.resources.claims",
        "claims cannot be set for Resources at pod-level",
    ),
    # mounts
    ({f"{C0}.volumeMounts[0].name": ""}, f"{C0}.volumeMounts[0].name", "Required value"),
    ({f"{C0}.volumeMounts[0].name": "x"}, f"{C0}.volumeMounts[0].name", 'Not found: "x"'),
    ({f"{C0}.volumeMounts[0].mountPath": ""}, f"{C0}.volumeMounts[0].mountPath", "Required value"),
    (
        {f"{C0}.volumeMounts[1].mountPath": "/data"},
        f"{C0}.volumeMounts[1].mountPath",
        'Invalid value: "/data": must be unique',
    ),
    (
        {f"{C0}.volumeMounts[0].subPath": "/a"},
        f"{C0}.volumeMounts[0].subPath",
        "must be a relative path",
    ),
    (
        {f"{C0}.volumeMounts[0].subPath": "a/../../b"},
        f"{C0}.volumeMounts[0].subPath",
        "must not contain '..'",
    ),
    (
        {f"{C0}.volumeMounts[0].subPath": "a", f"{C0}.volumeMounts[0].subPathExpr": "b"},
        f"{C0}.volumeMounts[0].subPathExpr",
        "subPathExpr and subPath are mutually exclusive",
    ),
    (
        {f"{C0}.volumeMounts[0].mountPropagation": "Bidirectional"},
        f"{C0}.volumeMounts[0].mountPropagation",
        "Forbidden: Bidirectional mount propagation is available only to privileged containers",
    ),
    (
        {f"{C0}.volumeMounts[0].recursiveReadOnly": "Enabled"},
        f"{C0}.volumeMounts[0].recursiveReadOnly",
        "may only be specified when readOnly is true",
    ),
    (
        {f"{C0}.volumeDevices": [{"name": "data", "devicePath": "/data"}]},
        f"{C0}.volumeDevices[0].devicePath",
        "must not already exist as a path in volumeMounts",
    ),
    # probes and hooks
    ({f"{HTTP_PROBE}.httpGet": REMOVE}, HTTP_PROBE, "Required value: must specify a handler type"),
    (
        {f"{HTTP_PROBE}.tcpSocket": {"port": 80}},
        f"{HTTP_PROBE}.tcpSocket",
        "Forbidden: may not specify more than 1 handler type",
    ),
    ({f"{HTTP_PROBE}.httpGet.port": 0}, f"{HTTP_PROBE}.httpGet.port", "between 1 and 65535"),
    ({f"{HTTP_PROBE}.httpGet.port": "a--b"}, f"{HTTP_PROBE}.httpGet.port", "consecutive hyphens"),
    ({f"{HTTP_PROBE}.httpGet.scheme": "FTP"}, f"{HTTP_PROBE}.httpGet.scheme", 'value: "FTP"'),
    (
        {f"{HTTP_PROBE}.httpGet.httpHeaders": [{"name": "a b", "value": ""}]},
        f"{HTTP_PROBE}.httpGet.httpHeaders",
        "a valid HTTP header must consist of",
    ),
    ({f"{HTTP_PROBE}.timeoutSeconds": -1}, f"{HTTP_PROBE}.timeoutSeconds", "or equal to 0"),
    (
        {f"{HTTP_PROBE}.terminationGracePeriodSeconds": 1},
        f"{HTTP_PROBE}.terminationGracePeriodSeconds",
        "must not be set for readinessProbes",
    ),
    (
        {f"{C0}.livenessProbe.terminationGracePeriodSeconds": 0},
        f"{C0}.livenessProbe.terminationGracePeriodSeconds",
        "must be greater than 0",
    ),
    (
        {f"{C0}.livenessProbe.successThreshold": 2},
        f"{C0}.livenessProbe.successThreshold",
        "Invalid value: 2: must be 1",
    ),
    (
        {f"{C0}.livenessProbe.exec.command": []},
        f"{C0}.livenessProbe.exec.command",
        "Required value",
    ),
    (
        {f"{C0}.lifecycle.preStop.sleep.seconds": 31},
        f"{C0}.lifecycle.preStop.sleep",
        "must be non-negative and less than terminationGracePeriodSeconds (30)",
    ),
    (
        {f"{C0}.lifecycle.stopSignal": "SIGUSR1"},
        f"{C0}.lifecycle.stopSignal",
        "may not be set for containers with empty `spec.os.name`",
    ),
    # security
    (
        {f"{C0}.securityContext.runAsUser": -1},
        f"{C0}.securityContext.runAsUser",
        "must be between 0 and 2147483647, inclusive",
    ),
    (
        {f"{C0}.securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        f"{C0}.securityContext.allowPrivilegeEscalation",
        "`allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    (
        {f"{C0}.securityContext.seccompProfile": {"type": "Localhost"}},
        f"{C0}.securityContext.seccompProfile.localhostProfile",
        "must be set when seccomp type is Localhost",
    ),
    (
        {f"{C0}.securityContext.appArmorProfile": {"type": "None"}},
        f"{C0}.securityContext.appArmorProfile.type",
        'Unsupported value: "None"',
    ),
    (
        {"spec.securityContext.supplementalGroups": [1, -5]},
        "spec.securityContext.supplementalGroups[1]",
        "must be between 0 and 2147483647",
    ),
    (
        {"spec.securityContext.sysctls": [{"name": "A", "value": "1"}]},
        "spec.securityContext.sysctls[0].name",
        "must have at most 253 characters",
    ),
    (
        {
            "spec.securityContext.sysctls": [
                {"name": "a", "value": "1"},
                {"name": "a", "value": "2"},
            ]
        },
        "spec.securityContext.sysctls[1].name",
        'Duplicate value: "a"',
    ),
    (
        {"spec.securityContext.fsGroupChangePolicy": "Never"},
        "spec.securityContext.fsGroupChangePolicy",
        'Unsupported value: "Never"',
    ),
    (
        {"spec.hostPID": True, "spec.shareProcessNamespace": True},
        "spec.shareProcessNamespace",
        "ShareProcessNamespace and HostPID cannot both be enabled",
    ),
    ({"spec.hostUsers": False, "spec.hostPID": True}, "spec.hostPID", "`spec.hostUsers` is false"),
    ({"spec.os": {"name": "plan9"}}, "spec.os.name", 'Unsupported value: "plan9"'),
    # volumes
    ({f"{V}[0].name": ""}, f"{V}[0].name", "Required value"),
    ({f"{V}[1].name": "data"}, f"{V}[1].name", 'Duplicate value: "data"'),
    ({f"{V}[0].name": "a_b"}, f"{V}[0].name", "a lowercase RFC 1123 label"),
    (
        {f"{V}[0].secret": {"secretName": "x"}},
        f"{V}[0].secret",
        "Forbidden: may not specify more than 1 volume type",
    ),
    ({f"{V}[0].emptyDir.sizeLimit": "-1"}, f"{V}[0].emptyDir.sizeLimit", "Forbidden: SizeLimit"),
    ({f"{V}[0].emptyDir.medium": "Disk"}, f"{V}[0].emptyDir.medium", 'Unsupported value: "Disk"'),
    ({f"{V}[1].configMap.name": ""}, f"{V}[1].configMap.name", "Required value"),
    (
        {f"{V}[1].configMap.defaultMode": 0o1000},
        f"{V}[1].configMap.defaultMode",
        "must be a number between 0 and 0777 (octal), both inclusive",
    ),
    (
        {f"{V}[1].configMap.items[0].path": "../x"},
        f"{V}[1].configMap.items[0].path",
        "must not contain '..'",
    ),
    (
        {f"{V}[1].configMap.items[0].path": "..x"},
        f"{V}[1].configMap.items[0].path",
        "must not start with '..'",
    ),
    (
        {f"{V}[1].configMap.items[0].key": ""},
        f"{V}[1].configMap.items[0].key",
        "Required value",
    ),
    ({f"{V}[2].hostPath.path": ""}, f"{V}[2].hostPath.path", "Required value"),
    ({f"{V}[2].hostPath.path": "/a/../b"}, f"{V}[2].hostPath.path", "must not contain '..'"),
    ({f"{V}[2].hostPath.type": "Folder"}, f"{V}[2].hostPath.type", 'Unsupported value: "Folder"'),
    ({f"{V}[3].secret.secretName": ""}, f"{V}[3].secret.secretName", "Required value"),
    (
        {f"{V}[4].downwardAPI.items[0].fieldRef": REMOVE},
        f"{V}[4].downwardAPI.items[0]",
        "one of fieldRef and resourceFieldRef is required",
    ),
    (
        {f"{V}[4].downwardAPI.items[1].resourceFieldRef.containerName": ""},
        f"{V}[4].downwardAPI.items[1].resourceFieldRef.containerName",
        "Required value",
    ),
    (
        {f"{V}[5].projected.sources[0].secret": {"name": "x"}},
        f"{V}[5].projected.sources[0].configMap",
        "may not specify more than 1 projection type",
    ),
    (
        {f"{V}[5].projected.sources[1].serviceAccountToken.expirationSeconds": 599},
        f"{V}[5].projected.sources[1].serviceAccountToken.expirationSeconds",
        "may not specify a duration less than 10 minutes",
    ),
    (
        {f"{V}[5].projected.sources[0].configMap.items": [{"key": "a", "path": "token"}]},
        f"{V}[5].projected",
        'Invalid value: "token": conflicting duplicate paths',
    ),
    (
        {
            f"{V}[5].projected.sources[1]": {
                "configMap": {"name": "b", "items": [{"key": "a", "path": "x"}] * 2}
            }
        },
        f"{V}[5].projected",
        'Invalid value: "b": conflicting duplicate paths',
    ),
    # placement
    ({"spec.nodeSelector": {"a b": "c"}}, "spec.nodeSelector", 'Invalid value: "a b"'),
    ({"spec.nodeName": "Node_1"}, "spec.nodeName", "a lowercase RFC 1123 subdomain"),
    (
        {"spec.tolerations[0].key": ""},
        "spec.tolerations[0].operator",
        "operator must be Exists when `key` is empty",
    ),
    (
        {"spec.tolerations[0].tolerationSeconds": 5},
        "spec.tolerations[0].effect",
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
    ),
    ({"spec.tolerations[1].value": "x"}, "spec.tolerations[1].value", "value must be empty when"),
    ({"spec.tolerations[0].operator": "In"}, "spec.tolerations[0].operator", '"Equal", "Exists"'),
    ({"spec.tolerations[0].effect": "No"}, "spec.tolerations[0].effect", 'Unsupported value: "No"'),
    ({REQUIRED: []}, REQUIRED, "Required value: must have at least one node selector term"),
    (
        {f"{REQUIRED}[0].matchExpressions[0].values": []},
        f"{REQUIRED}[0].matchExpressions[0].values",
        "must be specified when `operator` is 'In' or 'NotIn'",
    ),
    (
        {f"{REQUIRED}[0].matchExpressions[0].operator": "Is"},
        f"{REQUIRED}[0].matchExpressions[0].operator",
        'Invalid value: "Is": not a valid selector operator',
    ),
    (
        {f"{REQUIRED}[0].matchFields": [{"key": "x", "operator": "In", "values": ["a"]}]},
        f"{REQUIRED}[0].matchFields[0].key",
        "not a valid field selector key",
    ),
    (
        {f"{AFFINITY}.preferredDuringSchedulingIgnoredDuringExecution[0].weight": 101},
        f"{AFFINITY}.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
        "Invalid value: 101: must be in the range 1-100",
    ),
    ({f"{ANTI}.topologyKey": ""}, f"{ANTI}.topologyKey", "Required value: can not be empty"),
    (
        {
            f"{ANTI}.labelSelector": {
                "matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]
            }
        },
        f"{ANTI}.labelSelector.matchExpressions[0].values",
        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ),
    (
        {f"{ANTI}.labelSelector": REMOVE, f"{ANTI}.matchLabelKeys": ["a"]},
        f"{ANTI}.matchLabelKeys",
        "must not be specified when labelSelector is not set",
    ),
    (
        {f"{ANTI}.mismatchLabelKeys": ["b", "-"]},
        f"{ANTI}.mismatchLabelKeys[1]",
        'Invalid value: "-": ',
    ),
    (
        {f"{ANTI}.matchLabelKeys": ["a"], f"{ANTI}.mismatchLabelKeys": ["b", "a"]},
        f"{ANTI}.mismatchLabelKeys[1]",
        'Invalid value: "a": exists in both matchLabelKeys and mismatchLabelKeys',
    ),
    (
        {f"{SPREAD}.labelSelector": REMOVE, f"{SPREAD}.matchLabelKeys": ["a"]},
        f"{SPREAD}.matchLabelKeys",
        "must not be specified when labelSelector is not set",
    ),
    (
        {f"{SPREAD}.matchLabelKeys": ["a", "app"]},
        f"{SPREAD}.matchLabelKeys[1]",
        'Invalid value: "app": exists in both matchLabelKeys and labelSelector',
    ),
    ({f"{SPREAD}.maxSkew": 0}, f"{SPREAD}.maxSkew", "must be greater than zero"),
    ({f"{SPREAD}.whenUnsatisfiable": "Wait"}, f"{SPREAD}.whenUnsatisfiable", "Unsupported value"),
    (
        {f"{SPREAD}.whenUnsatisfiable": "ScheduleAnyway", f"{SPREAD}.minDomains": 2},
        f"{SPREAD}.minDomains",
        "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
    ),
    ({"spec.schedulingGates": [{"name": "a b"}]}, "spec.schedulingGates[0]", "Invalid value"),
    (
        {"spec.schedulingGates": [{"name": "a"}, {"name": "a"}]},
        "spec.schedulingGates[1]",
        'Duplicate value: "a"',
    ),
    (
        {"spec.schedulingGates": [{"name": "a"}], "spec.nodeName": "n"},
        "spec.nodeName",
        "cannot be set until all schedulingGates have been cleared",
    ),
    # the rest of the spec
    ({"spec.restartPolicy": "Sometimes"}, "spec.restartPolicy", '"Always", "OnFailure", "Never"'),
    ({"spec.dnsPolicy": "Cluster"}, "spec.dnsPolicy", 'Unsupported value: "Cluster"'),
    ({"spec.dnsPolicy": "None"}, "spec.dnsConfig", "must provide `dnsConfig` when"),
    (
        {"spec.dnsPolicy": "None", "spec.dnsConfig": {}},
        "spec.dnsConfig.nameservers",
        "must provide at least one DNS nameserver when `dnsPolicy` is None",
    ),
    (
        {"spec.dnsConfig": {"nameservers": ["1.1.1.1"] * 4}},
        "spec.dnsConfig.nameservers",
        "must not have more than 3 nameservers",
    ),
    (
        {"spec.dnsConfig": {"nameservers": ["dns"]}},
        "spec.dnsConfig.nameservers[0]",
        "must be a valid IP address",
    ),
    (
        {"spec.dnsConfig": {"searches": ["a"] * 33}},
        "spec.dnsConfig.searches",
        "must not have more than 32 search paths",
    ),
    (
        {"spec.dnsConfig": {"options": [{"value": "1"}]}},
        "spec.dnsConfig.options[0]",
        "not be empty",
    ),
    ({"spec.activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", "between 1 and 2147483647"),
    ({"spec.hostname": "a.b"}, "spec.hostname", "must not contain dots"),
    ({"spec.subdomain": "A"}, "spec.subdomain", "a lowercase RFC 1123 label"),
    ({"spec.serviceAccountName": "A"}, "spec.serviceAccountName", "RFC 1123 subdomain"),
    ({"spec.hostAliases": [{"ip": "x"}]}, "spec.hostAliases[0].ip", "must be a valid IP address"),
    (
        {"spec.readinessGates": [{"conditionType": "a b"}]},
        "spec.readinessGates[0].conditionType",
        "Invalid value",
    ),
    (
        {"spec.preemptionPolicy": "Maybe"},
        "spec.preemptionPolicy",
        '"PreemptLowerPriority", "Never"',
    ),
    (
        {"spec.ephemeralContainers": [{"name": "debug", "image": "busybox"}]},
        "spec.ephemeralContainers",
        "Forbidden: cannot be set on create",
    ),
]


@pytest.mark.parametrize("change", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
def test_sound(change: Change) -> None:
    errors = POD.validate(complete("Pod", change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"), BROKEN, ids=[f"{row[1]}-{row[2][:30]}" for row in BROKEN]
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(POD.validate(complete("Pod", change)), field, words)


def test_every_error_is_reported_at_once() -> None:
    many: dict[str, Any] = {
        f"{C0}.name": "",
        f"{C0}.image": "",
        f"{C0}.ports[0].containerPort": 0,
        f"{C0}.env[0].name": "a=b",
        f"{C0}.volumeMounts[0].name": "missing",
        f"{V}[2].hostPath.path": "",
        "spec.restartPolicy": "Sometimes",
        "spec.tolerations[0].effect": "No",
        "spec.hostname": "a.b",
        "spec.securityContext.runAsUser": -1,
    }
    assert {error.field for error in POD.validate(complete("Pod", many))} >= set(many)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"restartPolicy": "Never"}, "restartPolicy", 'Unsupported value: "Never"'),
        (
            {"activeDeadlineSeconds": 5},
            "activeDeadlineSeconds",
            "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
        ),
        (
            {"ephemeralContainers": [{"name": "d", "image": "d"}]},
            "ephemeralContainers",
            "Forbidden: ephemeral containers not allowed in pod template",
        ),
        ({"containers[0].image": ""}, "containers[0].image", "Required value"),
    ],
)
def test_broken_template(change: Change, field: str, words: str) -> None:
    below = "spec.template.spec."
    obj = complete("Deployment", {below + path: value for path, value in change.items()})
    assert_says(strategy_of("Deployment").validate(obj), below + field, words)


def test_a_template_may_leave_host_ports_out() -> None:
    below = "spec.template.spec"
    ports = {f"{below}.hostNetwork": True, f"{below}.containers[0].ports": [{"containerPort": 80}]}
    obj = complete("Deployment", ports)
    assert obj.spec.template.spec.containers[0].ports[0].host_port == 0
    assert not strategy_of("Deployment").validate(obj)
