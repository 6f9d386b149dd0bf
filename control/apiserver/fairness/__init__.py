"""Who is served when more is asked than can be done at once: everybody in turn, and nobody for ever.

On the way of every request, before step 1 of the pod's walk. `levels` sorts requests into priority
levels and flows, as Kubernetes' API Priority and Fairness does by default; `queues` decides whose turn
it is, without a clock or a loop; `gate` makes requests wait, and answers 429 to those who would wait
too long.
"""
