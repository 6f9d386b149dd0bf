"""Containers and images as the agent sees them (step 4 of the pod's walk).

`interface.py` names what a runtime can do, `records.py` the values it speaks in and `errors.py` the
ways it fails. `runtime.py` is the Docker Engine behind that interface; `fake.py` is the same
without containers, driven by scripts (`script.py`) and by pods' annotations (`behaviour.py`). Nothing
outside `runtime.py` knows Docker.
"""
