"""The wire of protobuf: numbers and blocks of bytes, and what they may stand for.

Serves step 1 of the pod's walk, below the decoders of types (`api.codec.protobuf`) and of schemas
(`api.codec.schemaproto`). Pure. Every length is checked against what is there.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Value = int | bytes


def pairs(data: bytes) -> Iterator[tuple[int, Value]]:
    """The (number, value) pairs of a message in the order they were written."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("proto: illegal tag 0")
        value: Value
        if wire == _VARINT:
            value, position = _varint(data, position)
        elif wire == _BYTES:
            length, position = _varint(data, position)
            value, position = _slice(data, position, length)
        elif wire in (_FIXED64, _FIXED32):
            value, position = _slice(data, position, 8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(f"proto: wiretype {wire} is not used by this API")
        yield number, value


def _slice(data: bytes, position: int, length: int) -> tuple[bytes, int]:
    end = position + length
    if end > len(data):
        raise ValueError("unexpected EOF")
    return data[position:end], end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 64:
        if position >= len(data):
            raise ValueError("unexpected EOF")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise ValueError("proto: integer overflow")


def encoded_varint(number: int) -> bytes:
    """A number that is not negative, as it is written."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def varints(data: bytes) -> Iterator[int]:
    """Packed numbers."""
    position = 0
    while position < len(data):
        number, position = _varint(data, position)
        yield number


def signed(number: int, bits: int) -> int:
    """A number that may be negative."""
    number &= 2**bits - 1
    return number - 2**bits if number >= 2 ** (bits - 1) else number


def number(value: Value) -> int:
    """The value of a field that must be a number."""
    if isinstance(value, int):
        return value
    raise ValueError("proto: wrong wireType for a number")


def block(value: Value) -> bytes:
    """The bytes of a field that must have some: a message, a string, or a float."""
    if isinstance(value, bytes):
        return value
    raise ValueError("proto: wrong wireType for a message")


def text(value: Value) -> str:
    """The value of a field that must be a string."""
    try:
        return block(value).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("proto: a string is not UTF-8") from None
