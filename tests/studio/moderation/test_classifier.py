"""The classifier's own process: started when needed, said once when it can't be."""

import asyncio
import os
import sys

import psutil
import pytest

from studio.moderation import moderator
from studio.moderation.moderator import PictureCheck, Unchecked
from tests.studio.conftest import png


def running(code: str) -> PictureCheck:
    """A classifier whose process runs this code."""
    check = PictureCheck()
    check.child.command = (sys.executable, "-c", code)
    return check


async def test_the_classifier_that_is_installed_judges_pictures() -> None:
    check = PictureCheck()
    try:
        assert 0 <= await check.score(png(300, 200)) < 0.5
        assert psutil.Process(check.child.process.pid).nice() > os.getpriority(os.PRIO_PROCESS, 0)
        with pytest.raises(Unchecked):
            await check.score(b"no picture")
        assert 0 <= await check.score(png(300, 200, form="WEBP")) < 0.5
    finally:
        await check.close()


async def test_a_classifier_that_cannot_start_is_said_once_and_not_tried_at_each_picture() -> None:
    check = running("raise SystemExit(1)")
    for words in ("process ended", "has failed a moment ago", "has failed a moment ago"):
        with pytest.raises(Unchecked, match=f"^the classifier {words}$"):
            await check.score(png())
    await check.close()


def test_the_model_is_the_hosts_or_the_package_s() -> None:
    assert PictureCheck().name == "open_nsfw"
    assert PictureCheck().child.command[1:] == ("-m", "vision.worker.safety")
    own = PictureCheck("models/mine")
    assert (own.name, own.child.command[1:]) == ("models/mine", ("-m", "vision.worker.safety", "models/mine"))


async def test_its_process_knows_no_secret_and_writes_nowhere(echo: PictureCheck, monkeypatch, capfd) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    told = ECHO.replace("data.decode()", "'DISCORD_TOKEN' in os.environ").replace(
        "sys, time", "os, sys, time"
    )
    echo.child.command = (sys.executable, "-c", "import sys; print('noise', file=sys.stderr)" + told)
    assert await echo.score(b"") == 0.0
    assert "noise" not in capfd.readouterr().err


async def test_closing_waits_for_a_start_that_is_under_way() -> None:
    check, goes_on = PictureCheck(), asyncio.Event()
    check.starting = asyncio.create_task(goes_on.wait())
    closing = asyncio.create_task(check.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    goes_on.set()
    await closing


async def test_a_start_that_failed_keeps_nobody_from_closing() -> None:
    async def fail() -> None:
        raise RuntimeError("can't start new thread")

    check = PictureCheck()
    check.starting = asyncio.create_task(fail())
    await check.close()


async def test_after_a_pause_it_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    check = running("raise SystemExit(1)")
    with pytest.raises(Unchecked, match="process ended"):
        await check.score(png())
    check.child.command = (sys.executable, "-c", ECHO)
    check.get_ready()
    await check.starting
    assert check.child.process is None, "not within the pause"
    monkeypatch.setattr(moderator, "PAUSE", 0.0)
    check.get_ready()
    await check.starting
    assert check.child.process is not None
    assert await check.score(b"0.5") == 0.5
    await check.close()


async def test_a_classifier_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderator, "ANSWER", 0.3)
    check = running("import time; time.sleep(60)")
    check.get_ready()
    await check.starting
    process = check.child.process
    async with asyncio.timeout(10):
        with pytest.raises(Unchecked, match="process ended"):
            await check.score(png())
    assert process.returncode is not None and check.child.process is None
    await check.close()


async def test_what_it_cannot_read_is_said_with_its_reason(echo: PictureCheck) -> None:
    echo.child.command = (
        sys.executable,
        "-c",
        ECHO.replace('"nsfw": float(data.decode())', '"error": "no picture"'),
    )
    with pytest.raises(Unchecked, match=r"^the classifier can't read it \(no picture\)$"):
        await echo.score(b"0.5")


async def test_without_pictures_the_process_ends_after_a_while(echo: PictureCheck, monkeypatch) -> None:
    monkeypatch.setattr(moderator, "IDLE", 0.4)
    assert await echo.score(b"0.5") == 0.5
    process = echo.child.process
    for _ in range(2):  # each picture begins the time anew
        await asyncio.sleep(0.1)
        assert await echo.score(b"0.5") == 0.5 and echo.child.process is process
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    assert echo.child.process is None
    monkeypatch.setattr(moderator, "IDLE", 60.0)
    assert await echo.score(b"0.5") == 0.5
    process = echo.child.process
    echo.child.let_go()
    await echo.close()
    assert process.returncode == 0, "closing waits for what was let go"


async def test_a_classifier_that_was_made_ready_is_the_one_that_judges() -> None:
    check = PictureCheck()
    try:
        check.get_ready()
        check.get_ready()
        await check.starting
        process = check.child.process
        assert process is not None and process.returncode is None
        check.get_ready()
        assert 0 <= await check.score(png(300, 200)) < 0.5 and check.child.process is process
    finally:
        await check.close()
    assert process.returncode is not None


ECHO = """
import json, struct, sys, time
while len(head := sys.stdin.buffer.read(4)) == 4:
    data = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
    time.sleep(0.1)
    print(json.dumps({"nsfw": float(data.decode())}), flush=True)
"""


@pytest.fixture
async def echo():
    """A classifier that takes 0.1 s and answers with the number that it was sent."""
    check = running(ECHO)
    yield check
    await check.close()


async def test_the_answer_for_a_cancelled_picture_is_nobody_elses(echo: PictureCheck) -> None:
    assert await echo.score(b"0.11") == 0.11
    asking = asyncio.create_task(echo.score(b"0.99"))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [await echo.score(data) for data in (b"0.01", b"0.02", b"0.03")] == [0.01, 0.02, 0.03]


async def test_a_picture_that_comes_just_after_a_rest_is_judged(echo: PictureCheck) -> None:
    assert await echo.score(b"0.5") == 0.5
    resting = echo.child.process
    echo.child.let_go()
    assert await echo.score(b"0.25") == 0.25
    assert resting is not None and await resting.wait() == 0
