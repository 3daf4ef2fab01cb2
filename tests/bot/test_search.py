"""/search: a gallery for its asker alone, whose menu outlives a restart."""

import io
import re
from typing import Any

import pytest
from PIL import Image

from bot.cogs.search import FoundButton
from bot.ui.buttons import view_of
from storage import embeddings as rows
from storage import job_queries
from storage.schema import drafts
from tests.bot.conftest import Studio, open_studio
from tests.jobs.conftest import eventually
from tests.support.messages import alts_of, ids_of, items_of, text_of


async def draw(studio: Studio, who, prompt: str) -> str:
    """The id of a job that was drawn and looked at."""
    await who.slash(studio.channel, "imagine", prompt=prompt)
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    result = await studio.built.queue.result(job.id)
    wanted, model = [picture.sha256 for picture in result.pictures], studio.built.indexing.model

    async def seen() -> bool:
        return not await studio.built.database.read(lambda c: rows.without_vector(c, model, wanted))

    await eventually(seen)
    return job.id


async def places_of(studio: Studio, job_id: str) -> set[tuple[int | None, int]]:
    return await studio.built.database.read(lambda c: job_queries.message_places(c, job_id))


def found_in(message) -> tuple[str, ...]:
    """What the menu opens: jobs, each with the index of its picture."""
    return items_of(message)[0].values


async def search(studio: Studio, who=None, **options: Any):
    result = await (who or studio.alice).slash(studio.channel, "search", **options)
    assert result.ephemeral
    return result.response or result.followups[-1]


async def test_a_gallery_with_a_menu_comes_for_the_asker_alone(studio: Studio) -> None:
    house, boat = (
        await draw(studio, studio.alice, "a house 40 --seed 120"),
        await draw(studio, studio.alice, "a boat --seed 40"),
    )
    before = len(studio.channel.history())
    message = await search(studio, words="40")
    assert message.ephemeral and len(studio.channel.history()) == before
    assert "1 to 8" in text_of(message) and text_of(message).index("a house") < text_of(message).index(
        "a boat"
    )
    assert [one.split()[0] for one in found_in(message)] == [house] * 4 + [boat] * 4
    assert len(message.attachments) == 8 and "a house" in alts_of(message)[0]
    with Image.open(io.BytesIO(await message.attachments[0].read())) as copy:
        assert copy.format == "WEBP" and max(copy.size) <= 512


@pytest.mark.parametrize("before_the_menu", [False, True])
async def test_an_entry_opens_its_picture_with_its_buttons_also_after_a_restart(
    studio: Studio, before_the_menu: bool
) -> None:
    job = await draw(studio, studio.alice, "a boat --seed 40")
    message = await search(studio, words="boat")
    await studio.restart()
    places = await places_of(studio, job)
    if before_the_menu:  # a message of an earlier version
        view = view_of(FoundButton(job, 2, 3))
        old = await studio.bot.get_partial_messageable(studio.channel.id).send("found", view=view)
        result = await studio.alice.click(old, custom_id=f"se:{job}:2")
    else:
        menu = ids_of(message)[0]
        result = await studio.alice.select(message, [f"{job} 2"], custom_id=menu)
    opened = result.response or result.followups[-1]
    assert opened.ephemeral and opened.attachments and job in text_of(opened)
    assert f"at:{job}:strong:2" in ids_of(opened)
    assert await places_of(studio, job) == places, "no row says that others see it there"


async def test_a_picture_to_compare_with_is_not_told_by_its_hash(studio: Studio, picture) -> None:
    await draw(studio, studio.alice, "a boat --seed 40")
    message = await search(studio, words="boat", image=picture)
    assert text_of(message).startswith("🔍 **boat like a picture of yours** · 1 to ")
    assert not re.search("[0-9a-f]{64}", text_of(message))


async def test_pages_are_turned_also_after_a_restart(studio: Studio) -> None:
    for seed in (0, 40, 80):
        await draw(studio, studio.alice, f"a boat --seed {seed}")
    message = await search(studio, words="boat")
    _, on = [one for one in ids_of(message) if one.startswith("sp:")]
    assert "1 to 9" in text_of(message)
    await studio.restart()
    await studio.alice.click(message, custom_id=on)
    assert "10 to 12" in text_of(message) and len(found_in(message)) == 3
    await studio.built.database.write(lambda c: c.execute(drafts.delete()) and None)
    back, _ = [one for one in ids_of(message) if one.startswith("sp:")]
    said = await studio.alice.click(message, custom_id=back)
    assert "has expired" in text_of(said.followups[-1]) and "10 to 12" in text_of(message)


async def test_like_an_attached_picture(studio: Studio) -> None:
    await draw(studio, studio.alice, "a boat --seed 40")
    far = await draw(studio, studio.alice, "a house --seed 120")
    found = await studio.built.queue.result(far)
    data = await studio.built.files.get(found.pictures[1].sha256)
    message = await search(studio, image=("photo.png", data))
    assert found_in(message)[0] == f"{far} 1"


async def test_what_is_wrong_is_said_to_the_asker_alone(studio: Studio) -> None:
    for options, words in (
        ({}, "Say what to look for"),
        ({"words": "size:big"}, "isn't a filter; there are"),
        ({"words": "boat"}, "No picture fits"),
        ({"words": "like:abcd2345efgh"}, "no picture of job `abcd2345efgh` that you can see"),
    ):
        message = await search(studio, **options)
        assert words in text_of(message) and message.ephemeral
    assert studio.channel.history() == []


async def test_nobody_finds_what_others_keep_private(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 40 --stealth")
    [secret] = await studio.members.recent(studio.alice.id)
    assert "No picture fits" in text_of(await search(studio, studio.bob, words="boat"))
    said = await search(studio, studio.bob, words=f"like:{secret.id}")
    assert "that you can see" in text_of(said) and not said.attachments
    assert "1 to 4" in text_of(await search(studio, words="boat"))


async def test_without_a_model_it_goes_by_words_and_says_so(tmp_path) -> None:
    async with open_studio(tmp_path, SEARCH_PICTURES="off") as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert "no model here can look at pictures right now" in text_of(await search(studio, words="boat"))
