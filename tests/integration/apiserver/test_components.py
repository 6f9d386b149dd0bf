"""ComponentStatuses: what the parts of the control plane say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.integration.apiserver.conftest import Api, Server
from tests.patience import wait_until

PATH = "/api/v1/componentstatuses"


async def test_parts_that_were_not_started_say_so(api: Api) -> None:
    found = await api.ok("GET", PATH)
    assert api.headers["Warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
    assert (found["kind"], found["apiVersion"]) == ("ComponentStatusList", "v1")
    told = {one["metadata"]["name"]: one["conditions"] for one in found["items"]}
    assert told["store"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
    for name in ("controller-manager", "scheduler"):
        (condition,) = told[name]
        assert (condition["type"], condition["status"]) == ("Healthy", "False")
        assert "without controllers and scheduler" in condition["error"]


async def test_one_of_them_and_a_choice_of_them(api: Api) -> None:
    assert (await api.ok("GET", f"{PATH}/store"))["kind"] == "ComponentStatus"
    code, answer = await api.get(f"{PATH}/printer")
    assert (code, answer["message"]) == (404, 'componentstatuses "printer" not found')
    chosen = await api.ok("GET", f"{PATH}?fieldSelector=metadata.name%3Dscheduler")
    assert [one["metadata"]["name"] for one in chosen["items"]] == ["scheduler"]
    assert (await api.ok("GET", f"{PATH}?labelSelector=a%3Db"))["items"] == []
    assert (await api.get(f"{PATH}?labelSelector=((("))[0] == 400


async def test_nothing_can_be_written_or_watched(api: Api) -> None:
    assert (await api.post(PATH, {"kind": "ComponentStatus"}))[0] == 405
    assert (await api.delete(f"{PATH}/store"))[0] == 405
    assert (await api.get(f"{PATH}?watch=true"))[0] == 405
    core = {one["name"]: one for one in (await api.ok("GET", "/api/v1"))["resources"]}
    assert core["componentstatuses"]["verbs"] == ["get", "list"]
    assert core["componentstatuses"]["shortNames"] == ["cs"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("components"))
    made.start(whole=True)
    yield made
    made.stop()


def test_kubectl_prints_them(whole: Server) -> None:
    rows = [
        ["NAME", "STATUS", "MESSAGE", "ERROR"],
        ["controller-manager", "Healthy", "ok"],
        ["scheduler", "Healthy", "ok"],
        ["store", "Healthy", "ok"],
    ]

    def healthy() -> CompletedProcess[str]:
        done = whole.kubectl("get", "componentstatuses")
        assert [line.split() for line in done.stdout.splitlines()] == rows
        return done

    done = wait_until(healthy)
    assert "Warning: v1 ComponentStatus is deprecated in v1.19+" in done.stderr
    assert "Healthy" in whole.kubectl("describe", "cs", "scheduler").stdout
