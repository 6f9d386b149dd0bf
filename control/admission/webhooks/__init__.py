"""Admission webhooks: services outside the control plane that change requests, or refuse them.

Serves step 1 of the pod's walk. Pure: which hooks there are (`hooks`), which requests their rules
choose (`rules`), what they are asked (`questions`) and what their answers mean (`answers`). The
edges: `subject` shows the request's objects in the versions that hooks know, and changes them;
`asking` asks one hook; `mutating` and `validating` are the plugins.
"""
