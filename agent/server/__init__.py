"""The kubelet's HTTP paths on port 10250: what the API server and people ask of one node.

They serve a pod after step 5 of its walk: logs, exec, attach, pods, stats, metrics, healthz.
`server.py` is the web server, `interface.py` what it needs of the rest of the agent.
"""
