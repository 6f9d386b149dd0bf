"""What every process needs and nobody owns: clock, errors, tasks, queues, settings, logs, keys.

Serves every step of a pod's walk and decides none of them. Imports nothing of ours.
"""
