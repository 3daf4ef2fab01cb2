"""Somebody else's private job: every button, menu, window, reaction and command is refused with a sentence,
and nothing happens."""

import discord
import pytest
import sqlalchemy as sa

from bot.cogs.messages import CROSSES, ENVELOPES, RIGHT, STARS
from bot.cogs.search import FoundMenu
from bot.ui import buttons
from bot.ui.buttons import DYNAMIC_ITEMS, JobButton, JobMenu, RegionButton, RegionMenu, SheetMenu, view_of
from core.job import Status
from storage import schema
from studio.authority import TABLE
from studio.requests.actions import NEWER, RIGHTS
from tests.bot.conftest import Studio, png
from tests.bot.test_asking import said
from tests.bot.test_presses import press, single
from tests.support.messages import text_of

REASONS = {row.reason for row in TABLE.values()}
WINDOWS = ("caption", "short", "zoom", "region", *(f"remix:{action}" for action in RIGHTS))
# The others hold nobody's job: see test_the_other_buttons_are_their_pressers_own
ABOUT_A_JOB = {JobMenu, JobButton, RegionMenu, RegionButton, SheetMenu}


BY_THEMSELVES = {"users", "audit", "guilds", "picture_places", "picture_vectors"}  # tables that change


async def private_job(studio: Studio, prompt: str = "a secret boat --stealth --seed 100"):
    await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    return (await studio.members.recent(studio.alice.id))[0]


async def posted(studio: Studio, *items) -> discord.Message:
    """A message that anybody can press, with whatever ids: what a modified client can send."""
    channel = studio.bot.get_channel(studio.channel.id)
    sent = await channel.send("forged", view=view_of(*items))
    return next(m for m in studio.channel.history() if m.id == sent.id)


async def state(studio: Studio) -> dict[str, list]:
    """Everything of the database that a press could change; bob's own rows of having been seen left out, and
    what is indexed by itself."""

    def work(connection: sa.Connection) -> dict[str, list]:
        return {
            name: connection.exec_driver_sql(f"SELECT * FROM {name}").fetchall()  # noqa: S608  the schema's own
            for name in schema.metadata.tables
            if name not in BY_THEMSELVES
        }

    return await studio.built.queue.database.read(work)


async def refused(studio: Studio, result, before: dict, message: discord.Message | None = None) -> None:
    answers = [a for a in (result.response, *result.followups) if a is not None]
    assert answers and result.modal is None
    assert any(text_of(answer) in REASONS for answer in answers), [text_of(a) for a in answers]
    assert not any(answer.attachments for answer in answers)
    assert await state(studio) == before
    shown = [m.id for m in studio.channel.history()]
    assert message is None or shown == [message.id]
    assert not studio.bob.user.dm_channel.history()


async def test_a_strangers_press_on_a_private_job_does_nothing(studio: Studio) -> None:
    job = await private_job(studio)
    before, names = await state(studio), list(RIGHTS)
    for some in (names[at : at + 25] for at in range(0, len(names), 25)):
        message = await posted(studio, *(JobButton(job.id, action, 1) for action in some))
        for action in some:
            await refused(
                studio, await studio.bob.click(message, custom_id=f"at:{job.id}:{action}:1"), before, message
            )
        await message.delete()


async def test_the_menus_of_a_private_job_are_not_for_strangers(studio: Studio) -> None:
    job = await private_job(studio)
    before, names = await state(studio), list(RIGHTS)
    for some in (names[at : at + 25] for at in range(0, len(names), 25)):
        message = await posted(studio, JobMenu(job.id, 1, "more", some))
        for action in some:
            result = await studio.bob.select(message, [action], custom_id=f"mn:{job.id}:1:more")
            await refused(studio, result, before, message)
        await message.delete()
    for action in buttons.SHEETS:
        message = await posted(studio, SheetMenu(job.id, action, {1: "2"}))
        await refused(studio, await studio.bob.select(message, ["1"]), before, message)
        await message.delete()
    message = await posted(studio, FoundMenu(job.id, {f"{job.id} 1": "a boat"}))
    await refused(studio, await studio.bob.select(message, [f"{job.id} 1"]), before, message)


async def test_an_entry_that_this_version_doesnt_know_says_so(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    job = (await studio.members.recent(studio.alice.id))[0]
    message = await posted(studio, JobMenu(job.id, 1, "more", ["sing"]))
    result = await studio.alice.select(message, ["sing"], custom_id=f"mn:{job.id}:1:more")
    assert NEWER in text_of(said(result))


async def test_the_fields_of_a_private_picture_are_not_for_strangers(studio: Studio) -> None:
    job = await private_job(studio)
    message = await posted(studio, RegionMenu(job.id, 1), RegionButton(job.id, 1))
    before = await state(studio)
    await refused(studio, await studio.bob.select(message, ["1"]), before, message)
    await refused(studio, await studio.bob.click(message, label="By words or with a mask"), before, message)


@pytest.mark.slow
async def test_a_window_with_the_id_of_a_private_job_is_refused(studio: Studio) -> None:
    job = await private_job(studio)
    message = await single(studio)
    before, history = await state(studio), len(studio.channel.history())
    for window in WINDOWS:
        shown = await press(studio, message, "remix", studio.bob)
        what, _, more = window.partition(":")
        custom_id = f"mo:{what}:{job.id}:1:{more}"
        answered = await studio.submit_as(studio.bob, shown, custom_id, {"prompt": "a boat"})
        await refused(studio, answered, before)
        assert len(studio.channel.history()) == history


async def test_a_strangers_reaction_to_a_private_picture_does_nothing(studio: Studio) -> None:
    """There is nowhere to say it, so it isn't said."""
    job = await private_job(studio)
    message = await posted(studio, JobButton(job.id, "details"))
    await studio.built.queue.add_view(job.id, message.id, studio.channel.id, studio.guild.id, index=1)
    before = await state(studio)
    for emoji in (*ENVELOPES, *CROSSES, *STARS, RIGHT):
        await studio.bob.react(message, emoji)
        assert await state(studio) == before and [m.id for m in studio.channel.history()] == [message.id]
        assert not studio.bob.user.dm_channel.history()
    await studio.alice.react(message, STARS[0])
    assert await state(studio) != before  # her own is followed


async def test_message_menus_on_a_private_picture_are_not_for_strangers(studio: Studio) -> None:
    job = await private_job(studio)
    message = await posted(studio, JobButton(job.id, "details"))
    await studio.built.queue.add_view(job.id, message.id, studio.channel.id, studio.guild.id, index=1)
    for menu in studio.bot.tree.get_commands(type=discord.AppCommandType.message):
        before = await state(studio)
        await refused(
            studio, await studio.bob.context_menu(studio.channel, menu.name, message), before, message
        )


async def test_commands_with_the_id_of_a_private_job_are_refused(studio: Studio) -> None:
    job = await private_job(studio)
    named, link, region = (
        {"job": job.id},
        {"link": f"{job.id} 1"},
        {"source": f"{job.id} 1", "prompt": "a", "fields": "1"},
    )
    options = {"show": named, "queue cancel": named, "region": region, "describe": link, "classify": link}
    before = await state(studio)
    for command in ("variation", "outpaint", "upscale", *options):
        await refused(
            studio,
            await studio.bob.slash(
                studio.channel, command, **options.get(command, {"source": f"{job.id} 1"})
            ),
            before,
        )


async def test_a_strangers_cross_doesnt_end_a_private_job_that_runs(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.alice.slash(studio.channel, "imagine", prompt="a slow boat --stealth")
    job = (await studio.members.recent(studio.alice.id))[0]
    message = await posted(studio, JobButton(job.id, "cancel"))
    result = await studio.bob.click(message, custom_id=f"at:{job.id}:cancel:0")
    assert text_of(said(result)) in REASONS
    assert (await studio.built.queue.job(job.id)).status not in (Status.CANCELLED, Status.FAILED)
    await studio.alice.click(message, custom_id=f"at:{job.id}:cancel:0")


async def test_the_other_buttons_are_their_pressers_own(studio: Studio) -> None:
    assert {
        item for item in DYNAMIC_ITEMS if "job_id" in item.__discord_ui_compiled_template__.groupindex
    } == ABOUT_A_JOB
    draft = await studio.members.add_draft(studio.alice.id, {"prompts": ["a"], "pictures": {}, "count": 1})
    message = await posted(studio, buttons.DraftButton(draft, "yes"))
    result = await studio.bob.click(message, label="Yes")
    assert "This question was for somebody else" in text_of(said(result))
    upload = await studio.built.files.put(png(), "image/png")
    await studio.built.queue.people.note_upload(studio.alice.id, upload)
    message = await posted(studio, buttons.UploadButton(upload, "variation"))
    result = await studio.bob.click(message, label="Vary")
    assert "That picture is gone" in text_of(said(result))
    assert not await studio.members.recent(studio.bob.id)
