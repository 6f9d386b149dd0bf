"""Services → rules (step 6 of the pod's walk).

`model` reads Services and EndpointSlices into what a node needs to know; `rules` writes that as a
Ruleset; `conntrack` forgets flows whose endpoint is gone. All three decide by pure functions; the
facade `netplugin.node` carries the decisions out.
"""
