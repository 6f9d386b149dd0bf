"""The life of each pod on this node (step 4 of the pod's walk, and step 7 backwards).

`manager.py` gives each desired pod one `worker.py`. A worker looks (`observed.py`), decides
(`plan.py`, `teardown.py`: pure), acts (`agent/effects`) and tells (`status.py`: pure, sent by
`pusher.py`), again and again, woken by whatever changed.
"""
