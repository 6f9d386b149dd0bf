from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import PermanentError
from cli import manifests
from local.host import images

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))

CONFIG = b"""
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: x}
"""


def test_documents_of_a_stream_and_of_a_list() -> None:
    text = (
        CONFIG
        + b"---\n# nothing\n---\n"
        + b"""
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: b}}
  - {apiVersion: apps/v1, kind: Deployment, metadata: {name: c}}
"""
    )
    found = manifests.parse(text, "f")
    assert [(str(d), d.namespace) for d in found] == [
        ("configmap/a", "x"),
        ("namespace/b", ""),
        ("deployment/c", "default"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"- a", "expected an object, found list"),
        (b"kind: Pod\napiVersion: v2\nmetadata: {name: x}", "there is no kind 'Pod'"),
        (b"kind: Pod\napiVersion: v1\nmetadata: {generateName: x}", "metadata.name: Required"),
        (b"kind: Pod\napiVersion: v1\nmetadata: [", "f"),
    ],
)
def test_what_cannot_be_sent_is_blamed_on_its_document(text: bytes, words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        manifests.parse(text, "f")
    assert words in caught.value.message
    assert "f" in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="cannot read"):
        manifests.read([tmp_path / "none.yaml"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_need_no_registry(path: Path) -> None:
    documents = manifests.read([path])
    assert documents
    assert manifests.images(documents) <= set(images.OURS)
