"""The network of one node: every pod gets an address, every service answers (steps 4 and 6 of the walk)."""
