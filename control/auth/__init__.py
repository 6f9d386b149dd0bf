"""Who is asking, and what they may do: the gate in front of step 1 of a pod's walk.

`authentication` turns a connection and its headers into a `User`; `authorization` says whether that
user may do what the request asks. Neither knows HTTP: both work on plain values.
"""
