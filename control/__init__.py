"""The control plane: one process that takes a pod from a client's request to a node.

The API server writes objects into the store, the watch cache hands every change to those who watch,
the scheduler and the controllers decide and write back through the same API. The agents on the nodes
are clients like any other; nothing here touches a container or a network interface.
"""
