"""The controllers: each makes the world a little more like what is written down.

A controller is one informer or a few, one work queue, and a `reconcile(key)`: look at what is,
decide by a pure function, write the difference. It keeps nothing that a restart would lose, and
may be killed at any instruction. `controller` is what all have in common, `context` what they are
given, `manager` starts them.
"""
