"""The schemas of all kinds, as OpenAPI v3 and v2: what `kubectl explain` prints and `apply` checks.

Made from the types (`schemas`), the docstrings under their fields (`descriptions`) and the scheme
(`operations`), and put in older words (`swagger`, `swaggerwire`), by a short-lived process of its own
(`generate`), because parsing every type's source takes memory that a server would keep; `serving`
hands out the finished files.
"""
