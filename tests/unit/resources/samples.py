"""Sound objects of what a cluster is run with: who may do what, networks, classes, …"""

from collections.abc import Mapping

SAMPLES: Mapping[str, str] = {
    "Role": """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: reader, namespace: default}
        rules:
          - {apiGroups: [''], resources: [pods, pods/log], verbs: [get, list]}
          - {apiGroups: [apps], resources: [deployments], resourceNames: [web], verbs: ['*']}
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
