"""Deleting what was seen, and nothing that has taken its name since. Serves whoever cleans up."""

from __future__ import annotations

from api import objects
from api.errors import is_not_found
from api.interface import Client
from api.struct import ApiStruct
from base.errors import PodwrightError


async def delete_if_there(
    client: Client,
    obj: ApiStruct,
    *,
    unchanged: bool = False,
    propagation_policy: str | None = None,
) -> None:
    """Delete this very object; that it is gone already is as good.

    `unchanged`: only as it was seen; one that has changed since is a conflict. Raises whatever else
    the API refuses with.
    """
    metadata = objects.meta(obj)
    try:
        await client.delete(
            type(obj),
            metadata.name,
            metadata.namespace,
            uid=metadata.uid,
            resource_version=metadata.resource_version if unchanged else None,
            propagation_policy=propagation_policy,
        )
    except PodwrightError as error:
        if not is_not_found(error):
            raise
