"""The kubelet's HTTP paths (steps 5 and 7 of the pod's walk, and everything kubectl asks of a node)."""
