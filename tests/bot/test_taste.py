"""/taste: what is known of somebody's taste, codes, and an end to learning."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import func, select

from storage.schema import taste_choices
from storage.wall import list_tiles
from studio.authority import Actor
from studio.library.wall import WallDrawing
from studio.tastes import NINE
from tests.bot.conftest import Studio
from tests.bot.test_own_models import told
from tests.bot.test_presses import press, single
from tests.jobs.conftest import eventually, until
from tests.support.messages import items_of, rows_of, text_of


async def hung(studio: Studio, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the first tiles of the wall of styles."""
    monkeypatch.setattr("studio.library.wall.vocabulary_of", lambda spec, folder: frozenset())
    built = studio.built
    drawing = WallDrawing(built.database, built.queue, replace(built.settings, wall_seconds=600))
    for _ in range(count):
        assert await drawing.ask_for_next()
        await until(lambda: not built.queue.unfinished)


async def test_a_member_is_told_how_well_they_are_known(studio: Studio) -> None:
    answer = await studio.alice.slash(studio.channel, "taste show")
    assert "`--p`" in told(answer) and "of yours: 0 of 5" in told(answer)
    pages = await studio.alice.click(answer.response, label="Rate nine")
    assert pages.ephemeral and "no more pictures to rate" in told(pages)


async def test_a_code_needs_something_that_is_liked(studio: Studio) -> None:
    assert "Nothing is liked there yet" in told(await studio.alice.slash(studio.channel, "taste code"))


async def test_a_code_is_made_listed_and_taken_back(studio: Studio) -> None:
    await press(studio, await single(studio), "favourite")
    made = told(await studio.alice.slash(studio.channel, "taste code", who="server"))
    code = made.partition("`--p ")[2].partition("`")[0]
    assert len(code) == 10 and "none of its pictures" in made
    assert f"`--p {code}`" in told(await studio.bob.slash(studio.channel, "taste show"))
    refused = told(await studio.bob.slash(studio.channel, "taste forget", code=code))
    assert "Only the owner" in refused
    gone = told(await studio.alice.slash(studio.channel, "taste forget", code=code))
    assert "The code is gone" in gone
    assert code not in told(await studio.bob.slash(studio.channel, "taste show"))


async def test_learning_is_turned_off_and_on(studio: Studio) -> None:
    off = told(await studio.alice.slash(studio.channel, "taste learn", learning="off"))
    assert "Nothing is learned" in off
    assert "Tastes are off" in told(await studio.alice.slash(studio.channel, "taste show"))
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --p")
    assert "`--p`: it acts on new pictures" in text_of(studio.last())
    await studio.alice.slash(studio.channel, "taste learn", learning="on")
    assert "of yours: 0 of 5" in told(await studio.alice.slash(studio.channel, "taste show"))


async def test_a_servers_taste_is_told_forgets_a_member_and_is_its_managers(studio: Studio) -> None:
    shown = told(await studio.alice.slash(studio.channel, "taste server"))
    assert "`--p server`" in shown and "hearts of 3 members" in shown and "--stealth never" in shown
    gone = told(await studio.alice.slash(studio.channel, "taste server", change="forget me"))
    assert "Your hearts don't count here" in gone
    assert "count from the night" in told(await studio.bob.slash(studio.channel, "taste server"))
    for change in ("reset", "on", "off"):
        refused = told(await studio.bob.slash(studio.channel, "taste server", change=change))
        assert "Manage Server" in refused
    off = told(await studio.mira.slash(studio.channel, "taste server", change="off"))
    assert "turned this server's taste off" in off
    await studio.mira.slash(studio.channel, "taste server", change="on")
    assert "No heart counts" in told(await studio.mira.slash(studio.channel, "taste server", change="reset"))


async def test_pages_of_nine_are_marked_and_teach_what_the_web_teaches(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = told(await studio.alice.slash(studio.channel, "taste nine"))
    assert "no more pictures to rate" in none and "of yours: 0 of 5" in none
    await hung(studio, 2 * NINE, monkeypatch)
    shown = (await studio.alice.slash(studio.channel, "taste nine")).response
    [mosaic] = shown.attachments
    assert (mosaic.filename, shown.flags.ephemeral) == ("nine.webp", True)
    assert mosaic.description.count(";") == NINE - 1
    assert [[item.name for item in row] for row in rows_of(shown)] == [
        *(["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]),
        ["None of these", "Next", "Back"],
    ]
    for number, mark in (("2", "2"), ("9", "9"), ("2", "2")):
        place = int(number) - 1
        await studio.alice.click(shown, custom_id=items_of(shown)[place].custom_id)
        assert items_of(shown)[place].name == mark
        assert [one.filename for one in shown.attachments] == ["nine.webp"], "the picture stays"
    await studio.restart()
    styles = [int(style) for style in items_of(shown)[0].custom_id.split(":")[2].split(".")]
    await studio.alice.click(shown, label="Next")
    database, model = studio.built.database, studio.built.settings.models["image"]
    of = {tile.job_id: tile.style for tile in await database.read(partial(list_tiles, model=model))}
    said = await database.read(lambda connection: connection.execute(select(taste_choices)).all())
    assert {of[row.job_id]: row.liked for row in said} == {style: int(style == styles[8]) for style in styles}
    second = items_of(shown)[0].custom_id
    await studio.alice.click(shown, label="Back")
    again, *_others = items_of(shown)
    back = [int(style) for style in again.custom_id.split(":")[2].split(".")]
    assert sorted(back) == sorted(styles) and again.custom_id.split(":")[1] != second.split(":")[1]
    assert int(again.custom_id.split(":")[3]) == 1 << back.index(styles[8]), "marked as it was"
    assert await database.read(lambda c: c.scalar(select(func.count()).select_from(taste_choices))) == 0
    refused = await studio.alice.click(shown, label="Back")
    assert "no page before" in told(refused)
    await studio.alice.click(shown, label="Next")
    await studio.alice.click(shown, label="None of these")
    assert "no more pictures to rate" in text_of(shown) and items_of(shown) == []
    assert (
        await database.read(lambda c: c.scalar(select(func.count()).select_from(taste_choices))) == 2 * NINE
    )


async def test_a_taste_is_made_strong_and_chosen_blind(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def added(*_: object) -> tuple[str, ...]:
        return ()  # nothing here can tell words

    monkeypatch.setattr("studio.tastes.Tastes.added", added)
    alice = Actor(studio.alice.id, studio.guild.id)

    async def settled() -> bool:
        card = await studio.bot.studio.taste_loras.card(alice)
        return not card.training and not card.drawing

    few = (await studio.alice.slash(studio.channel, "taste strong")).response
    assert "From 5 liked pictures on" in text_of(few) and items_of(few) == []
    for seed in range(0, 50, 10):
        await press(studio, await single(studio, f"a boat --seed {seed}"), "favourite")
    shown = (await studio.alice.slash(studio.channel, "taste strong")).response
    assert shown.flags.ephemeral and [item.name for item in items_of(shown)] == ["Make it strong"]
    await studio.alice.click(shown, label="Make it strong")
    await eventually(settled)
    shown = (await studio.alice.slash(studio.channel, "taste strong")).response
    labels = ["Train again", "Compare blind", "Turn on", "Delete the LoRA"]
    assert [item.name for item in items_of(shown)] == labels
    await studio.alice.click(shown, label="Compare blind")
    await eventually(settled)
    await studio.alice.click(shown, label="Choose blind")
    for number in range(1, 9):
        assert f"Pair {number} of 8" in text_of(shown)
        assert [one.filename for one in shown.attachments] == ["1.webp", "2.webp"]
        assert [item.name for item in items_of(shown)] == ["Picture 1", "Picture 2"]
        await studio.alice.click(shown, label="Picture 1")
    assert "in " in text_of(shown) and " of 8 pairs" in text_of(shown) and shown.attachments == []
    await studio.alice.click(shown, label="Delete the LoRA")
    assert "permanently deleted" in text_of(shown)
    await studio.alice.click(shown, label="Delete it for good")
    assert [item.name for item in items_of(shown)] == ["Make it strong"]
