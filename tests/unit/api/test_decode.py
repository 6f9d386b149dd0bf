"""Decoding: what is accepted, what is refused, in which words; both speeds agree; nothing crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.codec import decode, jsontree
from api.codec.decode import PROTOBUF, convert, decode_body, decode_object
from api.core import ConfigMap, Pod, Secret
from api.errors import ApiError
from api.meta import DeleteOptions
from api.scheme import by_kind

POD = by_kind("v1", "Pod")
CONFIG = by_kind("v1", "ConfigMap")
DEPLOYMENT = by_kind("apps/v1", "Deployment")
assert POD is not None and CONFIG is not None and DEPLOYMENT is not None
JSON = "application/json"
YAML = "application/yaml"


def refused(
    body: str | bytes, resource: Any = POD, content: str = JSON, how: str = "Strict"
) -> str:
    data = body if isinstance(body, bytes) else body.encode()
    with pytest.raises(ApiError) as caught:
        decode_object(data, content, resource, how)
    assert caught.value.code in (400, 415)
    return str(caught.value)


def pod(**spec: Any) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})


def container(**fields: Any) -> str:
    return pod(containers=[{"name": "c", **fields}])


def test_a_clean_body() -> None:
    found = decode_object(container(image="i").encode(), JSON, POD, "Strict")
    assert found.warnings == ()
    assert found.obj.spec.containers[0].image == "i"


def test_saying_nothing_about_the_kind_is_agreement() -> None:
    found = decode_object(b'{"metadata":{"name":"a"}}', "", CONFIG).obj
    assert (found.api_version, found.kind) == ("v1", "ConfigMap")


def test_missing_required_fields_are_left_to_validation() -> None:
    found = decode_object(b"{}", JSON, POD, "Strict").obj
    assert found.spec.containers == []
    found = decode_object(container(ports=[{}]).encode(), JSON, POD, "Strict").obj
    assert found.spec.containers[0].ports[0].container_port == 0
    found = decode_object(b'{"spec":{}}', JSON, DEPLOYMENT, "Strict").obj
    assert found.spec.selector is None and found.spec.template.spec.containers == []


def test_null_is_absent() -> None:
    body = b'{"metadata":{"name":"a","labels":null,"creationTimestamp":null},"data":{"k":null}}'
    found = decode_object(body, JSON, CONFIG, "Strict").obj
    assert found.metadata.labels == {} and found.data == {"k": ""}
    assert found.metadata.creation_timestamp is None
    found = decode_object(pod(containers=[None], tolerations=None).encode(), JSON, POD).obj
    assert found.spec.containers[0].name == ""


def test_explicit_zeros_of_pointers_survive() -> None:
    found = decode_object(b'{"spec":{"replicas":0}}', JSON, DEPLOYMENT).obj
    assert found.spec.replicas == 0
    assert b'"replicas":0' in decode.encode(found)


UNKNOWN = container(bogus=1, image="i").replace('"containers"', '"nope": {"a": 1}, "containers"')


def test_unknown_fields() -> None:
    words = (
        'strict decoding error: unknown field "spec.nope", unknown field "spec.containers[0].bogus"'
    )
    assert refused(UNKNOWN) == words
    warned = decode_object(UNKNOWN.encode(), JSON, POD, "Warn")
    assert warned.warnings == (
        'unknown field "spec.nope"',
        'unknown field "spec.containers[0].bogus"',
    )
    ignored = decode_object(UNKNOWN.encode(), JSON, POD, "Ignore")
    assert ignored.warnings == () and ignored.obj == warned.obj


def test_names_are_case_sensitive() -> None:
    assert refused('{"Spec":{}}') == 'strict decoding error: unknown field "Spec"'
    assert "spec.containers[0].Image" in refused(container(Image="i"))


def test_duplicate_fields() -> None:
    body = '{"metadata":{"name":"a","name":"b"},"data":{"k":"1","k":"2"}}'
    expected = 'strict decoding error: duplicate field "metadata.name", duplicate field "data.k"'
    assert refused(body, CONFIG) == expected
    found = decode_object(body.encode(), JSON, CONFIG, "Warn")
    assert found.obj.metadata.name == "b" and found.obj.data == {"k": "2"}
    assert found.warnings == ('duplicate field "metadata.name"', 'duplicate field "data.k"')
    assert decode_object(body.encode(), JSON, CONFIG, "Ignore").obj == found.obj


def test_faults_are_told_in_the_order_of_the_text() -> None:
    body = (
        '{"spec":{"nope":1,"nodeName":"a","hostname":"a","more":2,"nodeName":"b","nope":3,'
        '"containers":[{"bogus":1,"image":"i","image":"j","name":"c"}]}}'
    )
    assert refused(body) == (
        'strict decoding error: unknown field "spec.nope", unknown field "spec.more", '
        'duplicate field "spec.nodeName", unknown field "spec.containers[0].bogus", '
        'duplicate field "spec.containers[0].image"'
    )
    found = decode_object(body.encode(), JSON, POD, "Ignore").obj
    assert (found.spec.node_name, found.spec.containers[0].image) == ("b", "j")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            container(env=[{"name": "A", "value": 8080}]),
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go '
            "struct field EnvVar.spec.containers.env.value of type string "
            "(spec.containers[0].env[0].value: expected a string, found 8080; put it in quotes)",
        ),
        (
            container(env=[{"name": "A", "value": True}]),
            "cannot unmarshal bool into Go struct field EnvVar.spec.containers.env.value of type "
            "string (spec.containers[0].env[0].value: expected a string, found true; put it in quotes)",
        ),
        (
            container(ports=[{"containerPort": "80"}]),
            "cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports."
            "containerPort of type int32 (spec.containers[0].ports[0].containerPort: expected a "
            'whole number, found "80")',
        ),
        (container(ports=[{"containerPort": 80.5}]), "cannot unmarshal number 80.5 into Go"),
        (container(ports=[{"containerPort": 3000000000}]), "cannot unmarshal number 3000000000 into"),
        (pod(containers={}), "cannot unmarshal object into Go struct field PodSpec.spec.containers of "
         "type []v1.Container (spec.containers: expected a list, found {})"),
        (pod(containers=["a"]), "cannot unmarshal string into Go struct field PodSpec.spec.containers "
         "of type v1.Container (spec.containers[0]: expected a map of fields, found \"a\")"),
        (pod(hostNetwork="yes"), "cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork "
         "of type bool (spec.hostNetwork: expected true or false, found \"yes\")"),
        (pod(nodeSelector={"a": 1}), "cannot unmarshal number into Go struct field "
         "PodSpec.spec.nodeSelector of type string (spec.nodeSelector.a: expected a string, found 1; "),
        (container(resources={"requests": {"cpu": "1 core"}}),
         "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' "
         '(spec.containers[0].resources.requests.cpu: found "1 core")'),
        (container(resources={"requests": {"cpu": "1K"}}), "unable to parse quantity's suffix"),
        (container(resources={"requests": {"cpu": [1]}}), "quantities must match"),
        (container(livenessProbe={"httpGet": {"port": 1.5}}),
         "of type intstr.IntOrString (spec.containers[0].livenessProbe.httpGet.port: "),
        ('{"metadata":{"creationTimestamp":"yesterday"}}', 'parsing time "yesterday" as'),
        ('{"metadata":5}', "cannot unmarshal number into Go struct field Pod.metadata of type v1.ObjectMeta"),
    ],
)  # fmt: skip
def test_mistyped_fields(body: str, words: str) -> None:
    for how in ("Strict", "Warn", "Ignore"):
        assert words in refused(body, how=how)


def test_all_mistakes_are_told_at_once() -> None:
    body = container(env=[{"name": 1}, {"value": 2}]).encode()
    with pytest.raises(ApiError) as caught:
        decode_object(body, JSON, POD)
    details = caught.value.status.details
    assert details is not None
    assert [cause.field for cause in details.causes] == [
        "spec.containers[0].env[0].name",
        "spec.containers[0].env[1].value",
    ]
    assert {cause.reason for cause in details.causes} == {"FieldValueTypeInvalid"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "the request has no body; expected a Pod"),
        (" \n", "the request has no body; expected a Pod"),
        ("{", "the object provided is unrecognized (must be of type Pod): Expecting property name"),
        ("{}x", "Extra data"),
        ("[]", "json: cannot unmarshal array into Go value of type v1.Pod"),
        ("null", "json: cannot unmarshal null into Go value of type v1.Pod"),
        ('"x"', "json: cannot unmarshal string into Go value of type v1.Pod"),
        (b'{"metadata":{"name":"\xff"}}', "the body is not UTF-8: invalid start byte (0xff) at byte 21"),
        ('{"metadata":{"generation":NaN}}', "NaN is not JSON"),
        ('{"metadata":{"generation":1e999}}', "the number 1e999 is out of range"),
        ('{"metadata":{"generation":' + "9" * 5000 + "}}", "must be of type Pod"),
        ("{" + '"a":{' * 5000, "must be of type Pod"),
        ('{"a":' * 300 + "1" + "}" * 300, "nested deeper than 200 levels"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper than 200 levels"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_object(body: str | bytes, words: str) -> None:
    assert words in refused(body)


def test_deep_nesting_in_raw_fields() -> None:
    deep = '{"a":' * 300 + "1" + "}" * 300
    body = f'{{"metadata":{{"managedFields":[{{"fieldsV1":{deep}}}]}}}}'
    assert "nested deeper than 200 levels" in refused(body, how="Ignore")


def test_kinds_and_versions() -> None:
    assert refused('{"apiVersion":"v2","kind":"Pod"}') == (
        "the API version in the data (v2) does not match the expected API version (v1)"
    )
    assert refused('{"apiVersion":"v1","kind":"Service","spec":{"ports":"x"}}') == (
        'Service in version "v1" cannot be handled as a Pod: the kind in the data (Service) does '
        "not match the expected kind (Pod)"
    )
    assert "does not match" in refused('{"apiVersion":"v1","kind":"ConfigMap","data":{}}')
    assert "cannot unmarshal number into" in refused('{"kind":5}')
    options = b'{"apiVersion":"apps/v1","kind":"DeleteOptions","gracePeriodSeconds":0}'
    found = decode_body(options, JSON, DeleteOptions, any_version=True).obj
    assert found.grace_period_seconds == 0 and found.api_version == "v1"


def test_media_types() -> None:
    body = container().encode()
    for content in ("", "application/json; charset=utf-8", "Application/JSON", YAML, "text/plain",
                    "application/x-www-form-urlencoded"):  # fmt: skip
        assert decode_object(body, content, POD, "Strict").obj.metadata.name == "p"
    for content in ("", YAML, "application/x-www-form-urlencoded"):
        assert decode_object(b"metadata: {name: q}", content, POD).obj.metadata.name == "q"
    with pytest.raises(ApiError) as caught:
        decode_object(body, "application/cbor", POD)
    assert caught.value.code == 415
    assert "accepted media types include: application/json, application/yaml" in str(caught.value)


def test_quantities_and_times_are_canonical() -> None:
    body = container(resources={"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": 2}})
    spelled = body.replace('"memory"', '"x.io/y": 1e3, "memory"')
    found = decode_object(spelled.encode(), JSON, POD, "Strict").obj.spec.containers[0].resources
    assert found.requests == {"cpu": "500m", "memory": "1Gi", "x.io/y": "1e3"}
    assert found.limits == {"cpu": "2"}
    body = '{"metadata":{"creationTimestamp":"2026-01-01T01:00:00.5+01:00"}}'
    assert decode_object(body.encode(), JSON, POD).obj.metadata.creation_timestamp == (
        "2026-01-01T00:00:00Z"
    )


def test_bytes() -> None:
    secret = by_kind("v1", "Secret")
    found = decode_object(b'{"data":{"a":"aGVsbG8=","b":"aGVs\\nbG8="}}', JSON, secret).obj
    assert isinstance(found, Secret) and found.data == {"a": b"hello", "b": b"hello"}
    assert "illegal base64 data at input byte 1 (data.a: found" in refused(
        '{"data":{"a":"a b"}}', secret
    )
    assert "illegal base64 data" in refused('{"data":{"a":"abc"}}', secret)


def test_lone_surrogates_become_replacement_characters() -> None:
    found = decode_object(b'{"data":{"a":"x\\ud800y","b":"\\ud83d\\ude00"}}', JSON, CONFIG).obj
    assert found.data == {"a": "x\ufffdy", "b": "\U0001f600"}
    decode.encode(found)


def test_yaml() -> None:
    body = b"""
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  hostNetwork: yes
  containers:
  - name: c
    resources: {limits: {cpu: 0.5, memory: 1Gi}}
    ports:
    - containerPort: 80
  volumes:
  - name: v
    configMap: {name: m, defaultMode: 0644}
"""
    found = decode_object(body, YAML, POD, "Strict").obj
    assert found.spec.host_network is True
    assert found.spec.containers[0].resources.limits == {"cpu": "500m", "memory": "1Gi"}
    assert found.spec.volumes[0].config_map.default_mode == 0o644
    bad = b"kind: Pod\nmetadata:\n  name: a\n  name: b\n  bogus: 1\n"
    assert refused(bad, content=YAML) == (
        'strict decoding error: yaml: line 4: key "name" already set in map, '
        'unknown field "metadata.bogus"'
    )
    assert "put it in quotes" in refused(b"metadata: {labels: {a: yes}}", content=YAML)
    assert "2 YAML documents" in refused(b"a: 1\n---\nb: 2\n", content=YAML)
    assert "line 1" in refused(b"a: b: c", content=YAML)
    assert "cannot unmarshal null" in refused(b"# nothing\n", content=YAML)


def test_protobuf_faults() -> None:
    assert "no k8s prefix" in refused(b"{}", content=PROTOBUF)
    assert "unexpected EOF" in refused(b"k8s\x00\x12\x05ab", content=PROTOBUF)
    wrong = b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x00"
    assert "does not match the expected kind (Pod)" in refused(wrong, content=PROTOBUF)
    assert decode_object(wrong, PROTOBUF, CONFIG).obj == ConfigMap()


def test_convert() -> None:
    found = convert({"metadata": {"name": "a"}, "data": {"k": None}, "odd": 1}, ConfigMap, "Warn")
    assert found.obj.data == {"k": ""} and found.warnings == ('unknown field "odd"',)
    with pytest.raises(ApiError):
        convert({"data": 5}, ConfigMap)
    made = convert({"spec": {"containers": [{"name": "c"}]}}, Pod).obj
    assert convert(decode.to_tree(made), Pod, "Strict").obj == made


# --- fuzz -------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["apiVersion", "kind", "metadata", "name", "labels", "spec", "containers", "image", "env",
     "value", "resources", "requests", "cpu", "ports", "containerPort", "volumes", "nodeName",
     "creationTimestamp", "managedFields", "fieldsV1", "Bogus", ""]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["v1", "Pod", "500m", "1 Gi", "2026-01-01T00:00:00Z", "\ud800", "x"])
    | st.text(max_size=5)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


def outcome(body: bytes, content: str, how: str) -> Any:
    try:
        found = decode_object(body, content, POD, how)
    except ApiError as error:
        assert error.code == 400 and str(error)
        return str(error)
    json.loads(decode.encode(found.obj))
    return found.obj


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TREES)
def test_any_json_is_an_object_or_an_answer(tree: Any) -> None:
    body = json.dumps(tree).encode()
    lenient = outcome(body, JSON, "Ignore")
    warned = outcome(body, JSON, "Warn")
    assert warned == lenient
    strict = outcome(body, JSON, "Strict")
    if not isinstance(strict, str):
        assert strict == lenient
        again = outcome(decode.encode(strict), JSON, "Strict")
        assert again == strict


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([JSON, YAML, PROTOBUF]))
def test_any_bytes_are_answered(body: bytes, content: str) -> None:
    outcome(body, content, "Strict")
    outcome(b"k8s\x00" + body, content, "Strict")


@settings(deadline=None)
@given(st.text(alphabet="ab:-?&*<>[]{}!|#\"' \n01.~,", max_size=40))
def test_any_yaml_is_answered(text: str) -> None:
    outcome(text.encode(), YAML, "Warn")


@given(TREES)
def test_depth_is_measured(tree: Any) -> None:
    jsontree.check_depth(tree)
