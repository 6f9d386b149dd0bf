"""Sound objects of what a cluster is run with: who may do what, networks, classes, …"""

from collections.abc import Mapping

SAMPLES: Mapping[str, str] = {
    "APIService": """
        apiVersion: apiregistration.k8s.io/v1
        kind: APIService
        metadata: {name: v1.example.com}
        spec: {group: example.com, version: v1, groupPriorityMinimum: 100, versionPriority: 10}
    """,
    "FlowSchema": """
        apiVersion: flowcontrol.apiserver.k8s.io/v1
        kind: FlowSchema
        metadata: {name: robots}
        spec:
          priorityLevelConfiguration: {name: robots}
          distinguisherMethod: {type: ByUser}
          rules:
            - subjects:
                - {kind: ServiceAccount, serviceAccount: {name: '*', namespace: robots}}
                - {kind: Group, group: {name: robots}}
              resourceRules:
                - {verbs: [list], apiGroups: ['*'], resources: ['*'], namespaces: [default]}
                - {verbs: ['*'], apiGroups: [''], resources: [nodes], clusterScope: true}
              nonResourceRules:
                - {verbs: [get], nonResourceURLs: [/metrics, /healthz/*]}
    """,
    "PriorityLevelConfiguration": """
        apiVersion: flowcontrol.apiserver.k8s.io/v1
        kind: PriorityLevelConfiguration
        metadata: {name: robots}
        spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}
    """,
    "RuntimeClass": """
        apiVersion: node.k8s.io/v1
        kind: RuntimeClass
        metadata: {name: sandbox}
        handler: sandbox
        overhead: {podFixed: {cpu: 250m, memory: 64Mi}}
        scheduling:
          nodeSelector: {runtime: sandbox}
          tolerations: [{key: runtime, operator: Equal, value: sandbox, effect: NoSchedule}]
    """,
    "Ingress": """
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web, namespace: default}
        spec:
          ingressClassName: proxy
          defaultBackend: {resource: {apiGroup: example.com, kind: Bucket, name: pages}}
          tls:
            - {hosts: [a.example.com, '*.b.example.com'], secretName: certificate}
          rules:
            - host: a.example.com
              http:
                paths:
                  - path: /
                    pathType: Prefix
                    backend: {service: {name: web, port: {number: 80}}}
                  - pathType: ImplementationSpecific
                    backend: {service: {name: web, port: {name: http}}}
            - {host: '*.b.example.com'}
    """,
    "IngressClass": """
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: proxy}
        spec: {controller: example.com/proxy}
    """,
    "NetworkPolicy": """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: database, namespace: default}
        spec:
          podSelector: {matchLabels: {app: database}}
          ingress:
            - from:
                - podSelector: {matchLabels: {app: web}}
                  namespaceSelector: {}
                - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
              ports:
                - {port: 5432}
                - {protocol: UDP, port: 32000, endPort: 32768}
                - {port: postgres}
          egress: [{}]
    """,
    "IPAddress": """
        apiVersion: networking.k8s.io/v1
        kind: IPAddress
        metadata: {name: 10.96.0.17}
        spec: {parentRef: {resource: services, namespace: default, name: web}}
    """,
    "ServiceCIDR": """
        apiVersion: networking.k8s.io/v1
        kind: ServiceCIDR
        metadata: {name: more}
        spec: {cidrs: [10.97.0.0/16, '2001:db8::/112']}
    """,
    "Role": """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: reader, namespace: default}
        rules:
          - {apiGroups: [''], resources: [pods, pods/log], verbs: [get, list]}
          - {apiGroups: [apps], resources: [deployments], resourceNames: [web], verbs: ['*']}
    """,
    "PersistentVolume": """
        apiVersion: v1
        kind: PersistentVolume
        metadata: {name: share}
        spec:
          capacity: {storage: 10Gi}
          accessModes: [ReadWriteMany, ReadWriteOnce]
          storageClassName: fast
          mountOptions: [hard]
          nfs: {server: nfs.example.com, path: /exports}
          nodeAffinity:
            required:
              nodeSelectorTerms:
                - matchExpressions: [{key: zone, operator: In, values: [a]}]
    """,
    "PersistentVolumeClaim": """
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: data, namespace: default}
        spec:
          accessModes: [ReadWriteOnce]
          storageClassName: fast
          resources: {requests: {storage: 1Gi}}
          selector: {matchLabels: {tier: gold}}
    """,
    "VolumeAttachment": """
        apiVersion: storage.k8s.io/v1
        kind: VolumeAttachment
        metadata: {name: csi-1}
        spec: {attacher: disk.example.com, nodeName: node-1, source: {persistentVolumeName: share}}
    """,
    "StorageClass": """
        apiVersion: storage.k8s.io/v1
        kind: StorageClass
        metadata: {name: fast}
        provisioner: example.com/NFS
        parameters: {server: nfs.example.com}
        mountOptions: [noatime]
        allowedTopologies:
          - matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [a, b]}]
    """,
    "CSIDriver": """
        apiVersion: storage.k8s.io/v1
        kind: CSIDriver
        metadata: {name: disk.example.com}
        spec:
          tokenRequests: [{audience: vault, expirationSeconds: 600}, {audience: ''}]
          volumeLifecycleModes: [Persistent, Ephemeral]
    """,
    "CSINode": """
        apiVersion: storage.k8s.io/v1
        kind: CSINode
        metadata: {name: node-1}
        spec:
          drivers:
            - name: disk.example.com
              nodeID: i-1
              topologyKeys: [topology.kubernetes.io/zone]
              allocatable: {count: 16}
    """,
    "CSIStorageCapacity": """
        apiVersion: storage.k8s.io/v1
        kind: CSIStorageCapacity
        metadata: {name: fast-a, namespace: storage}
        storageClassName: fast
        nodeTopology: {matchLabels: {topology.kubernetes.io/zone: a}}
        capacity: 100Gi
        maximumVolumeSize: 10Gi
    """,
    "VolumeAttributesClass": """
        apiVersion: storage.k8s.io/v1
        kind: VolumeAttributesClass
        metadata: {name: gold}
        driverName: disk.example.com
        parameters: {iops: '9000'}
    """,
    "ClusterRole": """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: {name: 'team:reader'}
        rules:
          - {apiGroups: ['*'], resources: ['*'], verbs: [get]}
          - {nonResourceURLs: [/metrics, /healthz/*], verbs: [get]}
    """,
    "RoleBinding": """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: readers, namespace: default}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
        subjects:
          - {kind: User, name: jane}
          - {kind: Group, name: team}
          - {kind: ServiceAccount, name: robot, namespace: default}
    """,
    "ClusterRoleBinding": """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: {name: 'team:readers'}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'team:reader'}
        subjects: [{kind: Group, name: team}]
    """,
}
