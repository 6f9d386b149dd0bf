"""What users are told of probes that neither passed nor failed as usual."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.probes import http
from api.core import HTTPGetAction, Probe
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import Node
from tests.unit.agent.test_worker import ready, web


async def run(tmp_path: Path, port: int | str) -> Node:
    node = Node(tmp_path)
    await node.boot()
    probe = Probe(http_get=HTTPGetAction(path="/", port=port), period_seconds=5)
    node.api.put(make_pod(container(readiness_probe=probe, liveness_probe=probe)))
    await node.run(60)
    return node


async def test_a_port_that_nobody_named_ends_no_container(tmp_path: Path) -> None:
    node = await run(tmp_path, "nobody")
    words = 'probe errored and resulted in unknown state: couldn\'t find port: "nobody" in pod'
    assert {f"Liveness {words}", f"Readiness {words}"} == set(node.recorder.messages("Unhealthy"))
    assert (web(node).restart_count, ready(node)) == (0, "False")
    await node.kill()


async def test_a_redirect_to_another_host_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(request: http.Get) -> http.Answer:
        return http.Answer(status=302, body="go there", elsewhere=True)

    monkeypatch.setattr(http, "get", get)
    node = await run(tmp_path, 80)
    words = "probe warning: Probe terminated redirects, Response body: go there"
    assert {f"Liveness {words}", f"Readiness {words}"} == set(
        node.recorder.messages("ProbeWarning")
    )
    assert node.recorder.messages("Unhealthy") == []
    assert (web(node).restart_count, ready(node)) == (0, "True")
    await node.kill()
