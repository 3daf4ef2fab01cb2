"""/outpaint: to a side, to a shape, all around."""

import io

import pytest
from PIL import Image

from tests.bot.conftest import Studio, png
from tests.support.messages import text_of


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"direction": "left"}, (96, 48)),
        ({"direction": "down"}, (64, 72)),
        ({"direction": "all"}, (96, 72)),
        ({"zoom": "2"}, (128, 96)),
        ({"aspect": "2:1"}, (96, 48)),
        ({"aspect": "1:1"}, (64, 64)),
        ({}, (96, 72)),
    ],
)
async def test_the_canvas_grows_as_asked(studio: Studio, options, size) -> None:
    await studio.alice.slash(studio.channel, "outpaint", image=("a.png", png(64, 48)), **options)
    picture = Image.open(io.BytesIO(await studio.last().attachments[0].read()))
    assert picture.size == size


async def test_direction_aspect_and_zoom_exclude_each_other(studio: Studio, picture) -> None:
    result = await studio.alice.slash(studio.channel, "outpaint", image=picture, direction="left", zoom="2")
    assert result.ephemeral and "one of" in text_of(result.response)


@pytest.mark.parametrize(("aspect", "words"), [("wide", "wide"), ("9:1", "4:1"), ("0:1", "16:9")])
async def test_a_wrong_aspect_is_told(studio: Studio, picture, aspect: str, words: str) -> None:
    result = await studio.alice.slash(studio.channel, "outpaint", image=picture, aspect=aspect)
    assert result.ephemeral and words in text_of(result.response)


async def test_a_shape_the_picture_has_already_is_told(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "outpaint", image=("a.png", png(64, 64)), aspect="1:1")
    assert "already" in text_of(result.followups[-1])


async def test_a_canvas_that_is_too_large_is_told(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "outpaint", image=("a.png", png(1500, 1500)), zoom="2")
    assert "3000×3000" in text_of(result.followups[-1]) and "2048" in text_of(result.followups[-1])
