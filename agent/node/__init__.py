"""This node towards the cluster: joining, registration, heartbeats, conditions, the other nodes."""
