"""What a container finds in its environment and on its command line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.spec.environment import References, command_line, environment, references_of
from agent.spec.errors import ConfigError
from agent.spec.expansion import expand, missing
from agent.spec.fieldref import Place, field, needs_ip, resource_field
from agent.spec.serviceenv import service_environment
from api.core import (
    ConfigMap,
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    ObjectFieldSelector,
    Pod,
    ResourceFieldSelector,
    ResourceRequirements,
    Secret,
    SecretEnvSource,
    SecretKeySelector,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.meta import ObjectMeta
from tests.unit.agent.builders import UID, container, make_pod

PLACE = Place(
    node="node-1",
    host_ip="192.0.2.1",
    pod_ip="10.244.1.7",
    allocatable={"cpu": "2", "memory": "4Gi"},
)

EXPANSIONS = [
    ("", ""),
    ("plain", "plain"),
    ("$(A)", "1"),
    ("$(A)$(B)", "12"),
    ("x$(A)y", "x1y"),
    ("$(MISSING)", "$(MISSING)"),
    ("$$(A)", "$(A)"),
    ("$$$(A)", "$1"),
    ("$$$$(A)", "$$(A)"),
    ("$A", "$A"),
    ("${A}", "${A}"),
    ("$(A", "$(A"),
    ("$", "$"),
    ("a$", "a$"),
    ("$()", "$()"),
    ("$(C)", "$(A)"),  # what was put in is not expanded again
    ("100%$$", "100%$"),
    ("$(A)$", "1$"),
]


@pytest.mark.parametrize(("text", "expected"), EXPANSIONS)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2", "C": "$(A)"}) == expected


@pytest.mark.parametrize(
    ("text", "name"), [("$(A)/x", ""), ("$(X)/$(A)", "X"), ("$$(X)", ""), ("plain", ""), ("$(", "")]
)
def test_missing_names(text: str, name: str) -> None:
    assert missing(text, {"A": "1"}) == name


def made(*env: EnvVar, pod: Pod | None = None, **more: object) -> dict[str, str]:
    spec = container(env=list(env), **{k: v for k, v in more.items() if k == "env_from"})
    references = References(
        config_maps={
            "settings": ConfigMap(
                metadata=ObjectMeta(name="settings"), data={"LEVEL": "debug", "a=b": "no"}
            ),
            "gone": None,
        },
        secrets={
            "keys": Secret(
                metadata=ObjectMeta(name="keys"), data={"PW": b"hunter2", "RAW": b"\xff"}
            ),
            "lost": None,
        },
    )
    return environment(pod or make_pod(spec), spec, place=PLACE, references=references)


def var(name: str, **source: object) -> EnvVar:
    return EnvVar(name=name, value_from=EnvVarSource(**source))  # type: ignore[arg-type]


def test_values_see_what_came_before_them() -> None:
    values = made(
        EnvVar(name="A", value="1"),
        EnvVar(name="B", value="$(A)2$(C)"),
        EnvVar(name="C", value="3"),
        EnvVar(name="A", value="again $(A)"),
    )
    assert values == {"A": "again 1", "B": "12$(C)", "C": "3"}


FIELDS = [
    ("metadata.name", "pod"),
    ("metadata.namespace", "ns"),
    ("metadata.uid", UID),
    ("metadata.labels['app']", "web"),
    ("metadata.labels['missing']", ""),
    ("metadata.annotations['example.org/x']", "y z"),
    ("metadata.labels", 'app="web"\ntier="1"'),
    ("spec.nodeName", "node-1"),
    ("spec.serviceAccountName", "robot"),
    ("status.hostIP", "192.0.2.1"),
    ("status.hostIPs", "192.0.2.1"),
    ("status.podIP", "10.244.1.7"),
    ("status.podIPs", "10.244.1.7"),
]


@pytest.mark.parametrize(("path", "expected"), FIELDS)
def test_field_references(path: str, expected: str) -> None:
    pod = make_pod(service_account_name="robot")
    pod.metadata.labels = {"tier": "1", "app": "web"}
    pod.metadata.annotations = {"example.org/x": "y z"}
    assert field(path, pod, PLACE) == expected
    ref = ObjectFieldSelector(field_path=path)
    assert made(var("X", field_ref=ref), pod=pod) == {"X": expected}


def test_an_unknown_field() -> None:
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: spec\.hostPID"):
        field("spec.hostPID", make_pod(), PLACE)


@pytest.mark.parametrize(
    ("path", "needed"),
    [("status.podIP", True), ("status.podIPs", True), ("status.hostIP", False)],
)
def test_who_needs_the_address(path: str, needed: bool) -> None:
    env = [var("X", field_ref=ObjectFieldSelector(field_path=path))]
    assert needs_ip(container(env=env)) is needed


RESOURCES = [
    # resource, divisor, expected
    ("limits.cpu", "", "1"),
    ("limits.cpu", "1m", "250"),
    ("requests.cpu", "1m", "100"),
    ("limits.memory", "1Mi", "64"),
    ("limits.memory", "1", str(64 * 1024**2)),
    ("limits.memory", "1Gi", "1"),
    ("requests.memory", "1Ki", "0"),
    ("requests.memory", "0", "0"),
]


@pytest.mark.parametrize(("resource", "divisor", "expected"), RESOURCES)
def test_resource_references(resource: str, divisor: str, expected: str) -> None:
    spec = container(
        resources=ResourceRequirements(
            requests={"cpu": "100m"}, limits={"cpu": "250m", "memory": "64Mi"}
        )
    )
    ref = ResourceFieldSelector(resource=resource, divisor=divisor)
    assert resource_field(ref, make_pod(spec), spec, PLACE) == expected


def test_without_a_limit_the_nodes_allocatable_counts() -> None:
    for resource, expected in (("limits.cpu", "2"), ("limits.memory", str(4 * 1024**3))):
        ref = ResourceFieldSelector(resource=resource)
        assert resource_field(ref, make_pod(), container(), PLACE) == expected


def test_without_a_limit_that_of_the_pod_as_a_whole_counts() -> None:
    pod = make_pod(resources=ResourceRequirements(limits={"memory": "64Mi"}))
    for resource, expected in (("limits.cpu", "2"), ("limits.memory", str(64 * 1024**2))):
        ref = ResourceFieldSelector(resource=resource)
        assert resource_field(ref, pod, container(), PLACE) == expected


def test_what_counts_as_without_a_limit() -> None:
    """A limit of nothing is none; of huge pages there is none to fall back upon."""
    place = replace(PLACE, allocatable={"cpu": "2", "hugepages-2Mi": "1Gi"})
    spec = container(resources=ResourceRequirements(limits={"cpu": "0"}))
    for resource, expected in (("limits.cpu", "2"), ("limits.hugepages-2Mi", "0")):
        ref = ResourceFieldSelector(resource=resource)
        assert resource_field(ref, make_pod(), spec, place) == expected


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", '"plain"'),
        ('a "b" \\', r'"a \"b\" \\"'),
        ("one\ntwo\t\r\v\a\b\f", r'"one\ntwo\t\r\v\a\b\f"'),
        ("\0\x1f\x7f", r'"\x00\x1f\x7f"'),
        ("é 日本 😀", '"é 日本 😀"'),
        ("\u00a0\u200b\U000e0001", r'"\u00a0\u200b\U000e0001"'),
    ],
)
def test_annotations_are_written_as_go_reads_them(value: str, written: str) -> None:
    pod = make_pod()
    pod.metadata.annotations = {"b": value, "a": "1"}
    assert field("metadata.annotations", pod, PLACE) == f'a="1"\nb={written}'


def test_another_containers_resources() -> None:
    other = container("other", resources=ResourceRequirements(limits={"cpu": "3"}))
    pod = make_pod(container(), other)
    ref = ResourceFieldSelector(container_name="other", resource="limits.cpu")
    assert resource_field(ref, pod, container(), PLACE) == "3"
    with pytest.raises(ConfigError, match="container nobody not found"):
        resource_field(
            ResourceFieldSelector(container_name="nobody", resource="limits.cpu"),
            pod,
            container(),
            PLACE,
        )


def test_keys_of_config_maps_and_secrets() -> None:
    values = made(
        var("A", config_map_key_ref=ConfigMapKeySelector(name="settings", key="LEVEL")),
        var("B", secret_key_ref=SecretKeySelector(name="keys", key="PW")),
        var("C", secret_key_ref=SecretKeySelector(name="keys", key="RAW")),
    )
    assert (values["A"], values["B"]) == ("debug", "hunter2")
    assert values["C"].encode("utf-8", "surrogateescape") == b"\xff"


MISSING = [
    (
        var("X", config_map_key_ref=ConfigMapKeySelector(name="gone", key="k")),
        'configmap "gone" not found',
    ),
    (
        var("X", config_map_key_ref=ConfigMapKeySelector(name="settings", key="k")),
        "couldn't find key k in ConfigMap ns/settings",
    ),
    (
        var("X", secret_key_ref=SecretKeySelector(name="lost", key="k")),
        'secret "lost" not found',
    ),
    (
        var("X", secret_key_ref=SecretKeySelector(name="keys", key="k")),
        "couldn't find key k in Secret ns/keys",
    ),
]


@pytest.mark.parametrize(("variable", "words"), MISSING)
def test_what_is_missing_is_told_in_the_usual_words(variable: EnvVar, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(variable)
    assert caught.value.message == words


@pytest.mark.parametrize(
    "source",
    [
        {"config_map_key_ref": ConfigMapKeySelector(name="gone", key="k", optional=True)},
        {"config_map_key_ref": ConfigMapKeySelector(name="settings", key="k", optional=True)},
        {"secret_key_ref": SecretKeySelector(name="lost", key="k", optional=True)},
        {"secret_key_ref": SecretKeySelector(name="keys", key="k", optional=True)},
    ],
)
def test_what_is_optional_is_left_out(source: dict[str, object]) -> None:
    assert made(var("X", **source), EnvVar(name="Y", value="1")) == {"Y": "1"}


def test_all_keys_with_a_prefix() -> None:
    sources = [
        EnvFromSource(prefix="P_", config_map_ref=ConfigMapEnvSource(name="settings")),
        EnvFromSource(secret_ref=SecretEnvSource(name="keys")),
        EnvFromSource(config_map_ref=ConfigMapEnvSource(name="gone", optional=True)),
    ]
    values = made(EnvVar(name="PW", value="mine"), env_from=sources)
    assert values["P_LEVEL"] == "debug"
    assert values["PW"] == "mine", "env wins over envFrom"
    assert not any("=" in name for name in values)


def test_a_missing_source_of_all_keys() -> None:
    sources = [EnvFromSource(secret_ref=SecretEnvSource(name="lost"))]
    with pytest.raises(ConfigError, match='secret "lost" not found'):
        made(env_from=sources)


def test_what_a_container_refers_to() -> None:
    spec = container(
        env=[
            var("A", config_map_key_ref=ConfigMapKeySelector(name="m1", key="k")),
            var("B", secret_key_ref=SecretKeySelector(name="s1", key="k")),
            EnvVar(name="C", value="1"),
        ],
        env_from=[
            EnvFromSource(config_map_ref=ConfigMapEnvSource(name="m2")),
            EnvFromSource(secret_ref=SecretEnvSource(name="s2")),
        ],
    )
    assert references_of(spec) == ({"m1", "m2"}, {"s1", "s2"})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (container(), (None, None)),
        (container(command=["sh", "-c", "echo $(A)"]), (("sh", "-c", "echo 1"), None)),
        (container(args=["$(A)", "$(B)"]), (None, ("1", "$(B)"))),
        (container(command=["$$(A)"], args=["x"]), (("$(A)",), ("x",))),
    ],
)
def test_command_and_arguments(spec: Container, expected: object) -> None:
    assert command_line(spec, {"A": "1"}) == expected


# Services.


def service(name: str, namespace: str = "ns", ip: str = "10.96.0.7", **ports: int) -> Service:
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=ServiceSpec(
            cluster_ip=ip,
            ports=[ServicePort(name=n, port=p, protocol="TCP") for n, p in ports.items()],
        ),
    )


def test_service_variables() -> None:
    assert service_environment([service("my-web", http=80)], "ns", links=True) == {
        "MY_WEB_SERVICE_HOST": "10.96.0.7",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_PORT": "tcp://10.96.0.7:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.96.0.7:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.96.0.7",
    }


API = service("kubernetes", "default", "10.96.0.1", https=443)
CHOICE = [
    # links, namespace, services told of
    (True, "ns", {"WEB", "KUBERNETES"}),
    (False, "ns", {"KUBERNETES"}),
    (True, "default", {"OTHER", "KUBERNETES"}),
    (False, "default", {"KUBERNETES"}),
]


@pytest.mark.parametrize(("links", "namespace", "told"), CHOICE)
def test_which_services(links: bool, namespace: str, told: set[str]) -> None:
    services = [
        API,
        service("web", http=80),
        service("headless", ip="None", http=80),
        service("other", "default", http=80),
    ]
    values = service_environment(services, namespace, links=links)
    assert {n.removesuffix("_SERVICE_HOST") for n in values if n.endswith("_HOST")} == told


@pytest.mark.parametrize(("links", "told"), [(None, True), (True, True), (False, False)])
def test_a_pod_may_do_without_them(links: bool | None, told: bool) -> None:
    spec = container(env=[EnvVar(name="AT", value="$(WEB_SERVICE_HOST)")])
    values = environment(
        make_pod(spec, enable_service_links=links),
        spec,
        place=PLACE,
        references=References(),
        services=[API, service("web", http=80)],
    )
    assert ("WEB_SERVICE_HOST" in values) is told
    assert (values["AT"] != "$(WEB_SERVICE_HOST)") is told
    assert "KUBERNETES_SERVICE_HOST" in values
