"""The generic pipeline: how any object is created, read, changed, deleted and watched.

Without HTTP: the handlers in `http` and the in-process client in `local` both call these functions,
so that controllers meet the same defaults, admission and validation as everyone else. What differs
between kinds is in `control/resources`; one module here per operation.
"""
