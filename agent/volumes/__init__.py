"""A pod's volumes: one module per type, behind one registry (step 4 of the pod's walk).

A volume becomes a path of the node that the engine binds into containers. `set_up` may be called
again at any time: it makes what is missing and brings what follows an API object up to date.
"""
