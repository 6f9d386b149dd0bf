"""The codec of exec and attach: `api/streams.py`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import streams
from api.streams import PROTOCOLS, Channel, FrameError, Protocol

V5, V4 = PROTOCOLS["v5.channel.k8s.io"], PROTOCOLS["v4.channel.k8s.io"]
BASE64 = PROTOCOLS["base64.channel.k8s.io"]

protocols = st.sampled_from(list(PROTOCOLS.values()))


@given(protocols, st.sampled_from(list(Channel)[:5]), st.binary(max_size=200))
def test_round_trip(protocol: Protocol, channel: Channel, data: bytes) -> None:
    message = protocol.encode(channel, data)
    assert isinstance(message, str) is protocol.base64
    assert protocol.decode(message) == (channel, data)


@given(protocols, st.one_of(st.binary(max_size=20), st.text(max_size=20)))
def test_any_message_is_decoded_or_refused(protocol: Protocol, message: bytes | str) -> None:
    try:
        channel, _ = protocol.decode(message)
    except FrameError as error:
        assert str(error)
    else:
        assert channel in Channel


@pytest.mark.parametrize(
    ("protocol", "message"),
    [(V5, b""), (V5, b"\x07x"), (V5, "text"), (V4, b"\xff\x00"), (BASE64, "0*"), (BASE64, "x")],
)
def test_what_breaks_the_protocol(protocol: Protocol, message: bytes | str) -> None:
    with pytest.raises(FrameError):
        protocol.decode(message)


def test_version_5_closes_stdin() -> None:
    assert V5.decode(b"\xff\x00") == (Channel.CLOSE, b"\x00")


def test_base64_is_a_digit_and_text() -> None:
    assert BASE64.encode(Channel.STDOUT, b"hi") == "1aGk="


def test_the_client_chooses_among_what_we_know() -> None:
    assert streams.negotiate(["v9.new", "v4.channel.k8s.io", "v5.channel.k8s.io"]) is V4
    assert streams.negotiate([]) is PROTOCOLS["channel.k8s.io"]
    assert streams.negotiate(["portforward.k8s.io"]) is None


def test_the_end_of_a_success() -> None:
    assert streams.exit_message(V5, 0) == b'\x03{"metadata": {}, "status": "Success"}'
    assert streams.exit_message(V5, None) == streams.exit_message(V5, 0)
    assert streams.exit_message(BASE64, 0) is None


def test_the_end_of_a_failure() -> None:
    message = streams.exit_message(V4, 3)
    assert isinstance(message, bytes) and message[0] == Channel.ERROR
    assert json.loads(message[1:]) == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: "
        "command terminated with exit code 3",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }
    old = PROTOCOLS["channel.k8s.io"]
    assert streams.exit_message(old, 3) == b"\x03command terminated with exit code 3"


def test_the_greeting_goes_to_the_lowest_channel() -> None:
    assert streams.greeting(V5, stdout=True, stderr=True) == b"\x01"
    assert streams.greeting(V5, stdout=False, stderr=True) == b"\x02"
    assert streams.greeting(V5, stdout=False, stderr=False) == b"\x03"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b'{"Width":80,"Height":24}', (80, 24)),
        (b'{"Width":0,"Height":0}', None),
        (b'{"Width":70000,"Height":24}', None),
        (b'{"Width":true,"Height":24}', None),
        (b"[]", None),
        (b"nonsense", None),
        (b'{"Width":80}', None),
    ],
)
def test_terminal_size(data: bytes, size: tuple[int, int] | None) -> None:
    assert streams.terminal_size(data) == size
