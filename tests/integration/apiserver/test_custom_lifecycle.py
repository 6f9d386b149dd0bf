"""Custom resources among owners, dependents and namespaces, with the controllers running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.apiserver.conftest import Api, Server, config_map
from tests.integration.apiserver.crds import (
    DEFINITIONS,
    define,
    eventually,
    new_group,
    served,
    widget,
)

pytestmark = served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("lifecycle"))
    made.start("--controllers=true")
    yield made
    made.stop()


@pytest_asyncio.fixture
async def group(api: Api) -> AsyncIterator[str]:
    name = new_group()
    await define(api, name)
    yield name
    await api.delete(f"{DEFINITIONS}/widgets.{name}")


def owner(obj: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
    }


async def test_dependents_go_with_their_owners(api: Api, group: str, namespace: str) -> None:
    widgets = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    first = await api.ok("POST", widgets, widget(group, "first"))
    middle = config_map("middle", metadata={"ownerReferences": [owner(first)]})
    made = await api.ok("POST", maps, middle)
    last = widget(group, "last", metadata={"ownerReferences": [owner(made)]})
    await api.ok("POST", widgets, last)
    await api.ok("DELETE", f"{widgets}/first")

    async def gone() -> bool:
        return (await api.get(f"{maps}/middle"))[0] == (await api.get(f"{widgets}/last"))[0] == 404

    await eventually(gone)


async def test_an_owner_in_the_foreground_goes_last(api: Api, group: str, namespace: str) -> None:
    widgets = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    made = await api.ok("POST", widgets, widget(group, "owner"))
    reference = {**owner(made), "blockOwnerDeletion": True}
    held = {"ownerReferences": [reference], "finalizers": ["example.com/hold"]}
    await api.ok("POST", maps, config_map("held", metadata=held))
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    await api.ok("DELETE", f"{widgets}/owner", options)

    async def marked() -> bool:
        return "deletionTimestamp" in (await api.ok("GET", f"{maps}/held"))["metadata"]

    await eventually(marked)
    assert (await api.get(f"{widgets}/owner"))[0] == 200
    await api.patch(f"{maps}/held", {"metadata": {"finalizers": None}})

    async def gone() -> bool:
        return (await api.get(f"{widgets}/owner"))[0] == 404

    await eventually(gone)


async def test_a_namespace_takes_them_along(api: Api, group: str, namespace: str) -> None:
    widgets = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    await api.ok("POST", widgets, widget(group, "one"))
    await api.ok("DELETE", f"/api/v1/namespaces/{namespace}")

    async def gone() -> bool:
        return (await api.get(f"/api/v1/namespaces/{namespace}"))[0] == 404

    await eventually(gone)
    assert (await api.ok("GET", f"/apis/{group}/v1/widgets"))["items"] == []
