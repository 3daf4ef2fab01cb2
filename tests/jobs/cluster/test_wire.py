"""What comes over the wire can do no harm, and what goes over it is never pickled."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from time import monotonic

import pytest

from core.errors import WireError
from core.events import File, Output, Picture, Video
from core.results import Learned
from core.settings import ROOT
from jobs.cluster.file_transfer import FileLender, FileReceiver
from jobs.cluster.protocol import Fetch, News, Put, StepReports, hash_file, put_together, taken_apart
from proofs.jobs.cluster import fuzz
from vision.protocol import LoadingModel, Step

ON_A_SOCKET = ("jobs/cluster",)
RUNS_CODE = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "multiprocessing",
    "yaml",
    "joblib",
}
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
    assert (
        _offences("import pickle")
        and _offences("from multiprocessing import Pipe")
        and _offences("eval('1')")
    )


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
    back = put_together(apart, sent, held.__getitem__, lambda sha256, name: str(tmp_path / name))
    assert back == output
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
