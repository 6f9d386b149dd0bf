"""HorizontalPodAutoscalers: how many pods a workload should have, by what the present ones use.

`samples` says what each pod uses and requests, `formula` how many pods that asks for, `pace` how fast
the number may change, and `controller` carries it out.
"""
