"""/describe: a numbered list, modals to edit, all, and again."""

import io

import pytest
from PIL import Image

from studio.texts import aspect_ratio, counted
from tests.bot.conftest import Studio, png
from tests.bot.test_presses import job_of, single
from tests.support.messages import ids_of, names_of, text_of


async def test_four_captions_with_their_buttons(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    message = studio.last()
    assert all(f"telling number {n}" in text_of(message) for n in (1, 2, 3, 4))
    labels = names_of(message)
    assert labels[:4] == ["1", "2", "3", "4"] and "Imagine all" in labels


@pytest.mark.parametrize("command", ["describe", "classify"])
async def test_without_a_picture_it_is_ones_last_and_says_so(studio: Studio, picture, command: str) -> None:
    none = await studio.alice.slash(studio.channel, command)
    assert "You have no picture here yet" in text_of(none.followups[-1])
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    drawn = await job_of(studio, studio.last())
    taken = await studio.alice.slash(studio.channel, command)
    assert f"your last one: `{drawn.id} 1`" in text_of(taken.followups[-1])
    assert (await job_of(studio, studio.last())).parent_id == drawn.id
    both = await studio.alice.slash(studio.channel, command, image=picture, link=f"{drawn.id} 2")
    assert "not both" in text_of((both.followups or [both.response])[-1])


async def test_a_number_opens_a_window_with_the_caption_to_edit_and_imagine(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.click(studio.last(), label="2")
    assert "telling number 2" in str(shown.modal)
    await studio.alice.submit_modal(shown, {"prompt": "a golden boat --seed 4"})
    assert "a golden boat" in text_of(studio.last()) and "seed 4" in text_of(studio.last())
    assert studio.last().attachments


async def test_a_wrong_flag_in_the_window_is_told(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.click(studio.last(), label="1")
    result = await studio.alice.submit_modal(shown, {"prompt": "a boat --sede 4"})
    assert "Did you mean" in text_of(result.response) and result.ephemeral


async def test_a_window_that_was_open_during_a_restart_still_works(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.click(studio.last(), label="1")
    await studio.restart()
    await studio.alice.submit_modal(shown, {"prompt": "a silver boat"})
    assert "a silver boat" in text_of(studio.last())


async def test_imagine_all_makes_four_jobs(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    await studio.alice.click(studio.last(), label="Imagine all")
    pictures = [m for m in studio.channel.history()[1:] if m.attachments]
    assert len(pictures) == 4
    assert all(any(f"telling number {n}" in text_of(m) for m in pictures) for n in (1, 2, 3, 4))


@pytest.mark.parametrize("menu", ["Describe", "Classify", "Vary", "Read text"])
async def test_a_forwarded_picture_is_taken_as_one_that_was_sent(studio: Studio, picture, menu: str) -> None:
    sent = await studio.bob.send(studio.channel, "look", attachments=[picture])
    await studio.bob.forward(sent, studio.channel)
    forwarded = studio.last()
    await studio.alice.context_menu(studio.channel, menu, forwarded)
    assert studio.last().id != forwarded.id and "job " in text_of(studio.last())


async def test_again_describes_anew(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    first = studio.last()
    await studio.alice.click(first, custom_id=next(i for i in ids_of(first) if ":again:" in i))
    assert studio.last().id != first.id and "telling number 1" in text_of(studio.last())


async def test_the_described_picture_is_shown_with_its_prompts(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    [shown] = studio.last().attachments
    with Image.open(io.BytesIO(await shown.read())) as image:
        assert image.size == (64, 48) and image.getpixel((5, 5)) == (200, 40, 40)


async def test_prompts_of_a_picture_have_its_shape(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "describe", image=("wide.png", png(96, 54)))
    message = studio.last()
    assert text_of(message).count("--ar 16:9") == 4
    shown = await studio.alice.click(message, label="2")
    assert shown.modal["components"][0]["component"]["value"] == "a picture, telling number 2 --ar 16:9"
    await studio.alice.click(message, label="Imagine all")
    assert [(await job_of(studio, m)).request.aspect_ratio for m in studio.channel.history()[-4:]] == [
        (16, 9)
    ] * 4


async def test_a_square_pictures_prompts_name_no_shape(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "describe", image=("square.png", png(64, 64)))
    assert "--ar" not in text_of(studio.last())


def test_a_shape_is_one_that_ar_takes() -> None:
    assert aspect_ratio(1639, 922) == (16, 9) and aspect_ratio(333, 500) == (2, 3)
    assert aspect_ratio(512, 510) is None and aspect_ratio(3000, 100) == (14, 1)
    assert aspect_ratio(1, 5000) == (1, 14)


async def test_imagine_all_has_the_members_own_settings(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "prefer suffix", new_value="--s 250")
    await studio.alice.slash(studio.channel, "describe", image=picture)
    await studio.alice.click(studio.last(), label="Imagine all")
    assert {(await job_of(studio, m)).request.stylize for m in studio.channel.history()[-4:]} == {250}


async def test_a_picture_of_ours_keeps_its_mark_and_others_get_none(studio: Studio, picture) -> None:
    message = await single(studio)
    await studio.alice.slash(studio.channel, "describe", link=f"{(await job_of(studio, message)).id} 2")
    assert b"trainedAlgorithmicMedia" in await studio.last().attachments[0].read()
    await studio.alice.slash(studio.channel, "describe", image=picture)
    assert b"trainedAlgorithmicMedia" not in await studio.last().attachments[0].read()


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((640, 416), (3, 2)),
        ((416, 640), (2, 3)),
        ((512, 512), None),
        ((1000, 990), None),
        ((1344, 768), (16, 9)),
        ((700, 500), (7, 5)),
        ((5000, 100), (14, 1)),
    ],
)
def test_a_described_picture_has_the_ratio_that_was_typed(size, ratio) -> None:
    assert aspect_ratio(*size) == ratio


def test_numbers_are_counted_as_people_do() -> None:
    assert [counted(n, "job") for n in range(3)] == ["0 jobs", "1 job", "2 jobs"]
