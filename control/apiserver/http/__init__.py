"""The API over HTTP: connections, negotiation, and the handlers of each verb.

A request runs through small functions in one order (`pipeline`): resolve the path, authenticate,
authorise, then the handler of its verb, which calls the registry. Every error becomes a Status.
"""
