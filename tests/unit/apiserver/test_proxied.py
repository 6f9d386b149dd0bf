"""What a proxy's name means, what passes through it, and what does not."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from api.core import (
    Container,
    ContainerPort,
    ObjectReference,
    Pod,
    PodSpec,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from api.errors import ApiError
from api.meta import ObjectMeta
from control.apiserver.agents import forwarding, proxied
from control.apiserver.agents.forwarding import Destination
from control.apiserver.agents.proxied import Named, Place


async def _nowhere() -> forwarding.Streams:
    raise AssertionError("not dialled")


HERE = Destination("http", "10.1.2.3:8080", _nowhere)
PREFIX = "/api/v1/namespaces/ns/pods/p/proxy"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("web", Named("http", "web", "")),
        ("web:80", Named("http", "web", "80")),
        ("web:", Named("http", "web", "")),
        ("https:web:", Named("https", "web", "")),
        ("https:web:admin", Named("https", "web", "admin")),
        (":web:80", Named("http", "web", "80")),
    ],
)
def test_names(text: str, named: Named) -> None:
    assert proxied.parse_name("service", text) == named


@pytest.mark.parametrize("text", ["", ":80", "ftp:web:80", "a:b:c:d", "https::80"])
def test_no_names(text: str) -> None:
    with pytest.raises(ApiError, match="invalid service request"):
        proxied.parse_name("service", text)


def pod(*ports: ContainerPort) -> Pod:
    container = Container(name="c", image="i", ports=list(ports))
    return Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=[container]))


def test_the_port_of_a_pod() -> None:
    two = pod(ContainerPort(container_port=8080), ContainerPort(container_port=9090, name="admin"))
    assert proxied.pod_port(two, Named("http", "p", "")) == 8080
    assert proxied.pod_port(two, Named("http", "p", "admin")) == 9090
    assert proxied.pod_port(two, Named("http", "p", "81")) == 81
    assert proxied.pod_port(pod(), Named("https", "p", "")) == 443
    with pytest.raises(ApiError, match="has no port 'x'"):
        proxied.pod_port(two, Named("http", "p", "x"))


def service(*ports: tuple[str, int]) -> Service:
    made = [ServicePort(name=name, port=port) for name, port in ports]
    return Service(metadata=ObjectMeta(name="web"), spec=ServiceSpec(ports=made))


def test_the_port_of_a_service() -> None:
    assert proxied.service_port_name(service(("http", 80)), Named("http", "web", "")) == "http"
    two = service(("a", 80), ("b", 81))
    assert proxied.service_port_name(two, Named("http", "web", "81")) == "b"
    assert proxied.service_port_name(two, Named("http", "web", "a")) == "a"
    with pytest.raises(ApiError, match='no service port "c" found for service "web"') as caught:
        proxied.service_port_name(two, Named("http", "web", "c"))
    assert caught.value.code == 503
    with pytest.raises(ApiError, match="no service port"):
        proxied.service_port_name(two, Named("http", "web", ""))


def test_only_ready_endpoints_with_the_port() -> None:
    pod_ref = ObjectReference(kind="Pod", name="p")
    ends = [
        Endpoint(addresses=["10.0.0.1"], target_ref=pod_ref),
        Endpoint(addresses=["10.0.0.2"], conditions=EndpointConditions(ready=False)),
        Endpoint(addresses=["192.0.2.1"], conditions=EndpointConditions(ready=True)),
    ]
    ports = [EndpointPort(name="http", port=8080), EndpointPort(name="other", port=1)]
    one = EndpointSlice(
        metadata=ObjectMeta(name="s", namespace="ns"),
        address_type="IPv4",
        endpoints=ends,
        ports=ports,
    )
    assert list(proxied.places([one], "http")) == [
        Place("10.0.0.1", 8080, "ns", "p"),
        Place("192.0.2.1", 8080),
    ]


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "169.254.169.254", "::1", "224.0.0.1", "0.0.0.0", "x"]
)
def test_addresses_that_are_not_connected_to(text: str) -> None:
    with pytest.raises(ApiError, match="address not allowed"):
        proxied.check_address(text)


@pytest.mark.parametrize(
    ("path", "namespaced", "rest"),
    [
        (PREFIX, True, ""),
        (PREFIX + "/", True, "/"),
        (PREFIX + "/a%2Fb//c/", True, "/a%2Fb//c/"),
        ("/api/v1/nodes/n/proxy/healthz", False, "/healthz"),
        ("/api/v1/nodes/n/proxy", False, ""),
    ],
)
def test_the_rest_of_the_path_is_as_it_was_sent(path: str, namespaced: bool, rest: str) -> None:
    assert proxied.rest_of_path(path, namespaced) == rest
    assert proxied.proxy_prefix(path, rest) + rest == path


def test_credentials_and_the_connections_own_headers_stay_here() -> None:
    sent = CIMultiDict(
        {
            "Host": "api:6443",
            "Authorization": "Bearer secret",
            "Impersonate-User": "root",
            "X-Remote-Group": "system:masters",
            "Connection": "keep-alive, X-Mine",
            "X-Mine": "1",
            "Keep-Alive": "5",
            "Te": "trailers",
            "Cookie": "a=b",
            "Accept": "text/html",
        }
    )
    assert dict(forwarding.request_headers(sent, prefix=PREFIX, path="/x?y=z")) == {
        "Host": "api:6443",
        "Cookie": "a=b",
        "Accept": "text/html",
        "X-Forwarded-Host": "api:6443",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Uri": PREFIX + "/x",
    }


def test_the_answer_does_not_open_the_apis_origin() -> None:
    sent = CIMultiDict(
        {"Access-Control-Allow-Origin": "*", "Connection": "close", "Content-Type": "a/b"}
    )
    assert dict(forwarding.response_headers(sent, HERE, PREFIX)) == {"Content-Type": "a/b"}


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/login?a=b#c", PREFIX + "/login?a=b#c"),
        ("http://10.1.2.3:8080/x", PREFIX + "/x"),
        ("http://10.1.2.3:8080", PREFIX + "/"),
        ("http://elsewhere.example/x", "http://elsewhere.example/x"),
        ("next", "next"),
        (PREFIX + "/there", PREFIX + "/there"),
    ],
)
def test_redirects_lead_back_through_the_proxy(location: str, seen: str) -> None:
    assert forwarding.through_proxy(location, HERE, PREFIX) == seen
