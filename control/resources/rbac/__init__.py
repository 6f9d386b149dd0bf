"""The rules of the kinds in rbac.authorization.k8s.io."""
