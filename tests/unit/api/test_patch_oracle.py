"""Strategic merge held against kubectl, whose `patch --local` is Kubernetes' own implementation.

Chosen cases, then random ones: 5 in a short run, 300 in a long one. Left out are patches on which
kubectl stops ("no elements in any of the given slices") and results in which it leaves directives
inside new elements; both are faults that we do not want to share. And no patch both deletes from a
list and adds to it: where Kubernetes puts the new element then follows from Go's reuse of memory.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from api.core import Pod, Service
from api.patch import strategic

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "labels": {"a": "1", "b": "2"},
        "finalizers": ["x/a", "x/b", "x/c"],
    },
    "spec": {
        "containers": [
            {"name": "a", "image": "i", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}]},
            {"name": "b", "image": "j", "ports": [{"containerPort": 80}, {"containerPort": 81}]},
        ],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/x"}}],
        "nodeSelector": {"zone": "a"},
    },
}  # fmt: skip
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s"},
    "spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]},
}
CASES: list[tuple[Any, Any]] = [
    (POD, {"metadata": {"labels": {"a": None, "c": "3"}}}),
    (POD, {"spec": {"containers": [{"name": "a", "image": "new"}]}}),
    (POD, {"spec": {"containers": [{"name": "c", "image": "k"}]}}),
    (POD, {"spec": {"containers": [{"name": "b", "$patch": "delete"}]}}),
    (POD, {"spec": {"containers": [{"$patch": "replace"}, {"name": "z", "image": "q"}]}}),
    (POD, {"spec": {"containers": [{"name": "a", "env": [{"name": "F", "value": "9"}, {"name": "G"}]}]}}),
    (POD, {"spec": {"containers": [{"name": "a", "env": None}]}}),
    (POD, {"spec": {"containers": [{"name": "b", "ports": [{"containerPort": 80, "protocol": "UDP"}]}]}}),
    (POD, {"spec": {"tolerations": [{"key": "n"}]}}),
    (POD, {"spec": {"nodeSelector": {"$patch": "replace", "disk": "ssd"}}}),
    (POD, {"spec": {"nodeSelector": {"$patch": "delete"}}}),
    (POD, {"spec": {"nodeSelector": None}}),
    (POD, {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"],
                                 "configMap": {"name": "m"}}]}}),
    (POD, {"metadata": {"finalizers": ["x/d"]}}),
    (POD, {"metadata": {"finalizers": ["x/b", "x/e"]}}),
    (POD, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/b"]}}),
    (POD, {"metadata": {"$setElementOrder/finalizers": ["x/c", "x/a"], "finalizers": ["x/c"]}}),
    (POD, {"metadata": {"$setElementOrder/finalizers": ["x/c", "x/a"],
                        "$deleteFromPrimitiveList/finalizers": ["x/b"]}}),
    (POD, {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}),
    (POD, {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "n"}, {"name": "a"}],
                    "containers": [{"name": "n", "image": "q"}]}}),
    (POD, {"spec": {"$setElementOrder/containers": [{"name": "a"}],
                    "containers": [{"name": "a", "image": "q"}]}}),
    (POD, {"spec": {"$setElementOrder/containers": [{"name": "a"}],
                    "containers": [{"name": "a", "$setElementOrder/env": [{"name": "G"}, {"name": "E"}],
                                    "env": [{"name": "G", "value": "7"},
                                            {"$patch": "delete", "name": "F"}]}]}}),
    (POD, {"spec": {"initContainers": [{"name": "i", "image": "x", "env": None}]}}),
    (POD, {"spec": {"affinity": {"nodeAffinity": {}}}}),
    (POD, {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]}}),
    (SERVICE, {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}),
    (SERVICE, {"spec": {"$setElementOrder/ports": [{"port": 443}, {"port": 8080}],
                        "ports": [{"port": 8080, "name": "x"}, {"port": 80, "$patch": "delete"}]}}),
    (SERVICE, {"spec": {"selector": {"a": "b"}}}),
    (SERVICE, {"spec": {"ports": []}}),
]  # fmt: skip
TYPES: dict[str, Any] = {"Pod": Pod, "Service": Service}


@cache
def kubectl() -> str:
    found = shutil.which("kubectl")
    if found is None:
        return ""
    shown = subprocess.run(
        [found, "version", "--client", "--output=json"], capture_output=True, text=True, check=False
    ).stdout
    minor = re.search(r'"minor": *"(\d+)', shown)
    return found if minor and int(minor[1]) >= 28 else ""


def asked(tree: Any, patch: Any, folder: Path) -> Any:
    """What kubectl makes of it; None where it should not be followed."""
    if not kubectl():
        pytest.skip("the oracle is kubectl 1.28 or later")
    manifest = folder / "object.json"
    manifest.write_text(json.dumps(tree))
    done = subprocess.run(
        [kubectl(), "patch", "--local", "-f", manifest, "-p", json.dumps(patch), "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(folder), "KUBECONFIG": str(folder / "none")},
    )
    if "no elements in any of the given slices" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return None if '"$' in done.stdout else normal(json.loads(done.stdout))


def normal(tree: Any) -> Any:
    """kubectl prints Go's empty structs; what is empty says nothing."""
    if isinstance(tree, dict):
        kept = {key: normal(value) for key, value in tree.items()}
        return {key: value for key, value in kept.items() if value not in (None, {}, [], 0, "")}
    if isinstance(tree, list):
        return [normal(item) for item in tree]
    return tree


@pytest.mark.parametrize(("tree", "patch"), CASES, ids=range(len(CASES)))
def test_chosen(tree: Any, patch: Any, tmp_path: Path) -> None:
    expected = asked(tree, patch, tmp_path)
    assert expected is not None
    assert normal(strategic.apply(tree, patch, TYPES[tree["kind"]])) == expected


def test_random(long_run: bool, tmp_path: Path) -> None:
    for seed in range(300 if long_run else 5):
        dice = Dice(seed)
        tree = dice.pod()
        patch = dice.patch(tree)
        expected = asked(tree, patch, tmp_path)
        if expected is not None:
            assert normal(strategic.apply(tree, patch, Pod)) == expected, (seed, tree, patch)


class Dice(random.Random):
    """Pods and patches that could be, the same for the same seed."""

    def chance(self, share: float) -> bool:
        return self.random() < share

    def named(self, letters: str, **fields: Any) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for _ in range(self.randint(0, 3)):
            name = self.choice(letters)
            chosen = {key: make() for key, make in fields.items() if self.chance(0.5)}
            found.setdefault(name, {"name": name, **chosen})
        return list(found.values())

    def env(self) -> list[dict[str, Any]]:
        return self.named("EFGH", value=lambda: self.choice("123"))

    def containers(self) -> list[dict[str, Any]]:
        return self.named(
            "abcd",
            image=lambda: self.choice("xyz"),
            env=self.env,
            args=lambda: self.choices("pq", k=self.randint(0, 2)),
        )

    def finalizers(self) -> list[str]:
        return list(dict.fromkeys(f"x/{self.choice('abcd')}" for _ in range(self.randint(0, 3))))

    def labels(self, values: list[str | None]) -> dict[str, str | None]:
        return {key: self.choice(values) for key in "abc" if self.chance(0.5)}

    def pod(self) -> Any:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "p",
                "labels": self.labels(["1", "2"]),
                "finalizers": self.finalizers(),
            },
            "spec": {"containers": self.containers(), "nodeSelector": self.labels(["1", "2"])},
        }

    def patch(self, pod: Any) -> Any:
        metadata: dict[str, Any] = {}
        spec: dict[str, Any] = {}
        if self.chance(0.4):
            metadata["labels"] = self.labels(["1", "2", None])
        if self.chance(0.3):
            choices = [None, {"$patch": "replace", "z": "1"}, {"a": "9"}, {"$patch": "delete"}]
            spec["nodeSelector"] = self.choice(choices)
        self._finalizers(metadata, pod["metadata"]["finalizers"])
        if self.chance(0.8):
            existing = pod["spec"]["containers"]
            changed = self.containers()
            for container in changed:
                was = next((c for c in existing if c["name"] == container["name"]), {})
                if "env" in container and self.chance(0.5):
                    self._list(container, "env", container["env"], was.get("env", []))
            self._list(spec, "containers", changed, existing)
        return {"metadata": metadata, "spec": spec}

    def _finalizers(self, metadata: dict[str, Any], existing: list[str]) -> None:
        if self.chance(0.4):
            metadata["finalizers"] = self.finalizers()
        if self.chance(0.3):
            # Never what the same patch adds: which of the two wins is chance in Kubernetes.
            added = metadata.get("finalizers", [])
            gone = [item for item in self.finalizers() if item not in added]
            metadata["$deleteFromPrimitiveList/finalizers"] = gone
        if self.chance(0.3):
            order = list(metadata.get("finalizers", []))
            self._mix_in(order, [item for item in existing if item not in order])
            metadata["$setElementOrder/finalizers"] = order

    def _list(self, parent: dict[str, Any], field: str, items: list[Any], was: list[Any]) -> None:
        changes = [
            {"name": item["name"], "$patch": "delete"} if self.chance(0.2) else item
            for item in items
        ]
        if any("$patch" in item for item in changes):
            there = [item["name"] for item in was]
            changes = [item for item in changes if item["name"] in there or "$patch" in item]
        parent[field] = changes
        if self.chance(0.1):
            changes.insert(self.randint(0, len(changes)), {"$patch": "replace"})
        elif self.chance(0.5):
            order = [item["name"] for item in changes if "$patch" not in item]
            touched = [item["name"] for item in changes]
            self._mix_in(order, [item["name"] for item in was if item["name"] not in touched])
            parent[f"$setElementOrder/{field}"] = [{"name": name} for name in order]

    def _mix_in(self, order: list[str], others: list[str]) -> None:
        self.shuffle(others)
        for other in others[: self.randint(0, len(others))]:
            order.insert(self.randint(0, len(order)), other)
