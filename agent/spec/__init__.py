"""From a pod's spec to what the container engine is asked for (step 4 of the pod's walk).

Everything here translates: `environment.py` and `container.py` a container, `dns.py` the pod's
files, `security.py` its security context. `refusals.py` is the table of what this agent does not
honour, and therefore refuses to run.
"""
