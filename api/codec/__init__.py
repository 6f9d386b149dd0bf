"""From the bytes of a request to a typed object and back: JSON, YAML, protobuf. Walk step 1.

`decode` is the door; the others know one notation each (`yaml`, `protobuf`, `jsontree`), or what an
API type looks like to all of them (`shapes`).
"""
