"""The classifier's own process: started when needed, said once when it can't be."""

import asyncio
import sys

import pytest

from studio.moderation.classifier import PictureCheck, Unchecked
from tests.studio.conftest import png


async def test_the_classifier_that_is_installed_judges_pictures() -> None:
    check = PictureCheck()
    try:
        assert 0 <= await check.score(png(300, 200)) < 0.5
        with pytest.raises(Unchecked):
            await check.score(b"no picture")
        assert 0 <= await check.score(png(300, 200, form="WEBP")) < 0.5
    finally:
        await check.close()


async def test_a_classifier_that_cannot_start_is_said_once_and_not_tried_at_each_picture() -> None:
    check = PictureCheck()
    check._command = (sys.executable, "-c", "raise SystemExit(1)")
    for _ in range(3):
        with pytest.raises(Unchecked):
            await check.score(png())
    await check.close()


async def test_a_classifier_that_was_made_ready_is_the_one_that_judges() -> None:
    check = PictureCheck()
    try:
        check.get_ready()
        check.get_ready()
        await check._starting
        process = check._process
        assert process is not None and process.returncode is None
        check.get_ready()
        assert 0 <= await check.score(png(300, 200)) < 0.5 and check._process is process
    finally:
        await check.close()
    assert process.returncode is not None


ECHO = """
import json, struct, sys, time
while len(head := sys.stdin.buffer.read(4)) == 4:
    data = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
    time.sleep(0.2)
    print(json.dumps({"nsfw": float(data.decode())}), flush=True)
"""


@pytest.fixture
async def echo():
    """A classifier that takes 0.2 s and answers with the number that it was sent."""
    check = PictureCheck()
    check._command = (sys.executable, "-c", ECHO)
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
    resting = echo._process
    echo._end_idle()
    assert await echo.score(b"0.25") == 0.25
    assert resting is not None and await resting.wait() == 0
