"""Controllers of nodes: their address ranges, their life, and the pods of those that are gone."""
