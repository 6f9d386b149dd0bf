"""Tokens of service accounts: who a pod is when it asks for something (steps 1 and 4 of its walk).

`keys` signs and verifies, `claims` says what is written in a token, `issuing` decides which token
somebody gets, `accounts` decides whether a token that is shown is still good. Only `keys` knows how
a JSON Web Token looks on the wire.
"""
