"""What there is: versions, groups and resources, and the schema of each kind.

Clients read this before they send anything (step 1 of a pod's walk). All of it is made from
`api.scheme` and the types, once; answers carry ETags so that clients keep them.
"""
