"""Bodies for the fuzzing of the API: sound, nearly sound and hostile, from the server's own schemas.

Everything comes from one `random.Random`, so a seed tells all of it. An object is made as a tree, of a
sound example of its kind or by its schema alone, then perhaps spoilt (`spoil`), then written down in one
of the notations (`written`), which has ways of its own to be wrong.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.protobuf import varint

Tree = Any
Schemas = dict[str, Any]

TEXTS = (
    "", "a", "b", "default", "fuzz", "web", "10.96.0.7", "192.0.2.1", "fd00::1", "10.0.0.0/24", "80",
    "http", "TCP", "UDP", "100m", "1Gi", "-1", "1e3", "1e400", "0x10", "nan", "25%", "101%", "/", "/a/b",
    "../x", "a.b/c", "example.com/x", "kubernetes.io/hostname", "metadata.name", "Always", "Never", "In",
    "Exists", "Equal", "NoSchedule", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000006Z",
    "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59", "null", "true", "~", "=", "*", "(",
    "[a-z", "\\", '"', "\x00", "\x7f", "\u202e", "é", "\U0001f600", "\ufeff", "ß" * 64, "x" * 64, "x" * 254,
    "A" * 5000, "%s%n", "${x}", "{{.}}", "a\nb", " a ", "AA==", "AA=", "a,b", "a=b", "!a", "a in (b)",
    "https://127.0.0.1:1/", "* * * * *", "@daily", "v1", "apps/v1", "Pod", "system:masters", "self == 1",
)  # fmt: skip
NAMES = ("a", "a", "a", "a", "b", "b", "c", "d.e", "fuzz", "default", "web")
NUMBERS = (
    0, 1, -1, 2, 3, 80, 443, 30000, 65535, 65536, 511, 1023, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1,
    2**63 - 1, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e300, 1.5,
)  # fmt: skip
JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
WRONG_TYPES = (
    "", "text/plain", "application/xml", "application/cbor", "multipart/form-data; boundary=x",
    "application/json; charset=utf-16", "APPLICATION/JSON", "application/json;q=", ";", "a" * 300,
    "application/x-www-form-urlencoded", "application/apply-patch+cbor", "*/*",
)  # fmt: skip
DEEPEST = 8


class Bodies:
    """Makes trees by the schemas of the served documents, and bytes of them."""

    def __init__(self, source: random.Random, schemas: Schemas, sound: Mapping[str, Tree]) -> None:
        self.random = source
        self._schemas = schemas
        self._sound = sound

    def text(self) -> str:
        return self.random.choice(TEXTS)

    def chance(self, of_hundred: int) -> bool:
        return self.random.randrange(100) < of_hundred

    def anything(self, depth: int = 0) -> Tree:
        """A tree without a schema."""
        kind = self.random.randrange(8 if depth < 4 else 6)
        if kind < 3:
            return self.text()
        if kind < 4:
            return self.random.choice(NUMBERS)
        if kind < 6:
            return self.random.choice((None, True, False, {}, []))
        count = self.random.randrange(4)
        if kind == 6:
            return [self.anything(depth + 1) for _ in range(count)]
        return {self.text(): self.anything(depth + 1) for _ in range(count)}

    def of_schema(self, schema: dict[str, Any], depth: int = 0) -> Tree:
        """What a schema describes: required fields always, others now and then."""
        schema = self._resolved(schema)
        if values := schema.get("enum"):
            return self.random.choice(values)
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                count = self.random.choice((0, 1, 1, 1, 2, 3)) if depth < DEEPEST else 0
                return [self.of_schema(schema.get("items", {}), depth + 1) for _ in range(count)]
            case "string":
                return self.random.choice(NAMES) if self.chance(50) else self.text()
            case "integer":
                return self.random.choice((0, 1, 2, 5, 80, 443, 600, 30000, -1, 2**31 - 1))
            case "number":
                return self.random.choice((0, 1, 0.5, -1))
            case "boolean":
                return self.chance(50)
        if "anyOf" in schema or "oneOf" in schema or schema.get("x-kubernetes-int-or-string"):
            return self.random.choice((80, "http", "25%", "1Gi", 0))
        return self.anything(2)

    def _object(self, schema: dict[str, Any], depth: int) -> Tree:
        properties: dict[str, Any] = schema.get("properties", {})
        required = schema.get("required", ())
        tree = {
            name: self.of_schema(inner, depth + 1)
            for name, inner in properties.items()
            if name in required or (depth < DEEPEST and self.chance(60 if depth < 2 else 22))
        }
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            for _ in range(self.random.choice((0, 1, 1, 2))):
                tree[self.text()] = self.of_schema(more, depth + 1)
        return tree

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        for part in schema.get("allOf", ()):
            schema = {**part, **schema}
        reference = schema.get("$ref", "")
        found: dict[str, Any] = self._schemas.get(reference.rpartition("/")[2], schema)
        return found

    def object(self, schema: dict[str, Any], gvk: dict[str, str]) -> Tree:
        """An object that says what it is, under a name that others use, too."""
        sample = self._sound.get(gvk.get("kind", "")) if self.chance(65) else None
        if sample is not None:
            tree = copy.deepcopy(sample)
            tree.pop("status", None)
            tree["metadata"].pop("namespace", None)
            if self.chance(60):
                tree["metadata"]["name"] = self.random.choice(NAMES)
            if self.chance(70):
                return tree
            return self._laid_over(tree, self.of_schema(schema, DEEPEST - 3))
        tree = self.of_schema(schema)
        if not isinstance(tree, dict):
            return tree
        group, version = gvk.get("group", ""), gvk.get("version", "v1")
        if self.chance(95):
            tree["apiVersion"] = f"{group}/{version}" if group else version
            tree["kind"] = gvk.get("kind", "")
        if "metadata" in tree or self.chance(90):
            tree["metadata"] = self._metadata(tree.get("metadata"))
        return tree

    def _laid_over(self, tree: Tree, more: Tree) -> Tree:
        """A sound object with some further fields, which may contradict it."""
        if not isinstance(tree, dict) or not isinstance(more, dict):
            return more if self.chance(50) else tree
        for name, value in more.items():
            if name not in ("metadata", "apiVersion", "kind"):
                tree[name] = self._laid_over(tree[name], value) if name in tree else value
        return tree

    def _metadata(self, made: Tree) -> Tree:
        metadata: dict[str, Any] = {"name": self.random.choice(NAMES)}
        if self.chance(10):
            metadata = {"generateName": self.text()}
        if self.chance(20):
            metadata["labels"] = {
                self.random.choice(("a", "app")): self.random.choice(("b", "web"))
            }
        if self.chance(15) and isinstance(made, dict):
            metadata |= made
            metadata.pop("namespace", None)
            metadata.pop("finalizers", None)
        if self.chance(10):
            metadata["resourceVersion"] = self.random.choice(("1", "0", "99999999999", "x"))
        return metadata

    def spoil(self, tree: Tree) -> Tree:
        """The tree with one of its parts replaced, gone or doubled. The tree itself is changed."""
        places: list[tuple[Any, Any]] = []
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict | list):
                keys = node.keys() if isinstance(node, dict) else range(len(node))
                places += [(node, key) for key in keys]
                waiting += [node[key] for key in keys]
        if not places:
            return self.anything()
        node, key = self.random.choice(places)
        what = self.random.randrange(6)
        if what == 0:
            del node[key]
        elif what == 1 and isinstance(node, dict):
            node[self.text()] = node[key]
        elif what == 2 and isinstance(node, list):
            node += node * self.random.choice((1, 3))
        elif what == 3:
            node[key] = self.nested(self.random.choice((3, 60, 190, 210, 400)))
        elif what == 4:
            node[key] = None
        else:
            node[key] = self.anything()
        return tree

    def nested(self, depth: int) -> Tree:
        tree: Tree = self.text()
        for _ in range(depth):
            tree = {"a": tree} if self.chance(50) else [tree]
        return tree

    def written(self, tree: Tree) -> tuple[bytes, str]:
        """Bytes and what they are said to be."""
        kind = self.random.randrange(100)
        if kind < 60:
            return self.json(tree), JSON
        if kind < 75:
            return self.yaml(tree), YAML
        if kind < 85:
            return self.protobuf(tree), PROTOBUF
        if kind < 93:
            return self.json(tree), self.random.choice((*WRONG_TYPES, *PATCHES, YAML, PROTOBUF))
        return self.noise(), self.random.choice((JSON, YAML, PROTOBUF, *PATCHES, *WRONG_TYPES))

    def json(self, tree: Tree) -> bytes:
        body = json.dumps(tree, ensure_ascii=self.chance(50)).encode("utf-8", "surrogatepass")
        if self.chance(85):
            return body
        at = self.random.randrange(len(body) + 1)
        inserted = self.random.choice(
            (b"", b"\xff", b"\\ud800", b"NaN", b"Infinity", b"1e999", b"{", b"}", b",", b'"', b"\x00",
             b'"a":1,"a":2,', b"9" * 5000, b"[" * 3000, b"/* */", b"\xef\xbb\xbf")
        )  # fmt: skip
        if self.chance(30):
            return body[:at]
        return body[:at] + inserted + body[at:]

    def yaml(self, tree: Tree) -> bytes:
        body = json.dumps(tree).encode()
        if (
            self.chance(70) and body.count(b"[") + body.count(b"{") < 150
        ):  # else too deep for the library
            body = msgspec.yaml.encode(tree)
        if self.chance(80):
            return body
        more = self.random.choice(
            (b"\n---\n", b"\n...\n", b"\n\t", b"\n- a\n", b"\n? a\n", b" &a [*a]\n", b"\n<<: {a: b}\n",
             b"\na: *x\n", b"\n!!python/object:os.system {}\n", b"\n%YAML 9.9\n", b"\nb: |\n  x\n y\n",
             b"\nb: 1:30:20\n", b"\nb: 0o17\n", b"\nb: .nan\n", b"\nb: 2026-01-01\n", b"\xff\xfe", b"\x00")
        )  # fmt: skip
        if self.chance(20):
            return bomb(self.random.choice((3, 9, 12)))
        return body + more if self.chance(50) else more + body

    def protobuf(self, tree: Tree) -> bytes:
        """Kubernetes' envelope around records that mean little, cut somewhere perhaps."""
        named = tree if isinstance(tree, dict) else {}
        type_meta = self._field(1, str(named.get("apiVersion", "")).encode("utf-8", "replace"))
        type_meta += self._field(2, str(named.get("kind", "")).encode("utf-8", "replace"))
        raw = b"".join(self._record(0) for _ in range(self.random.randrange(4)))
        body = b"k8s\x00" + self._field(1, type_meta) + self._field(2, raw)
        if self.chance(20):
            body += self._field(3, b"gzip")
        return body[: self.random.randrange(len(body))] if self.chance(15) else body

    def _record(self, depth: int) -> bytes:
        number, kind = self.random.randrange(1, 30), self.random.randrange(6)
        if depth < 5 and self.chance(60):
            inner = b"".join(self._record(depth + 1) for _ in range(self.random.randrange(4)))
            return self._field(number, inner)
        if kind == 0:
            return varint(number << 3) + varint(self.random.getrandbits(64))
        if kind == 1:
            return varint(number << 3 | 1) + self.random.randbytes(8)
        if kind == 2:
            return self._field(number, self.text().encode())
        if kind == 5:
            return varint(number << 3 | 5) + self.random.randbytes(4)
        return varint(number << 3 | kind) + self.random.randbytes(self.random.randrange(6))

    def _field(self, number: int, content: bytes) -> bytes:
        size = len(content) if self.chance(98) else self.random.getrandbits(63)
        return varint(number << 3 | 2) + varint(size) + content

    def noise(self) -> bytes:
        what = self.random.randrange(7)
        if what == 0:
            return self.random.randbytes(self.random.randrange(200))
        if what == 1:
            return b"[" * 100_000 if self.chance(50) else b'{"a":' * 100_000
        if what == 2:
            return gzip.compress(b"{}")
        if what == 3:
            return b" " * 10_000
        if what == 4:
            return bomb(9)
        if what == 5:
            return b"- " * 5_000 + b"a"
        return self.random.choice(
            (b"", b"null", b"[]", b"1", b'"a"', b"{", b"k8s\x00", b"\x00" * 100)
        )

    def patch(self, schema: dict[str, Any], gvk: dict[str, str]) -> tuple[bytes, str]:
        """A patch of one of the four types, of this kind or of nothing."""
        content_type = self.random.choice(PATCHES)
        tree: Tree
        if content_type == PATCHES[0]:
            tree = [self._operation() for _ in range(self.random.randrange(5))]
        elif content_type == PATCHES[3]:
            tree = self.object(schema, gvk)
        else:
            tree = (
                self.object(schema, gvk)
                if self.chance(60)
                else {"metadata": {"labels": {"a": None}}}
            )
            if content_type == PATCHES[2] and self.chance(50):
                self._direct(tree)
        if self.chance(30):
            tree = self.spoil(tree)
        if self.chance(8):
            return self.noise(), content_type
        if content_type == PATCHES[3] and self.chance(50):
            return self.yaml(tree), content_type
        return self.json(tree), content_type

    def _operation(self) -> Tree:
        pointer = self.random.choice(
            ("", "/", "/metadata", "/metadata/labels", "/metadata/labels/a~1b", "/spec", "/spec/containers/0",
             "/spec/containers/-", "/spec/containers/99999999999999999999", "/data", "/data/a", "/a/b/c/d",
             "/metadata/name", "/kind", "a", "/~", "/~2", "/spec/containers/-1", "/spec/containers/01")
        )  # fmt: skip
        operation = {
            "op": self.random.choice(("add", "remove", "replace", "move", "copy", "test", "x")),
            "path": pointer,
        }
        if self.chance(70):
            operation["value"] = self.anything(1)
        if self.chance(40):
            operation["from"] = self.random.choice(
                ("/metadata", "/spec", "", "/data/a", "/metadata/x")
            )
        return operation

    def _direct(self, tree: Tree) -> None:
        """Put directives of strategic merge patches somewhere."""
        node = tree
        while isinstance(node, dict) and node and self.chance(70):
            inner = self.random.choice(list(node.values()))
            node = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(node, dict):
            name, value = self.random.choice(
                (("$patch", "delete"), ("$patch", "replace"), ("$patch", "merge"), ("$patch", "x"),
                 ("$retainKeys", ["a"]), ("$retainKeys", 1), ("$setElementOrder/containers", [{"name": "a"}]),
                 ("$setElementOrder/finalizers", ["a"]), ("$deleteFromPrimitiveList/finalizers", ["a"]),
                 ("$setElementOrder/containers", [1]), ("$deleteFromPrimitiveList/x", {}), ("$x", None))
            )  # fmt: skip
            node[name] = value


def bomb(levels: int) -> bytes:
    """YAML of a few hundred bytes that would be billions of nodes."""
    lines = [b"a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    for level in range(1, levels):
        references = b",".join([b"*a%d" % (level - 1)] * 9)
        lines.append(b"a%d: &a%d [%b]" % (level, level, references))
    return b"\n".join(lines) + b"\n"
