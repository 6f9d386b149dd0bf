"""The API server: step 1 of a pod's walk, and every other read and write of the cluster's objects.

`registry` is the pipeline without HTTP (default, admit, validate, store); `http` speaks to clients
and `local` is the same door for what runs inside this process; `discovery` tells clients what there
is; `agents` passes logs and exec on to the node that has the container.
"""
