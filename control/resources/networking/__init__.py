"""The rules of the kinds in networking.k8s.io."""
