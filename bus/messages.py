"""How messages are written: one byte for the version, then named fields in MessagePack.

A message is decoded into the class that its reader expects there, each field by its type: what is unknown,
missing, of another type or too large is refused. Nothing that is read can name code.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec

from core.errors import WireError

VERSION = 3  # of all messages; programs of two versions exchange none
MOST = 8 * 2**20  # bytes of a message, as the server takes them (max_payload)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of all messages. Where one of several may come, its class's name says which."""


T = TypeVar("T", bound=Message)


class OtherVersion(WireError):
    """A program of another version has sent a message. ``version``: its."""

    def __init__(self, version: int) -> None:
        super().__init__(f"a message of version {version}, where this program has {VERSION}")
        self.version = version


def _plain(value: object) -> str:
    """What stands in a message for a value that MessagePack has no form for, as in the rows."""
    return str(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)


def encode(message: Message, most: int = MOST) -> bytes:
    """Return a message as bytes. Raises WireError when these are more than ``most``, or when it can't be
    written."""
    buffer = bytearray((VERSION,))
    try:
        _encoder.encode_into(message, buffer, 1)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"{type(message).__name__} can't be written: {error}") from error
    if len(buffer) > most:
        raise WireError(f"{type(message).__name__} has {len(buffer):,} bytes, at most {most:,} are taken")
    return bytes(buffer)


def decode(data: bytes, kind: type[T], most: int = MOST) -> T:
    """Return the message that ``data`` is. kind: a class of messages, or a union of some. Raises WireError,
    OtherVersion for one of a program of another version."""
    if not data or len(data) > most:
        raise WireError(f"a message of {len(data):,} bytes, where 1 to {most:,} are taken")
    if data[0] != VERSION:
        raise OtherVersion(data[0])
    try:
        return _decoder(kind).decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"no {getattr(kind, '__name__', 'message')}: {error}") from error


@functools.cache
def _decoder(kind: Any) -> Any:
    return msgspec.msgpack.Decoder(kind)
