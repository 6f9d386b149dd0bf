"""What local clusters need of the machine they live on: processes, engines, cables, cleaning up.

The tools below `local`: none of them knows what a cluster is.
"""
