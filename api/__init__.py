"""The language everyone speaks: Kubernetes' objects as typed values, and the rules over them.

No I/O here except in `client` and `informer`. Types are `msgspec.Struct` classes and the single
source of truth: decoding, defaults on the wire, patch merge keys, OpenAPI and `kubectl explain`
are all derived from them (see `api.struct` for what a field can say about itself).
"""
