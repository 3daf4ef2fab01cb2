"""/variation: of an attachment, a link, a job id, or the last picture."""

import pytest

from tests.bot.conftest import Studio
from tests.support.messages import text_of


async def test_of_an_attached_picture(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "variation", image=picture, strength="subtle", prompt="a boat")
    assert "Variations (Subtle)" in text_of(studio.last()) and "a boat" in text_of(studio.last())


async def test_of_ones_last_picture(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 20")
    await studio.alice.slash(studio.channel, "variation")
    assert "a boat" in text_of(studio.last()) and "seed 24" in text_of(studio.last())


async def test_of_a_message_link_and_of_a_job_id(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 20")
    grid = studio.last()
    job, _ = await studio.built.queue.job_of_message(grid.id)
    await studio.bob.slash(studio.channel, "variation", source=f"{job.id} 3")
    assert "seed 26" in text_of(studio.last())
    await studio.bob.slash(studio.channel, "variation", source=f"{grid.jump_url} 1")
    assert "seed 24" in text_of(studio.last())
    await studio.alice.click(grid, label="U2")
    await studio.bob.slash(studio.channel, "variation", source=studio.last().jump_url)
    assert "seed 25" in text_of(studio.last())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("https://discord.com/channels/99/1/2", "another server"),
        ("https://example.com/a.png", "takes a link to one of my messages"),
        ("abcdefghjkmn 1", "no job `abcdefghjkmn`"),
        ("hello", "takes a link"),
        (None, "no picture here yet"),
    ],
)
async def test_a_source_that_cannot_be_used_is_told(studio: Studio, source, words: str) -> None:
    options = {"source": source} if source else {}
    result = await studio.alice.slash(studio.channel, "variation", **options)
    assert words in text_of(result.followups[-1]) and result.followups[-1].ephemeral
    assert studio.channel.history() == []


async def test_a_grid_needs_a_number_and_the_number_must_exist(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    result = await studio.alice.slash(studio.channel, "variation", source=job.id)
    assert "Add the number" in text_of(result.followups[-1])
    result = await studio.alice.slash(studio.channel, "variation", source=f"{job.id} 7")
    assert "no picture number 7" in text_of(result.followups[-1])


async def test_image_and_source_exclude_each_other(studio: Studio, picture) -> None:
    result = await studio.alice.slash(studio.channel, "variation", image=picture, source="abcdefghjkmn 1")
    assert "not both" in text_of(result.followups[-1])


@pytest.mark.parametrize("number", ["9" * 19, "9" * 20, "9" * 4500])
async def test_a_link_with_a_huge_number_gets_a_sentence(studio: Studio, number: str) -> None:
    source = f"https://discord.com/channels/{studio.guild.id}/1/{number}"
    result = await studio.alice.slash(studio.channel, "variation", source=source)
    assert "went wrong" not in text_of((result.followups or [result.response])[-1])


async def test_a_command_without_a_picture_says_which_one_it_took(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    result = await studio.alice.slash(studio.channel, "variation")
    assert any(f"your last one: `{job.id} " in text_of(m) for m in result.followups), result.followups
    result = await studio.alice.slash(studio.channel, "variation", source=f"{job.id} 2")
    assert not [m for m in result.followups if m.ephemeral]
