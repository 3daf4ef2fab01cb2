"""What sent pictures say of themselves."""

import pytest

from tests.bot.conftest import open_studio
from tests.support.messages import act


@pytest.mark.parametrize("on", [True, False])
async def test_the_host_decides_what_pictures_say(tmp_path, on: bool) -> None:
    word = "on" if on else "off"
    async with open_studio(tmp_path, AI_MARK=word, PICTURE_PARAMETERS=word) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        grid = studio.last()
        data = await grid.attachments[0].read()
        assert (b"trainedAlgorithmicMedia" in data) == on
        await studio.alice.click(grid, label="U1")
        single = studio.last()
        assert (b"trainedAlgorithmicMedia" in await single.attachments[0].read()) == on
        if on:
            await act(studio.alice, single, "zoom15")
            assert b"compositeWithTrainedAlgorithmicMedia" in await studio.last().attachments[0].read()
