"""kopf from PyPI runs an operator against us: it watches, reacts, writes status, holds deletion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.crds import (
    DEFINITIONS,
    SPEC_SCHEMA,
    define,
    eventually,
    new_group,
    served,
    version,
    widget,
)
from tests.leftovers import end_with_us

pytest.importorskip("kopf")

OPERATOR = Path(__file__).with_name("kopf_operator.py")


pytestmark = served


@pytest_asyncio.fixture
async def group(api: Api) -> AsyncIterator[str]:
    name = new_group()
    schema = json.loads(json.dumps(SPEC_SCHEMA))
    # kopf keeps its progress and the results of handlers in the status.
    schema["properties"]["status"]["x-kubernetes-preserve-unknown-fields"] = True
    await define(api, name, version(schema={"openAPIV3Schema": schema}))
    yield name
    await api.delete(f"{DEFINITIONS}/widgets.{name}")


@pytest.fixture
def operator(server: Server, group: str, namespace: str, tmp_path: Path) -> Any:
    log = (tmp_path / "operator.log").open("wb")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "kopf", "run", "--standalone", f"--namespace={namespace}",
            "--verbose", str(OPERATOR),
        ],
        env={**os.environ, "KUBECONFIG": str(server.kubeconfig), "WIDGET_GROUP": group},
        stdout=log,
        stderr=log,
        preexec_fn=end_with_us,
    )  # fmt: skip
    yield tmp_path / "operator.log"
    process.terminate()
    process.wait(timeout=60)


async def test_an_operator(api: Api, group: str, namespace: str, operator: Path) -> None:
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    await api.ok("POST", path, widget(group, "one"))

    async def ready() -> Any:
        found = await api.ok("GET", f"{path}/one")
        return found if (found.get("status") or {}).get("phase") == "Ready" else None

    try:
        made = await eventually(ready)
        assert made["status"]["create"] == {"configMap": "one"}
        owned = await api.ok("GET", f"{maps}/one")
        assert owned["data"] == {"size": "3"}
        assert owned["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        await api.patch(f"{path}/one", {"spec": {"size": 8}})

        async def resized() -> bool:
            return bool((await api.ok("GET", f"{maps}/one"))["data"] == {"size": "8"})

        await eventually(resized)
        assert (await api.ok("GET", f"{path}/one"))["metadata"]["finalizers"]
        await api.ok("DELETE", f"{path}/one")

        async def gone() -> bool:
            return (await api.get(f"{path}/one"))[0] == (await api.get(f"{maps}/one"))[0] == 404

        await eventually(gone)
    except AssertionError:
        print(operator.read_text()[-8000:])
        raise
