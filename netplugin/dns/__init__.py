"""The cluster's names, answered on every node (step 6 of the pod's walk).

`zone` decides what a name means (pure), `message` reads and writes packets, `upstream` asks the
node's own resolvers for everything else, `server` puts them behind UDP and TCP sockets, and
`resolvconf` writes the file by which pods find the server.
"""
