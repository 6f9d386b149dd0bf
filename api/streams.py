"""exec and attach over WebSocket: channels, their framing, and how the end is told. Pure.

Serves whoever looks into a running pod, after step 5 of its walk: clients speak this to the API
server and the API server speaks it to the agent, so both sides share this module.

One binary message is one channel byte and data. `base64.` protocols, meant for browsers, send text:
the channel as a digit, then base64. Version 4 ends with a Status on the error channel, older ones
with plain text; version 5 adds the message CLOSE + channel, the only way to say end of file on
stdin.
"""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass


class Channel(enum.IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4
    CLOSE = 255
    """Version 5: the data is the number of the channel that its sender has closed."""


class FrameError(ValueError):
    """A message that breaks the protocol; says how."""


@dataclass(frozen=True)
class Protocol:
    """A WebSocket subprotocol."""

    name: str
    base64: bool = False
    status: bool = True
    """The error channel carries a Status; otherwise plain text, and nothing on success."""
    close: bool = False
    """CLOSE may be sent."""

    def encode(self, channel: int, data: bytes) -> bytes | str:
        """One message; `str` is to be sent as text."""
        if not self.base64:
            return bytes([channel]) + data
        if channel > 9:
            raise FrameError(f"{self.name} has no channel {channel}")
        return f"{channel}{base64.b64encode(data).decode()}"

    def decode(self, message: bytes | str) -> tuple[Channel, bytes]:
        """The channel and data of one message. Raises FrameError."""
        if not message:
            raise FrameError("a message without a channel")
        if self.base64:
            number, data = _decode_text(message)
        elif isinstance(message, str):
            raise FrameError(f"{self.name} sends binary messages, this one is text")
        else:
            number, data = message[0], message[1:]
        try:
            channel = Channel(number)
        except ValueError:
            raise FrameError(f"there is no channel {number}") from None
        if channel is Channel.CLOSE and not self.close:
            raise FrameError(f"{self.name} cannot close a channel")
        return channel, data


PROTOCOLS: dict[str, Protocol] = {
    each.name: each
    for each in (
        Protocol("v5.channel.k8s.io", close=True),
        Protocol("v4.channel.k8s.io"),
        Protocol("v4.base64.channel.k8s.io", base64=True),
        Protocol("channel.k8s.io", status=False),
        Protocol("base64.channel.k8s.io", base64=True, status=False),
    )
}


def negotiate(offered: Sequence[str]) -> Protocol | None:
    """The first protocol offered that we speak; offering none means the oldest one."""
    if not offered:
        return PROTOCOLS["channel.k8s.io"]
    return next((PROTOCOLS[name] for name in offered if name in PROTOCOLS), None)


def greeting(protocol: Protocol, *, stdout: bool, stderr: bool) -> bytes | str:
    """The first message of a server: empty, on its lowest channel: the process is there."""
    channel = Channel.STDOUT if stdout else Channel.STDERR if stderr else Channel.ERROR
    return protocol.encode(channel, b"")


def exit_message(protocol: Protocol, exit_code: int | None) -> bytes | str | None:
    """The last message of a server: how the process ended; None where the protocol has no word for
    it.

    An `exit_code` of None is an attachment that ended while its process lives on, which is a
    success.
    """
    if not protocol.status:
        text = f"command terminated with exit code {exit_code}" if exit_code else ""
        return protocol.encode(Channel.ERROR, text.encode()) if text else None
    return protocol.encode(Channel.ERROR, json.dumps(exit_status(exit_code)).encode())


def error_message(protocol: Protocol, text: str) -> bytes | str:
    """The last message of a server that could not run the command."""
    status = {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: error executing command in container: {text}",
        "reason": "InternalError",
        "details": {"causes": [{"message": f"error executing command in container: {text}"}]},
        "code": 500,
    }
    data = json.dumps(status) if protocol.status else text
    return protocol.encode(Channel.ERROR, data.encode())


def exit_status(exit_code: int | None) -> dict[str, object]:
    """The Status of a process that ended, as the kubelet words it."""
    if not exit_code:
        return {"metadata": {}, "status": "Success"}
    ended = f"command terminated with exit code {exit_code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {ended}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
    }


def terminal_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a resize message; None for one that makes no sense, which is ignored."""
    try:
        size = json.loads(data)
        width, height = size["Width"], size["Height"]
    except (ValueError, KeyError, TypeError):
        return None
    fits = all(type(n) is int and 0 < n < 2**16 for n in (width, height))
    return (width, height) if fits else None


def _decode_text(message: bytes | str) -> tuple[int, bytes]:
    text = message if isinstance(message, str) else message.decode("ascii", errors="replace")
    if not text[0].isascii() or not text[0].isdigit():
        raise FrameError(f"{text[0]!r} is not a channel")
    try:
        return int(text[0]), base64.b64decode(text[1:], validate=True)
    except ValueError as error:
        raise FrameError(f"not base64: {error}") from None
