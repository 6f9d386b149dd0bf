"""Sound objects of every kind as YAML, and how to break them: one change at a path.

A row of a table is `(change, field, words)`: the change made to a sound object, the path that the
error must name, and words that its message must hold.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from api.codec import decode, yaml
from api.fielderrors import FieldError
from api.struct import ApiStruct
from control.resources import STRATEGIES, Strategy
from tests.unit.resources.samples import SAMPLES

REMOVE = object()
"""The change that takes a field away."""

Change = Mapping[str, Any]

_BY_KIND = {strategy.resource.kind: strategy for strategy in STRATEGIES}
_STEP = re.compile(r"([^.\[\]]+)|\[([^\]]*)\]")

SOUND: Mapping[str, str] = {
    **SAMPLES,
    "Pod": """
        apiVersion: v1
        kind: Pod
        metadata: {name: web, namespace: default, labels: {app: web}}
        spec:
          initContainers:
            - {name: prepare, image: busybox, command: [sh, -c, 'true']}
            - name: proxy
              image: proxy:1
              restartPolicy: Always
              startupProbe: {tcpSocket: {port: 15000}}
          containers:
            - name: app
              image: registry:5000/app:1.2
              ports:
                - {name: http, containerPort: 80, hostPort: 8080}
                - {name: dns, containerPort: 53, protocol: UDP}
              env:
                - {name: GREETING, value: hello}
                - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
                - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
                - {name: KEY, valueFrom: {configMapKeyRef: {name: settings, key: app.conf}}}
              envFrom:
                - {prefix: DB_, secretRef: {name: database}}
              resources:
                requests: {cpu: 100m, memory: 64Mi}
                limits: {cpu: 200m, memory: 64Mi}
              volumeMounts:
                - {name: data, mountPath: /data}
                - {name: settings, mountPath: /etc/app, readOnly: true}
              livenessProbe: {exec: {command: [ls]}}
              readinessProbe: {httpGet: {port: http}}
              lifecycle: {preStop: {sleep: {seconds: 5}}}
              securityContext: {runAsUser: 1000}
            - {name: side, image: busybox}
          volumes:
            - {name: data, emptyDir: {sizeLimit: 1Gi}}
            - {name: settings, configMap: {name: settings, items: [{key: a, path: b/c}]}}
            - {name: host, hostPath: {path: /var/log, type: Directory}}
            - {name: secret, secret: {secretName: database}}
            - name: facts
              downwardAPI:
                items:
                  - {path: labels, fieldRef: {fieldPath: metadata.labels}}
                  - path: memory
                    resourceFieldRef: {containerName: app, resource: limits.memory, divisor: 1Mi}
            - name: all
              projected:
                sources:
                  - {configMap: {name: settings}}
                  - {serviceAccountToken: {path: token}}
          nodeSelector: {disk: ssd}
          tolerations:
            - {key: dedicated, operator: Equal, value: web, effect: NoSchedule}
            - {operator: Exists, effect: NoExecute, tolerationSeconds: 60}
          affinity:
            nodeAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                nodeSelectorTerms:
                  - matchExpressions: [{key: zone, operator: In, values: [a, b]}]
              preferredDuringSchedulingIgnoredDuringExecution:
                - weight: 5
                  preference: {matchExpressions: [{key: memory, operator: Gt, values: ['4']}]}
            podAntiAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                - topologyKey: kubernetes.io/hostname
                  labelSelector: {matchLabels: {app: web}}
          topologySpreadConstraints:
            - maxSkew: 1
              topologyKey: zone
              whenUnsatisfiable: DoNotSchedule
              labelSelector: {matchLabels: {app: web}}
    """,
    "Deployment": """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: default}
        spec:
          replicas: 3
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web, tier: front}}
            spec: {containers: [{name: app, image: busybox}]}
    """,
    "CustomResourceDefinition": """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: widgets.example.com}
        spec:
          group: example.com
          scope: Namespaced
          names: {plural: widgets, kind: Widget}
          versions:
          - name: v1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                properties: {spec: {type: object, properties: {size: {type: integer}}}}
    """,
    "Job": """
        apiVersion: batch/v1
        kind: Job
        metadata: {name: sums, namespace: default, uid: 5f6e}
        spec:
          completions: 5
          parallelism: 2
          template:
            metadata: {labels: {app: sums}}
            spec:
              restartPolicy: Never
              containers: [{name: app, image: busybox}]
    """,
    "CronJob": """
        apiVersion: batch/v1
        kind: CronJob
        metadata: {name: nightly, namespace: default}
        spec:
          schedule: 30 2 * * *
          timeZone: Europe/Berlin
          jobTemplate:
            spec:
              template:
                spec:
                  restartPolicy: OnFailure
                  containers: [{name: app, image: busybox}]
    """,
    "ReplicaSet": """
        apiVersion: apps/v1
        kind: ReplicaSet
        metadata: {name: web, namespace: default}
        spec:
          selector: {matchExpressions: [{key: app, operator: In, values: [web]}]}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: app, image: busybox}]}
    """,
    "ReplicationController": """
        apiVersion: v1
        kind: ReplicationController
        metadata: {name: web, namespace: default}
        spec:
          replicas: 2
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: app, image: busybox}]}
    """,
    "StatefulSet": """
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: web, namespace: default}
        spec:
          replicas: 3
          serviceName: web
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              containers:
                - {name: app, image: busybox, volumeMounts: [{name: data, mountPath: /data}]}
          volumeClaimTemplates:
            - metadata: {name: data}
              spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
    """,
    "DaemonSet": """
        apiVersion: apps/v1
        kind: DaemonSet
        metadata: {name: log, namespace: default}
        spec:
          selector: {matchLabels: {app: log}}
          template:
            metadata: {labels: {app: log}}
            spec:
              nodeSelector: {disk: ssd}
              containers: [{name: app, image: busybox}]
    """,
    "ControllerRevision": """
        apiVersion: apps/v1
        kind: ControllerRevision
        metadata: {name: web-5d4f, namespace: default}
        data: {spec: {template: {$patch: replace}}}
        revision: 1
    """,
    "PodTemplate": """
        apiVersion: v1
        kind: PodTemplate
        metadata: {name: once, namespace: default}
        template:
          metadata: {labels: {app: once}}
          spec: {restartPolicy: Never, containers: [{name: app, image: busybox}]}
    """,
    "ResourceQuota": """
        apiVersion: v1
        kind: ResourceQuota
        metadata: {name: compute, namespace: default}
        spec:
          hard: {pods: '10', requests.cpu: '4', limits.memory: 8Gi, count/deployments.apps: '2'}
    """,
    "Service": """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: default}
        spec:
          selector: {app: web}
          ports:
            - {name: http, port: 80, targetPort: http}
            - {name: dns, port: 53, protocol: UDP}
    """,
    "ConfigMap": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: default}
        data: {app.conf: 'a = 1', EMPTY: ''}
        binaryData: {logo: aGVsbG8=}
    """,
    "Secret": """
        apiVersion: v1
        kind: Secret
        metadata: {name: database, namespace: default}
        data: {password: c2VjcmV0}
    """,
    "ServiceAccount": """
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: robot, namespace: default}
    """,
    "LimitRange": """
        apiVersion: v1
        kind: LimitRange
        metadata: {name: bounds, namespace: default}
        spec:
          limits:
            - type: Container
              min: {cpu: 100m, memory: 64Mi}
              max: {cpu: '2', memory: 1Gi}
              defaultRequest: {cpu: 200m}
              default: {cpu: 500m}
              maxLimitRequestRatio: {cpu: '4'}
            - {type: Pod, max: {cpu: '4'}}
            - {type: PersistentVolumeClaim, min: {storage: 1Gi}, max: {storage: 10Gi}}
    """,
    "Namespace": """
        apiVersion: v1
        kind: Namespace
        metadata: {name: team-a}
    """,
    "Node": """
        apiVersion: v1
        kind: Node
        metadata: {name: node-1, labels: {node-role.kubernetes.io/worker: ''}}
        spec:
          podCIDR: 10.244.1.0/24
          taints: [{key: dedicated, value: web, effect: NoSchedule}]
        status:
          capacity: {cpu: '2', memory: 4Gi, pods: '110'}
          nodeInfo:
            {machineID: m, systemUUID: s, bootID: b, kernelVersion: k, osImage: o,
             containerRuntimeVersion: docker://20, kubeletVersion: v1.34.0, kubeProxyVersion: p,
             operatingSystem: linux, architecture: amd64}
    """,
    "Endpoints": """
        apiVersion: v1
        kind: Endpoints
        metadata: {name: web, namespace: default}
        subsets:
          - addresses: [{ip: 10.244.1.5}]
            notReadyAddresses: [{ip: 10.244.1.6, hostname: web-1}]
            ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]
    """,
    "EndpointSlice": """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-abc, namespace: default}
        addressType: IPv4
        endpoints: [{addresses: [10.244.1.5], hostname: web-1, nodeName: node-1}]
        ports: [{name: http, port: 80}]
    """,
    "Event": """
        apiVersion: v1
        kind: Event
        metadata: {name: web.1, namespace: default}
        involvedObject: {kind: Pod, name: web, namespace: default}
        reason: Started
        message: Started container app
        type: Normal
        reportingComponent: kubelet
        reportingInstance: node-1
    """,
    "Lease": """
        apiVersion: coordination.k8s.io/v1
        kind: Lease
        metadata: {name: node-1, namespace: kube-node-lease}
        spec: {holderIdentity: node-1, leaseDurationSeconds: 40}
    """,
    "HorizontalPodAutoscaler": """
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: web, namespace: default}
        spec:
          scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
          minReplicas: 2
          maxReplicas: 10
          metrics:
            - type: Resource
              resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
            - type: ContainerResource
              containerResource:
                name: memory
                container: app
                target: {type: AverageValue, averageValue: 100Mi}
            - type: Pods
              pods:
                metric: {name: packets, selector: {matchLabels: {a: b}}}
                target: {type: AverageValue, averageValue: '10'}
            - type: Object
              object:
                describedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: main}
                metric: {name: requests}
                target: {type: Value, value: 2k}
            - type: External
              external:
                metric: {name: queue}
                target: {type: AverageValue, averageValue: '30'}
          behavior:
            scaleUp:
              stabilizationWindowSeconds: 0
              selectPolicy: Min
              policies: [{type: Pods, value: 2, periodSeconds: 60}]
            scaleDown:
              selectPolicy: Disabled
              policies: [{type: Percent, value: 10, periodSeconds: 60}]
    """,
    "PodDisruptionBudget": """
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {name: web, namespace: default}
        spec: {minAvailable: 50%}
    """,
    "MutatingWebhookConfiguration": """
        apiVersion: admissionregistration.k8s.io/v1
        kind: MutatingWebhookConfiguration
        metadata: {name: sidecars}
        webhooks:
          - name: inject.sidecars.example.com
            clientConfig: {service: {namespace: sidecars, name: injector, path: /v1/inject}}
            rules:
              - {operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}
            sideEffects: None
            admissionReviewVersions: [v1]
    """,
    "ValidatingWebhookConfiguration": """
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingWebhookConfiguration
        metadata: {name: images}
        webhooks:
          - name: allowed.images.example.com
            clientConfig: {url: 'https://images.example.com:8443/check'}
            rules:
              - operations: [CREATE, UPDATE]
                apiGroups: ['*']
                apiVersions: ['*']
                resources: [pods, deployments/scale]
            sideEffects: NoneOnDryRun
            admissionReviewVersions: [v1, v1beta1]
            timeoutSeconds: 5
    """,
    "ValidatingAdmissionPolicy": """
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicy
        metadata: {name: replicas}
        spec:
          matchConstraints:
            resourceRules:
              - {operations: ['*'], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}
          variables: [{name: replicas, expression: object.spec.replicas}]
          validations: [{expression: variables.replicas <= 5, message: too many}]
    """,
    "ValidatingAdmissionPolicyBinding": """
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicyBinding
        metadata: {name: replicas}
        spec:
          policyName: replicas
          paramRef: {name: limits, namespace: default}
          validationActions: [Deny, Audit]
    """,
    "PriorityClass": """
        apiVersion: scheduling.k8s.io/v1
        kind: PriorityClass
        metadata: {name: urgent}
        value: 1000000
        description: What customers wait for.
    """,
    "CertificateSigningRequest": """
        apiVersion: certificates.k8s.io/v1
        kind: CertificateSigningRequest
        metadata: {name: node-1}
        spec:
          request: ''
          signerName: kubernetes.io/kube-apiserver-client-kubelet
          expirationSeconds: 3600
          usages: [digital signature, client auth]
    """,
}


def strategy_of(kind: str) -> Strategy[Any]:
    """The rules of a kind."""
    return _BY_KIND[kind]


def tree(kind: str, change: Change | None = None, *, base: str | None = None) -> Any:
    """A sound object as plain values, changed at some paths; `base` replaces the example."""
    text = base if base is not None else SOUND[kind]
    found: Any = yaml.load(textwrap.dedent(text).encode())
    for path, value in (change or {}).items():
        _put(found, path, value)
    return found


def make(kind: str, change: Change | None = None, *, base: str | None = None) -> Any:
    """The same as a typed object, as it is before defaults."""
    type_: type[ApiStruct] = strategy_of(kind).resource.type
    return decode.convert(tree(kind, change, base=base), type_, decode.STRICT).obj


def complete(kind: str, change: Change | None = None, *, base: str | None = None) -> Any:
    """The same after defaults and preparation for creation."""
    obj = make(kind, change, base=base)
    strategy_of(kind).default(obj)
    strategy_of(kind).prepare_create(obj)
    strategy_of(kind).complete_create(obj)
    return obj


def changed(kind: str, old: Any, change: Change) -> Any:
    """An update: the stored object with some paths changed, defaulted and prepared."""
    document = decode.to_tree(old)
    for path, value in change.items():
        _put(document, path, value)
    new = decode.convert(document, type(old), decode.STRICT).obj
    strategy_of(kind).default(new)
    strategy_of(kind).prepare_update(new, old)
    return new


def said(errors: list[FieldError]) -> str:
    """Every error on a line of its own, for a failed assertion."""
    return "\n".join(map(str, errors)) or "no error"


def assert_says(errors: list[FieldError], field: str, words: str) -> None:
    """One of the errors names the field and holds the words."""
    fit = [error for error in errors if error.field == field and words in error.message]
    assert fit, f"expected {field}: … {words} …, found\n{said(errors)}"


def _put(document: Any, path: str, value: Any) -> None:
    """`a.b[0].c[key]`: brackets hold a position of a list or a key of a map."""
    steps = [name or key for name, key in _STEP.findall(path)]
    for step, following in itertools.pairwise(steps):
        if isinstance(document, dict):
            document.setdefault(step, [] if following.isdecimal() else {})
        document = document[_index(document, step)]
    last = _index(document, steps[-1])
    if value is REMOVE:
        del document[last]
    elif isinstance(document, list) and last == len(document):
        document.append(value)
    else:
        document[last] = value


def _index(document: Any, step: str) -> Any:
    return int(step) if isinstance(document, list) else step
