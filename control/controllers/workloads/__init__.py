"""Controllers of workloads: ReplicaSet and Deployment."""
