"""A file with one object of every kind, in every version of kubectl: what people do with files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import pytest

from api.scheme import ALTERNATES, RESOURCES, REVIEWS, Resource
from tests.integration.apiserver.conftest import Server
from tests.integration.apiserver.kinds import STORED, sample
from tests.integration.kubectl.conftest import Kubectl, installed

LAST = ("LimitRange", "ResourceQuota")
"""Kinds that have a say in what is created after them."""
APART = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
"""Kinds whose objects would ask somebody who is not there about all the others."""
DESCRIBED_SINCE = {
    "CronJob": (1, 21),
    "EndpointSlice": (1, 21),
    "IPAddress": (1, 33),
    "PodDisruptionBudget": (1, 21),
    "ServiceCIDR": (1, 33),
    "VolumeAttributesClass": (1, 34),
}
"""Kinds that an older kubectl describes only in the version that came before v1."""
TOLD = (
    r"certificate terminates a\.example\.com,\*\.b\.example\.com",
    r"a\.example\.com *\n +/ +web:80",
    r"Controller: +example\.com/proxy",
    r"PodSelector: +app=database",
    r"To Port: 5432/TCP\n",
    r"CIDR: 10\.0\.0\.0/8\n +Except: 10\.1\.0\.0/16",
    r"deployments\.apps +\[\] +\[web\] +\[\*\]",
    r"\[/healthz/\*\] +\[\] +\[get\]",
    r"Role:\n +Kind: +Role\n +Name: +reader",
    r"ServiceAccount +robot +default",
    r"Pod Fixed:\n +Cpu: +250m",
    r"Matching Precedence: +1000",
    r"Queue Length Limit: +50",
    r"Message: +Local APIServices are always available",
)
"""What only the objects' own contents can have put into the description."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without controllers: what is written stays as it is."""
    made = Server(tmp_path_factory.mktemp("every"))
    made.start()
    yield made
    made.stop()


def file_of(kubectl: Kubectl, kinds: Iterable[Resource]) -> str:
    items = [sample(one, kubectl.namespace, kubectl.namespace) for one in kinds]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.fixture
def everything(kubectl: Kubectl) -> Iterator[str]:
    kinds = [one for one in RESOURCES if one in STORED and one.kind not in APART]
    file = file_of(kubectl, sorted(kinds, key=lambda one: one.kind in LAST))
    yield file
    delete(kubectl, file)


def delete(kubectl: Kubectl, file: str) -> None:
    kubectl("delete", "-f", "-", "--ignore-not-found", "--now", "--wait=false", input=file)


def endings(printed: str) -> set[str]:
    """What was said of each object."""
    return {line.rpartition(" ")[2] for line in printed.splitlines()}


def test_a_file_of_everything(kubectl: Kubectl, everything: str) -> None:
    count = len(json.loads(everything)["items"])
    printed = kubectl.apply(everything)
    assert endings(printed) == {"created"} and printed.count("\n") == count
    # What fills in defaults within a list that is replaced as a whole is written again.
    assert endings(kubectl.apply(everything)) <= {"unchanged", "configured"}
    assert kubectl("diff", "-f", "-", input=everything) == ""
    names = kubectl("get", "-f", "-", "-o", "name", input=everything).split()
    assert len(set(names)) == count
    printed = kubectl("label", "-f", "-", "seen=yes", input=everything)
    assert endings(printed) == {"labeled"} and printed.count("\n") == count
    printed = kubectl.apply(everything, "--server-side", "--force-conflicts")
    assert endings(printed) == {"serverside-applied"} and printed.count("\n") == count
    tables = kubectl("get", "-f", "-", input=everything).strip().split("\n\n")
    assert len(tables) == count
    assert all(table.startswith(("NAME", "LAST SEEN")) for table in tables)


def test_describe_everything(kubectl: Kubectl, everything: str) -> None:
    kubectl("create", "-f", "-", input=everything)
    items = [
        item
        for item in json.loads(everything)["items"]
        if kubectl.version >= DESCRIBED_SINCE.get(item["kind"], (1, 0))
    ]
    file = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    told = kubectl("describe", "-f", "-", input=file)
    names = re.findall(r"^Name: +(\S+)$", told, re.MULTILINE)
    assert sorted(names) == sorted(item["metadata"]["name"] for item in items)
    for words in TOLD:
        assert re.search(words, told), words


def test_webhooks_come_and_go(kubectl: Kubectl) -> None:
    file = file_of(kubectl, [one for one in RESOURCES if one.kind in APART])
    assert endings(kubectl.apply(file)) == {"created"}
    assert endings(kubectl.apply(file)) <= {"unchanged", "configured"}
    assert kubectl("diff", "-f", "-", input=file) == ""
    assert "Failure Policy" in kubectl("describe", "-f", "-", input=file)
    delete(kubectl, file)


def test_explain_everything(kubectl: Kubectl) -> None:
    """By the oldest kubectl, which reads OpenAPI v2, and by the one of the PATH, which reads v3."""
    if kubectl.version > (1, 25) and kubectl.program != installed()[0]:
        pytest.skip("one kubectl of each sort is enough")
    for resource in (*RESOURCES, *ALTERNATES, *REVIEWS):
        asked = ["explain", resource.plural, f"--api-version={resource.api_version}"]
        printed = kubectl(*asked, "--recursive")
        head, _, fields = printed.partition("FIELDS:")
        assert re.search(rf"^KIND: +{resource.kind}$", head, re.MULTILINE), printed
        assert re.search(r"^DESCRIPTION:\n +\S", head, re.MULTILINE), head
        if "spec" in fields:
            assert re.search(r"^ +(spec|metadata)\t<\w+>", fields, re.MULTILINE), fields
        assert "<empty>" not in printed and "<any>" not in printed
