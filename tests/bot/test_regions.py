"""The door for masks, as something that is no interaction would use it."""

import io

import pytest
from PIL import Image

from core.errors import ImageError, NotAllowedError
from core.requests import RegionRequest
from studio.authority import Actor
from studio.media.uploads import InMemory
from tests.bot.conftest import Studio, png
from tests.bot.test_asking import said
from tests.bot.test_presses import job_of, masks, press, single


async def window_of(studio: Studio, message):
    shown = said(await press(studio, message, "region"))
    return await studio.alice.click(shown, label="By words or with a mask")


async def test_a_mask_that_is_posted_makes_what_the_window_makes(studio: Studio) -> None:
    message = await single(studio)
    job, index = await studio.built.queue.job_of_message(message.id)
    mask = masks(Image.open(io.BytesIO(await message.attachments[0].read())).convert("RGB"))["erased"]
    ask = await studio.bot.studio.regions.ask(
        Actor(studio.alice.id, studio.guild.id, studio.channel.id), job.id, index, InMemory("mask.png", mask)
    )
    await studio.alice.submit_modal(
        await window_of(studio, message), {"prompt": "a boat", "mask": ("m.png", mask)}
    )
    assert isinstance(ask.request, RegionRequest)
    assert ask.request == (await job_of(studio, studio.last())).request
    assert ask.parent == (job.id, index)


async def test_a_strangers_mask_for_a_private_picture_is_refused(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --stealth")
    job = (await studio.members.recent(studio.alice.id))[0]
    mask = png(64, 64, (255, 255, 255))
    with pytest.raises(NotAllowedError, match="is private and belongs to somebody else"):
        await studio.bot.studio.regions.ask(
            Actor(studio.bob.id, studio.guild.id, studio.channel.id), job.id, 0, InMemory("mask.png", mask)
        )
    ask = await studio.bot.studio.regions.ask(
        Actor(studio.alice.id, studio.guild.id, studio.channel.id), job.id, 0, InMemory("mask.png", mask)
    )
    assert ask.private  # what comes from a private picture is private


@pytest.mark.parametrize(
    ("job_id", "index", "mask", "words"),
    [
        ("abcdefghjkmn", 0, png(64, 64), "exist, or was deleted"),
        (None, 7, png(64, 64), "no picture number 8"),
        (None, 0, b"GIF", "read as a picture"),
        (None, 0, b"x" * (11 * 2**20), "11.0 MB"),
    ],
)
async def test_what_cannot_be_a_region_is_told(studio: Studio, job_id, index, mask, words) -> None:
    job = await job_of(studio, await single(studio))
    with pytest.raises(ImageError, match=words):
        await studio.bot.studio.regions.ask(
            Actor(studio.alice.id, studio.guild.id, studio.channel.id),
            job_id or job.id,
            index,
            InMemory("mask.png", mask),
        )
