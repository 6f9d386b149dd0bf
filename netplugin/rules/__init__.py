"""Firewall rules as values: what they are, how they differ, and how they get into the kernel and stay.

`ruleset` is the value, its difference and its text; `tree` arranges many entries so that a packet
meets few of them; `keeper` applies and repairs; `tables` removes what iptables itself leaves behind.
Service rules, host ports, masquerading and (later) network policy are all Rulesets, merged into one.
"""
