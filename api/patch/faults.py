"""What can be wrong with a patch.

    ValueError
    └── PatchError                  it does not fit the object (422)
        └── MalformedPatchError     it is no patch at all (400)

Serves step 1 of the pod's walk.
"""

from __future__ import annotations


class PatchError(ValueError):
    """The patch cannot be applied to this object."""


class MalformedPatchError(PatchError):
    """The patch cannot be applied to any object."""
