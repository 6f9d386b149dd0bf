"""Clusters on one machine: namespaces, engines, images and faults, for `podwright up` and for tests.

Serves the walk of a pod from outside: it makes the machines the walk happens on. `topology` says
what a cluster consists of (pure), `cluster` and `machine` make it true, the rest are their tools.
Everything here is blocking code on purpose: a command line and a test fixture are its only callers,
and neither does anything else meanwhile. Call it through `asyncio.to_thread` from a coroutine.
"""
