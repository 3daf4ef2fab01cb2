"""The classifier's own process: started when needed, said once when it can't be."""

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
