"""The node agent: one process per node, which makes the pods of its node real.

It serves steps 4, 5 and 7 of a pod's walk: run what the API server assigned to this node, report
what became of it, and take it down again. Rooms: `containers` (the engine), `pod` (workers, plan,
status), `volumes`, `resources`, `node`, `server` (the kubelet's HTTP paths).
"""
