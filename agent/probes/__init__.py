"""Questions put to containers, and what follows from the answers (steps 4 and 5 of the pod's walk).

`handlers.py` asks (exec, httpGet, tcpSocket, grpc), `state.py` counts (pure), `runner.py` keeps time.
Lifecycle hooks use the same handlers.
"""
