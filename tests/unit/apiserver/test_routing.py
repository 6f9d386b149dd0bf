"""Paths, Accept headers and queries: tables."""

from __future__ import annotations

import pytest

from api.errors import ApiError
from api.scheme import SERVED, Catalogue
from control.apiserver.http.negotiation import Form, Shape, negotiate, parse_accept
from control.apiserver.http.query import Query
from control.apiserver.http.routing import resolve, segments, verb

CATALOGUE = Catalogue(SERVED)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("pods", "", "", "")),
        ("/api/v1/namespaces/ns/pods", ("pods", "ns", "", "")),
        ("/api/v1/namespaces/ns/pods/p", ("pods", "ns", "p", "")),
        ("/api/v1/namespaces/ns/pods/p/log", ("pods", "ns", "p", "log")),
        ("/api/v1/namespaces", ("namespaces", "", "", "")),
        ("/api/v1/namespaces/ns", ("namespaces", "", "ns", "")),
        ("/api/v1/namespaces/ns/status", ("namespaces", "", "ns", "status")),
        ("/api/v1/namespaces/ns/finalize", ("namespaces", "", "ns", "finalize")),
        ("/api/v1/nodes/n/status", ("nodes", "", "n", "status")),
        ("/apis/apps/v1/namespaces/ns/deployments/d/scale", ("deployments", "ns", "d", "scale")),
        ("/api/v1/watch/namespaces/ns/pods", ("pods", "ns", "", "")),
        ("/api/v1/namespaces/ns/pods/a%2Fb", ("pods", "ns", "a/b", "")),
    ],
)
def test_paths_of_resources(path: str, expected: tuple[str, ...]) -> None:
    target = resolve(segments(path), CATALOGUE)
    assert target is not None
    assert (target.resource.plural, target.namespace, target.name, target.subresource) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/pods",
        "/apis/apps/v1",
        "/apis/apps/v2/deployments",
        "/apis/none/v1/things",
        "/api/v1/nonsense",
        "/api/v1/pods/p",  # a namespaced object without its namespace
        "/api/v1/namespaces/ns/nodes/n",
        "/api/v1/namespaces/ns/pods/p/nonsense",
        "/api/v1/namespaces/ns/pods//status",  # of nobody: or a DELETE would be of all of them
        "/api/v1/namespaces/ns/pods//binding",
        "/api/v1/nodes//status",
        "/apis/apps/v1/namespaces/ns",
        "/metrics",
    ],
)
def test_paths_of_nothing(path: str) -> None:
    assert resolve(segments(path), CATALOGUE) is None


@pytest.mark.parametrize(
    ("method", "path", "watch", "expected"),
    [
        ("GET", "/api/v1/pods", False, "list"),
        ("GET", "/api/v1/pods", True, "watch"),
        ("HEAD", "/api/v1/pods", False, "list"),
        ("GET", "/api/v1/namespaces/ns/pods/p", False, "get"),
        ("GET", "/api/v1/namespaces/ns/pods/p", True, "watch"),
        ("POST", "/api/v1/namespaces/ns/pods", False, "create"),
        ("POST", "/api/v1/namespaces/ns/pods/p", False, ""),
        ("POST", "/api/v1/namespaces/ns/pods/p/binding", False, "create"),
        ("PUT", "/api/v1/namespaces/ns/pods/p/status", False, "update"),
        ("PUT", "/api/v1/namespaces/ns/pods", False, ""),
        ("PATCH", "/api/v1/namespaces/ns/pods/p/log", False, ""),
        ("DELETE", "/api/v1/namespaces/ns/pods", False, "deletecollection"),
        ("DELETE", "/api/v1/namespaces", False, ""),
        ("TRACE", "/api/v1/pods", False, ""),
    ],
)
def test_verbs(method: str, path: str, watch: bool, expected: str) -> None:
    target = resolve(segments(path), CATALOGUE)
    assert target is not None
    assert verb(method, target, watch=watch) == expected


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/json", Form()),
        ("application/vnd.kubernetes.protobuf,application/json", Form()),
        ("application/vnd.kubernetes.protobuf", None),
        ("application/cbor", None),
        ("application/yaml", Form(media_type="application/yaml")),
        (f"{TABLE},application/json", Form(Shape.TABLE)),
        (f"application/json;q=0.1,{TABLE};q=0.9", Form(Shape.TABLE)),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form()),
        ("application/json;as=Table;v=v1;g=example.com", None),
        (
            "application/json;as=Table;g=meta.k8s.io;v=v1beta1",
            Form(Shape.TABLE, version="v1beta1"),
        ),
        ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Form(Shape.PARTIAL)),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Form(Shape.PARTIAL)),
    ],
)
def test_forms(accept: str, expected: Form | None) -> None:
    assert negotiate(accept) == expected


def test_clauses_come_in_the_order_of_their_weight() -> None:
    clauses = parse_accept("a/b;q=0.5, c/d, e/f;q=nonsense;x=y")
    assert clauses == [("c/d", {}), ("e/f", {"x": "y"}), ("a/b", {})]


def test_queries_are_typed() -> None:
    query = Query("a=1&b=&c=true&d=0&e=x&e=y&t=99999999999999&n=-5")
    assert query.integer("a") == 1 and query.integer("b") is None and query.integer("z") is None
    assert query.flag("c") and not query.flag("d") and not query.flag("b") and not query.flag("z")
    assert query.many("e") == ["x", "y"] and query.text("e") == "x"
    assert query.seconds("t") == 2**31 and query.seconds("n") is None
    with pytest.raises(ApiError, match="query parameter e"):
        query.integer("e")


def test_a_query_with_too_many_fields_is_refused() -> None:
    with pytest.raises(ApiError):
        Query("&".join(f"a{n}=1" for n in range(5000)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 60), ("0", 60), ("0s", 60), ("-5s", 60), ("1s", 1), ("1m", 60), ("3600s", 60),
        ("1.5s", 1.5), (".5s", 0.5), ("500ms", 0.5), ("1h0m", 60), ("%2B1s", 1), ("10us", 1e-5),
        ("1%C2%B5s", 1e-6), ("20ns", 2e-8), ("1s500ms", 1.5),
    ],
)  # fmt: skip
def test_how_long_a_client_waits(text: str, seconds: float) -> None:
    assert Query(f"timeout={text}").timeout(60) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["invalid", "1", "1d", "s", "-", "1s2", "1 s", "1e3s", "1" * 999])
def test_a_timeout_that_is_none(text: str) -> None:
    with pytest.raises(ApiError, match="^invalid timeout specified in the request URL") as caught:
        Query(f"timeout={text}").timeout(60)
    assert caught.value.code == 400
