"""API versions that Kubernetes served once and that books and old manifests still name.

Before step 1 of the pod's walk: such a manifest is refused with the lines that make it a modern one.
`table` says which versions these are, `changes` what a manifest of each needs, `refusing` words the
answer, `discovering` shows them to those commands of kubectl that would otherwise never ask us.
"""
