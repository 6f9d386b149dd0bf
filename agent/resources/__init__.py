"""The node's CPU and memory: shares, limits and cgroups of pods (step 4 of the pod's walk)."""
