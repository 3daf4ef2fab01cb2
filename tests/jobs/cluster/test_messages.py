import random

import msgspec
import pytest

from core.errors import WireError
from jobs.cluster.nats import VERSION, Message, OtherVersion, decode_message, encode_message


class Told(Message, frozen=True):
    name: str
    numbers: tuple[int, ...] = ()
    data: bytes = b""


class Asked(Message, frozen=True):
    name: str


BOTH = Told | Asked


def test_a_message_comes_back_as_it_was() -> None:
    message = Told("ä b", (1, 2**63), b"\0\xff")
    assert decode_message(encode_message(message), Told) == message
    assert decode_message(encode_message(Asked("x")), BOTH) == Asked("x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes((VERSION,)),
        bytes((VERSION,)) + b"no message",
        encode_message(Asked("another")),
        bytes((VERSION,)) + msgspec.msgpack.encode({"type": "Told", "name": 5}),
        bytes((VERSION,)) + msgspec.msgpack.encode({"type": "Told", "name": "x", "more": 1}),
        bytes((VERSION,)) + msgspec.msgpack.encode({"type": "os.system", "name": "x"}),
        bytes((VERSION,)) + b"\x91" * 100_000 + b"\xc0",
    ],
    ids=[
        "empty",
        "only a version",
        "words",
        "another kind",
        "a wrong type",
        "a field more",
        "unknown",
        "deep",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_message(data, Told)


def test_a_message_of_another_version_says_so() -> None:
    with pytest.raises(OtherVersion) as caught:
        decode_message(bytes((VERSION + 1,)) + encode_message(Told("x"))[1:], Told)
    assert caught.value.version == VERSION + 1


def test_a_large_message_is_neither_sent_nor_read() -> None:
    message = Told("x", data=bytes(5000))
    with pytest.raises(WireError, match="at most 4,096"):
        encode_message(message, 4096)
    with pytest.raises(WireError, match="1 to 4,096"):
        decode_message(encode_message(message), Told, 4096)


def test_no_changed_message_gets_another_answer_than_a_message_or_a_refusal() -> None:
    chance, whole = random.Random(7), encode_message(Told("name", (1, 2, 3), b"data"))
    read = 0
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(1, len(data))] = chance.randrange(256)
        try:
            assert isinstance(
                decode_message(bytes(data[: chance.randrange(1, len(data) + 1)]), BOTH), Message
            )
            read += 1
        except WireError:
            pass
    assert 0 < read < 20_000
