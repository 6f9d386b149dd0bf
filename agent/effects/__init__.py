"""What a plan's actions do (steps 4 and 7 of the pod's walk): the effects.

One function per action, all of them safe to do twice: `sandbox.py` (cgroup, files, pause container,
address), `start.py` (image, container, postStart), `stop.py` (preStop, TERM, KILL, teardown).
`context.py` is what they share; `probing.py` keeps a pod's probes in step with its containers.
"""
