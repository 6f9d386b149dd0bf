"""Jobs and CronJobs: work that ends. Walk step 1.

A Job's pods are counted exactly once, whoever is killed when (KEP-2307). Each pod is made with a
finalizer, so it cannot vanish before it is counted; and counting takes three steps, each of which can
be done again:

1. the pod has ended: its UID is written into the status, among the uncounted;
2. the finalizer is taken from the pod;
3. the UID leaves the status and the figure grows by one, in one write.

A UID that is in the status while its pod has no finalizer has been through 2 and not through 3. Status
is only ever written over the version that was read, so a controller that looks at old news is refused.
Indexes of an Indexed Job need no UIDs: to add one to the set twice changes nothing.

`view` says what the pods come to, `verdict` whether the Job is at its end, `plan` which pods to make
and to end, `counting` what the status says next: all pure. `controller` does it, `strays` lets go of
pods whose Job is gone, `cronplan` and `cronjob` make the Jobs of a schedule.
"""
