"""/describe: a numbered list, modals to edit, all, and again."""

from tests.bot.conftest import Studio


async def test_four_captions_with_their_buttons(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    message = studio.last()
    assert all(f"telling number {n}" in message.content for n in (1, 2, 3, 4))
    labels = [child.label for row in message.components for child in row.children]
    assert labels[:4] == ["1", "2", "3", "4"] and "Imagine all" in labels


async def test_a_number_opens_a_window_with_the_caption_to_edit_and_imagine(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.click(studio.last(), label="2")
    assert "telling number 2" in str(shown.modal)
    await studio.alice.submit_modal(shown, {"prompt": "a golden boat --seed 4"})
    assert "a golden boat" in studio.last().content and "seed 4" in studio.last().content and studio.last().attachments


async def test_a_wrong_flag_in_the_window_is_told(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.click(studio.last(), label="1")
    result = await studio.alice.submit_modal(shown, {"prompt": "a boat --sede 4"})
    assert "Did you mean" in result.response.content and result.ephemeral


async def test_a_window_that_was_open_during_a_restart_still_works(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.click(studio.last(), label="1")
    await studio.restart()
    await studio.alice.submit_modal(shown, {"prompt": "a silver boat"})
    assert "a silver boat" in studio.last().content


async def test_imagine_all_makes_four_jobs(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    await studio.alice.click(studio.last(), label="Imagine all")
    pictures = [m for m in studio.channel.history() if m.attachments]
    assert len(pictures) == 4
    assert all(any(f"telling number {n}" in m.content for m in pictures) for n in (1, 2, 3, 4))


async def test_again_describes_anew(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    first = studio.last()
    ids = [child.custom_id for row in first.components for child in row.children]
    await studio.alice.click(first, custom_id=next(i for i in ids if ":again:" in i))
    assert studio.last().id != first.id and "telling number 1" in studio.last().content
