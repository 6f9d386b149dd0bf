"""apiextensions.k8s.io: definitions of kinds."""
