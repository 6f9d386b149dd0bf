"""What must never happen in a cluster, looked for at every step of a simulated run."""
