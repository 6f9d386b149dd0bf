"""The store: where every object of the cluster lives, and the one order in which everything happened.

`interface` is what the rest of the control plane sees; `sqlite` is the embedded store, `memory` the
one for tests; `watchcache` publishes each change, encoded once, to all who watch (step 2 of a pod's
life). Only this room knows which database is underneath.
"""
