"""Rules of a pod's spec, shared by Pod and by every kind that holds a pod template.

`defaults` fills in what the API documents, `containers`, `volumes`, `placement` and `spec`
validate, `updates` says what may still change in a pod that exists. Everything is pure.
"""
