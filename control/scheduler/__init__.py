"""The scheduler: which node runs a pod. Walk step 3.

`request` boils a pod down to what placement asks of it; `snapshot` keeps the cluster in arrays;
`filters` and `scores` are pure functions over the two; `decide` puts them together and explains;
`profile` says under which name which scores count, and `configuration` reads that from a file;
`queue` says which pod is tried next, `hints` which refused one is worth trying again, and `waking` brings
it back; `preemption`
finds less important pods that could make room, `eviction` ends them, `nominations` keep the room
until it is there; `storage` knows claims and volumes, and `claims` gives a pod's claims what was
chosen for them; `scheduler` is the loop that watches, decides and binds.
"""
