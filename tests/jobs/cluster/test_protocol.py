"""What comes over the wire can do no harm, and what goes over it is never pickled."""

import ast
import asyncio
import random
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from core.errors import WireError
from core.events import File, Output, Picture, Video
from core.results import Learned
from core.settings import ROOT
from jobs.cluster.file_transfer import FileLender, FileReceiver
from jobs.cluster.nats import VERSION, Message, OtherVersion, decode_message, encode_message
from jobs.cluster.protocol import Fetch, News, Put, StepReports, hash_file, put_together, taken_apart
from proofs.jobs.cluster import fuzz
from vision.protocol import LoadingModel, Step


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


ON_A_SOCKET = ("jobs/cluster",)
RUNS_CODE = set("pickle cPickle dill cloudpickle marshal shelve multiprocessing yaml joblib".split())
CALLS = {"eval", "exec", "compile", "__import__"}


def _offences(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names} & RUNS_CODE
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} & RUNS_CODE
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {node.func.id} & CALLS
    return found


def test_nothing_on_a_socket_is_pickled_or_run() -> None:
    files = [path for folder in ON_A_SOCKET for path in (ROOT / folder).glob("*.py")]
    assert len(files) > 5
    assert {path.name: found for path in files if (found := _offences(path.read_text()))} == {}
    assert _offences("import pickle") and _offences("from multiprocessing import Pipe")
    assert _offences("eval('1')")


async def test_no_message_makes_a_bot_or_an_agent_raise() -> None:
    figures = await fuzz.measure(6000)
    assert figures.crashes == []
    assert figures.read > 500 and figures.sent - figures.read > 500


def _picture(size: int) -> Picture:
    return Picture(bytes(size), "image/png", 1, 1)


def test_what_is_large_is_taken_out_of_a_message_and_put_back(tmp_path: Path) -> None:
    for name in ("video", "ends", "file", "model"):
        (tmp_path / name).write_bytes(name.encode() * 10)
    videos = (Video(str(tmp_path / "video"), 1, 1, 1, 1.0, _picture(9), None, str(tmp_path / "ends")),)
    files = (File("a.zip", str(tmp_path / "file"), "application/zip"),)
    output = Output(
        (_picture(70), _picture(10)), _picture(50), videos=videos, files=files,
        learned=Learned(str(tmp_path / "model"), ()),
    )  # fmt: skip
    apart, sent, made = taken_apart(output, 80)
    assert [len(picture.data) for picture in apart.pictures] == [0, 10]
    assert len(sent) == 8 and sent[1:4] == ("", "", "") and sent[0] and all(sent[4:])
    assert (apart.videos[0].path, apart.videos[0].ends) == ("video", "ends")
    held = {one.sha256: one.data or Path(one.path).read_bytes() for one in made}
    assert put_together(apart, sent, held.__getitem__, lambda sha256, name: str(tmp_path / name)) == output
    with pytest.raises(WireError, match="7 parts are named for 4 pictures and 4 files"):
        put_together(apart, sent[1:], held.__getitem__, lambda sha256, name: name)


async def test_a_file_is_lent_to_the_host_that_has_its_run_and_to_no_other(tmp_path: Path) -> None:
    path, lending = tmp_path / "picture", FileLender()
    path.write_bytes(b"pixels")
    sha256 = hash_file(path)[0]
    with lending.lent("a" * 16, "h1", {sha256: path}):
        assert (await lending.answer(Fetch("a" * 16, sha256, 2), "file.h1")).data == b"xels"
        assert (await lending.answer(Fetch("a" * 16, sha256, 99), "file.h1")).data == b""
        refused = [Fetch("b" * 16, sha256, 0), Fetch("a" * 16, "0" * 64, 0)]
        assert [(await lending.answer(one, "file.h1")).size for one in refused] == [-1, -1]
        assert (await lending.answer(Fetch("a" * 16, sha256, 0), "file.h2")).size == -1
        path.unlink()
        assert (await lending.answer(Fetch("a" * 16, sha256, 0), "file.h1")).size == -1
    assert (await lending.answer(Fetch("a" * 16, sha256, 0), "file.h1")).size == -1


async def test_parts_are_taken_in_order_of_one_run_and_checked_when_whole(tmp_path: Path) -> None:
    receiving, token, data = FileReceiver(tmp_path / "scratch"), "a" * 16, b"0123456789"
    (tmp_path / "whole").write_bytes(data)
    sha256 = hash_file(tmp_path / "whole")[0]

    async def put(offset: int, part: bytes, *, host: str = "h1", size: int = 10, name: str = sha256) -> int:
        return (await receiving.answer(Put(token, name, size, offset, part), f"put.{host}")).next

    assert await put(0, data) == -1  # nobody waits for it
    receiving.expect(token, "h1")
    assert await put(0, data, host="h2") == -1
    assert await put(5, data[5:]) == 0  # not its turn
    assert await put(0, data[:5]) == 5 and await put(0, data[:5]) == 5
    with pytest.raises(WireError, match="isn't whole"):
        receiving.read(token, sha256)
    assert await put(5, b"0123456") == -1  # more than it was said to be
    assert await put(5, data[5:]) == 10
    assert receiving.read(token, sha256) == data
    assert await put(0, b"x" * 10, name="0" * 64) == 10
    with pytest.raises(WireError, match="another SHA-256"):
        receiving.read(token, "0" * 64)
    assert await put(0, b"", size=2**39, name="1" * 64) == -1
    receiving.take(token, sha256, tmp_path / "one")
    receiving.take(token, sha256, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == data
    await receiving.drop(token)
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_steps_that_come_close_together_are_told_four_times_a_second() -> None:
    told: list[News] = []
    telling, began = StepReports("a" * 16, told.append), monotonic()
    telling(LoadingModel("job", "m"))
    telling(Step("job", 0, 1, seen="words in the picture"))
    for step in range(1, 61):
        telling(Step("job", step, 60, b"preview" if step == 30 else None))
        await asyncio.sleep(0.01)
    telling.flush()
    steps = [news.step for news in told if news.step is not None]
    assert told[0].loading is not None and steps[0].seen
    assert steps[-1].step == 60 and any(step.preview for step in steps)
    assert len(steps) <= 3 + (monotonic() - began) / 0.25 + 1
