"""The rules of the kinds in apiregistration.k8s.io."""
