"""Conversations in messages: what a turn's message shows, and what its buttons and menus do."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import discord
import pytest

from bot.talk import BY_MESSAGE, STEALTH
from bot.ui.replies import Post
from bot.ui.turns import MEANT, OTHER, rows_of_offers, turn_of, waiting_text
from core.job import Surface
from core.requests import AskRequest, CutOutRequest, EditRequest, ImagineRequest, UpscaleRequest
from core.requests.video import VideoRequest
from studio.authority import Actor
from studio.talk.plans import WELCOME
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_ask import MODEL, labels
from tests.bot.test_mentions import CAT, last_dm, me
from tests.bot.test_presses import job_of
from tests.bot.test_videos import MP4
from tests.support.messages import ids_of, text_of

SETTINGS = MODEL


async def said(studio: Studio, words: str, *files: tuple[str, bytes]) -> discord.Message:
    """What alice reads when she writes to the bot."""
    await studio.send_dm(studio.alice.user, words, *files)
    return last_dm(studio, studio.alice)


async def mentioned(studio: Studio, who, words: str, channel=None, **more) -> discord.Message:
    """What stands in a channel after a mention."""
    await who.send(channel or studio.channel, f"{me(studio)} {words}", **more)
    return studio.last(channel)


def menu(message, kind: str = "tm:") -> str:
    """The custom_id of a menu, also of a message that one person sees."""
    return next(one for one in ids_of(message) if one.startswith(kind))


async def test_a_conversation_is_one_message_a_turn_with_what_was_understood(studio: Studio) -> None:
    first = await said(studio, "a red house in the snow")
    assert isinstance((await job_of(studio, first)).request, ImagineRequest)
    assert "Understood: a new picture" in text_of(first) and first.attachments
    assert labels(first)[:5] == ["1", "2", "3", "4", "🔄"] and "Undo" not in labels(first)
    second = await said(studio, "make it blue")
    job = await job_of(studio, second)
    assert isinstance(job.request, EditRequest) and job.parent_id == (await job_of(studio, first)).id
    assert "Understood: changing 1 (a red house in the snow)" in text_of(second)
    assert "-# 1 a red house in the snow · 2 make it blue" in text_of(second)
    third = await said(studio, "go back to the first one")
    assert third.attachments[0].filename == first.attachments[0].filename
    assert labels(third)[:5] == ["1", "2", "3", "4", "🔄"]
    assert isinstance((await job_of(studio, await said(studio, "make it move"))).request, VideoRequest)
    assert len(studio.alice.user.dm_channel.history()) == 8


async def test_its_buttons_are_turns_as_words_are(studio: Studio) -> None:
    grid = await said(studio, "a red house")
    await studio.alice.user.click(grid, label="2")
    picked = last_dm(studio, studio.alice)
    job = await job_of(studio, grid)
    assert f"job {job.id} 2" in text_of(picked) and "Undo" in labels(picked)
    for label, kind in (("Cut out", CutOutRequest), ("Upscale", UpscaleRequest), ("Animate", VideoRequest)):
        await studio.alice.user.click(picked, label=label)
        made = await job_of(studio, last_dm(studio, studio.alice))
        assert isinstance(made.request, kind) and (made.parent_id, made.parent_index) == (job.id, 1)
    await studio.alice.user.click(picked, label="Undo")
    undone = last_dm(studio, studio.alice)
    assert labels(undone)[:2] == ["1", "2"] and "Undo" not in labels(undone)
    await studio.alice.user.click(undone, label="Redo")
    assert f"job {job.id} 2" in text_of(last_dm(studio, studio.alice))


async def test_the_menu_takes_a_sentence_for_something_else(studio: Studio) -> None:
    await said(studio, "a red house")
    message = await said(studio, "make it blue")
    await studio.alice.user.select(message, ["draw"], custom_id=menu(message))
    made = await job_of(studio, last_dm(studio, studio.alice))
    assert isinstance(made.request, ImagineRequest) and made.request.prompt == "make it blue"
    assert set(MEANT) > {"draw", "change"} and (await job_of(studio, message)).status.over


async def test_the_menu_takes_a_sentence_as_about_another_picture(studio: Studio) -> None:
    first = await said(studio, "a red house")
    await said(studio, "a completely new picture: a green boat at sea --seed 7")
    message = await said(studio, "make it blue")
    result = await studio.alice.user.select(message, [OTHER], custom_id=menu(message))
    asked = result.response or result.followups[-1]
    await studio.alice.user.select(asked, ["1"], custom_id=menu(asked, "to:"))
    made = await job_of(studio, last_dm(studio, studio.alice))
    assert isinstance(made.request, EditRequest) and made.parent_id == (await job_of(studio, first)).id


async def test_what_is_unclear_is_asked_with_buttons(studio: Studio) -> None:
    await said(studio, "a red house")
    asked = await said(studio, "a boat")
    offers = labels(asked)[:2]
    assert offers == ["Draw it", "Add it to 1 (a red house)"] and not asked.attachments
    await studio.alice.user.click(asked, label=offers[1])
    made = await job_of(studio, last_dm(studio, studio.alice))
    assert isinstance(made.request, EditRequest) and "boat" in made.request.prompt


async def test_a_turn_that_comes_too_early_waits_for_its_picture(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.built.queue.pause(studio.mira.id)
    first = await said(studio, "a red house")
    second = await said(studio, "make it blue")
    assert "Waiting for the picture before" in text_of(second) and not second.attachments
    third = await said(studio, "add a boat")
    await studio.built.queue.resume(studio.mira.id)
    async with asyncio.timeout(20):
        while not last_dm(studio, studio.alice).attachments:
            await asyncio.sleep(0.02)
            await studio.env.settle()
    messages = studio.alice.user.dm_channel.history()
    assert [one.id for one in messages[1::2]] == [first.id, second.id, third.id] and len(messages) == 6
    assert all(one.attachments for one in messages[1::2])


async def test_each_step_of_a_plan_has_its_message_before_its_job_is_done(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    asked = await said(studio, "draw a red house, then make it blue, then upscale it")
    await studio.alice.user.click(asked, label="Do all 3 steps")
    dm = studio.alice.user.dm_channel
    async with asyncio.timeout(20):
        while len(dm.history()) < 5 or not dm.history()[-1].attachments:
            await asyncio.sleep(0.02)
            await studio.env.settle()
    messages = studio.alice.user.dm_channel.history()[2:]
    jobs = [await job_of(studio, one) for one in messages]
    assert [job.request.kind for job in jobs] == ["imagine", "edit", "upscale"]
    assert [job.reply.message_id for job in jobs[1:]] == [one.id for one in messages[1:]]
    assert all("Understood" in text_of(one) and one.attachments for one in messages)


async def test_steps_of_a_private_plan_have_no_message_in_a_channel(studio: Studio) -> None:
    asked = await mentioned(studio, studio.alice, "draw a red house, then make it blue")
    await studio.alice.slash(studio.channel, "stealth")
    before = len(studio.channel.history())
    await studio.alice.click(asked, label="Do all 2 steps")
    async with asyncio.timeout(20):
        while not (studio.alice.user.dm_channel and studio.alice.user.dm_channel.history()):
            await asyncio.sleep(0.02)
            await studio.env.settle()
    assert len(studio.channel.history()) == before


async def test_a_turn_of_the_web_waits_beside_the_bot(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.built.queue.pause(studio.mira.id)
    dialogues = studio.bot.studio.dialogues
    actor = Actor(studio.alice.user.id, None, surface=Surface.WEB)
    first = await dialogues.say(actor, "a red house")
    await dialogues.submit(actor, first)
    second = await dialogues.say(actor, "make it blue", after=first.id)
    assert await dialogues.submit(actor, second) is None
    await studio.built.queue.resume(studio.mira.id)
    async with asyncio.timeout(20):
        while (await dialogues.turn(actor, second.id)).job is None:
            await asyncio.sleep(0.02)
            await studio.env.settle()


async def test_a_turn_whose_picture_never_comes_says_so(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.built.queue.pause(studio.mira.id)
    first = await said(studio, "a red house")
    second = await said(studio, "make it blue")
    await studio.alice.user.click(first, label="Cancel")
    await studio.built.queue.resume(studio.mira.id)
    async with asyncio.timeout(20):
        while "Waiting" in text_of(last_dm(studio, studio.alice)):
            await asyncio.sleep(0.02)
            await studio.env.settle()
    ended = last_dm(studio, studio.alice)
    assert ended.id == second.id and "isn't in this conversation any more" in text_of(ended)


async def test_the_same_message_told_twice_is_one_turn(studio: Studio) -> None:
    sent = await studio.send_dm(studio.alice.user, "a red house")
    message = await (await studio.bot.fetch_channel(sent.channel.id)).fetch_message(sent.id)
    before = len(studio.alice.user.dm_channel.history())
    cog = studio.bot.get_cog("Sent")
    await asyncio.gather(cog.on_message(message), cog.on_message(message))
    await studio.restart()
    await studio.bot.get_cog("Sent").on_message(message)
    assert len(studio.alice.user.dm_channel.history()) == before


async def test_an_edited_message_does_nothing(studio: Studio) -> None:
    sent = await studio.alice.send(studio.channel, f"{me(studio)} a red house")
    await studio.alice.edit(sent, f"{me(studio)} a blue boat")
    assert len(studio.channel.history()) == 2


async def test_a_deleted_message_takes_its_words_with_it(studio: Studio) -> None:
    sent = await studio.send_dm(studio.alice.user, "a secret house")
    job = await job_of(studio, last_dm(studio, studio.alice))
    dialogues, turn_id = studio.bot.studio.dialogues, turn_of(job)
    payload = SimpleNamespace(message_id=sent.id)
    await studio.bot.get_cog("Sent").on_raw_message_delete(payload)
    turn = await dialogues.turn(alone(studio), turn_id)
    assert turn.said == "" and "secret" not in str(turn.decision)


async def test_stealth_in_a_channel_refuses_and_in_direct_messages_works(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "stealth")
    await mentioned(studio, studio.alice, "a red house")
    assert STEALTH in text_of(studio.last()) and not studio.last().attachments
    result = await studio.alice.slash(studio.channel, "talk", words="a red house")
    assert result.ephemeral and len(studio.channel.history()) == 2
    assert (await said(studio, "a green house")).attachments


async def test_of_a_private_picture_nothing_is_shown_in_a_channel(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "stealth")
    await studio.alice.slash(studio.channel, "talk", words="a red house")
    await studio.alice.slash(studio.channel, "public")
    await mentioned(studio, studio.alice, "make it blue")
    assert text_of(studio.last()) == BY_MESSAGE and last_dm(studio, studio.alice).attachments
    await mentioned(studio, studio.alice, "a boat")
    await mentioned(studio, studio.alice, "go back to the first one")
    assert STEALTH in text_of(studio.last())
    told = [one for one in studio.channel.history() if one.author.bot]
    assert len(told) == 3 and not any(one.attachments or "red" in text_of(one) for one in told)


async def test_others_go_on_from_what_they_may_see(studio: Studio) -> None:
    message = await mentioned(studio, studio.alice, "a red house")
    answer = await mentioned(studio, studio.bob, "make it blue", reply_to=message)
    job = await job_of(studio, answer)
    assert job.origin.user_id == studio.bob.id and job.parent_id == (await job_of(studio, message)).id
    assert "a red house" not in text_of(answer).split("Understood")[1].splitlines()[0]
    await studio.bob.select(message, ["ask"], custom_id=menu(message))
    assert len(studio.channel.history()) == 4  # what alice meant, she says herself


async def test_a_reply_to_a_picture_of_a_command_begins_a_conversation(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    before = studio.last()
    answer = await mentioned(studio, studio.bob, "make it blue", reply_to=before)
    job = await job_of(studio, answer)
    assert isinstance(job.request, EditRequest) and job.parent_id == (await job_of(studio, before)).id


async def test_a_thread_goes_on_from_the_message_that_it_began_under(studio: Studio) -> None:
    message = await mentioned(studio, studio.alice, "a red house")
    await studio.bob.click(message, label="Thread")
    [thread] = studio.channel.threads
    assert studio.bot.get_channel(thread.id).name == "a red house"
    answer = await mentioned(studio, studio.bob, "make it blue", thread)
    assert (await job_of(studio, answer)).parent_id == (await job_of(studio, message)).id
    later = await mentioned(studio, studio.alice, "add a boat", thread)
    assert (await job_of(studio, later)).parent_id == (await job_of(studio, answer)).id


async def test_a_picture_that_is_sent_with_words_is_what_they_are_about(studio: Studio) -> None:
    answer = await said(studio, "make it blue", CAT)
    request = (await job_of(studio, answer)).request
    assert isinstance(request, EditRequest) and request.prompt == "make it blue"


async def test_a_video_that_is_sent_is_asked_about_and_its_first_frame_is_changed(studio: Studio) -> None:
    asked = await job_of(studio, await said(studio, "what happens here?", MP4))
    assert isinstance(asked.request, AskRequest) and asked.request.film_seconds > 0
    message = await said(studio, "make it blue", MP4)
    job = await job_of(studio, message)
    assert isinstance(job.request, EditRequest) and "Understood: changing 1" in text_of(message)
    assert (await studio.built.files.get(job.request.image)).startswith(b"\x89PNG")
    assert "`/video`" in text_of(await said(studio, "make it move", MP4))


async def test_a_reply_to_a_video_is_about_the_picture_that_it_was_made_from(studio: Studio) -> None:
    grid = await said(studio, "a red house")
    moved = await job_of(studio, await said(studio, "animate it"))
    assert isinstance(moved.request, VideoRequest)
    await said(studio, "new")
    shown = (await job_of(studio, grid)).id, moved.parent_index
    turn = await studio.bot.studio.dialogues.say(
        alone(studio), "make it blue", after=None, given=[f"{moved.id} 1"]
    )
    assert turn.kind == "change" and turn.new.parent == shown


async def test_a_search_is_its_askers_alone(studio: Studio) -> None:
    await mentioned(studio, studio.alice, "a red house")
    asked = await mentioned(studio, studio.alice, "find my pictures of a red house")
    assert not asked.attachments
    result = await studio.alice.click(asked, label="Show them")
    assert result.ephemeral
    found = await said(studio, "find my pictures of a red house")
    assert found.attachments, text_of(found)


async def test_the_list_of_changes_takes_one_out(studio: Studio) -> None:
    await said(studio, "a red house")
    await said(studio, "make it blue")
    message = await said(studio, "add a boat")
    result = await studio.alice.user.click(message, label="Changes")
    listed = result.response or result.followups[-1]
    assert "1. a red house\n2. make it blue\n3. add a boat" in text_of(listed)
    await studio.alice.user.select(listed, ["2"], custom_id=menu(listed, "tc:"))
    made = await job_of(studio, last_dm(studio, studio.alice))
    assert isinstance(made.request, EditRequest) and made.request.prompt == "add a boat"


async def test_what_is_kept_counts_the_turns(studio: Studio) -> None:
    await said(studio, "a red house")
    await said(studio, "thank you")
    shown = await studio.alice.slash(studio.channel, "privacy show")
    assert "**Stored** 1 job" in text_of(shown.followups[-1])
    assert " 2 turns in conversations," in text_of(shown.followups[-1])


async def test_buttons_of_before_a_restart_work_after_it(studio: Studio) -> None:
    grid = await said(studio, "a red house")
    changed = await said(studio, "make it blue")
    asked = await said(studio, "boat")
    user, drawn = studio.alice.user, await job_of(studio, grid)
    shown = await user.click(changed, label="Changes")
    listed = shown.response or shown.followups[-1]
    await studio.restart()
    for number in "1234":
        await user.click(grid, label=number)
        assert f"job {drawn.id} {number}" in text_of(last_dm(studio, studio.alice))
    await user.click(changed, label="Undo")
    undone = last_dm(studio, studio.alice)
    assert labels(undone)[:4] == ["1", "2", "3", "4"] and "Redo" in labels(undone)
    await studio.restart()
    await user.click(undone, label="Redo")
    assert f"job {(await job_of(studio, changed)).id}" in text_of(last_dm(studio, studio.alice))
    for label, kind in (("Upscale", UpscaleRequest), ("Cut out", CutOutRequest), ("Animate", VideoRequest)):
        await user.click(changed, label=label)
        assert isinstance((await job_of(studio, last_dm(studio, studio.alice))).request, kind), label
    await user.click(grid, custom_id=f"tn:{menu(grid).removeprefix('tm:')}:again:0")
    assert isinstance((await job_of(studio, last_dm(studio, studio.alice))).request, ImagineRequest)
    await user.click(asked, label="Add it to 2 (make it blue)")
    added = await job_of(studio, last_dm(studio, studio.alice))
    assert isinstance(added.request, EditRequest) and added.request.prompt == "add boat"
    await user.select(listed, ["2"], custom_id=menu(listed, "tc:"))
    assert "Without: make it blue" in text_of(last_dm(studio, studio.alice))
    await user.select(grid, ["find"], custom_id=menu(grid))
    assert "🔍 **red house**" in text_of(last_dm(studio, studio.alice))


def alone(studio: Studio) -> Actor:
    """Alice in her direct messages."""
    return Actor(studio.alice.id, None, studio.alice.user.dm_channel.id)


async def test_a_turn_that_was_written_and_not_shown_is_shown_after_a_restart_once(studio: Studio) -> None:
    sent = await studio.send_dm(studio.alice.user, "", CAT)
    count = len(studio.alice.user.dm_channel.history())
    await studio.bot.studio.dialogues.say(alone(studio), "thank you", once=f"message:{sent.id}")
    for _ in range(2):
        await studio.restart()
        assert WELCOME in text_of(last_dm(studio, studio.alice))
        assert len(studio.alice.user.dm_channel.history()) == count + 1


@pytest.mark.parametrize("shown", [False, True])
async def test_a_turn_without_its_job_goes_on_after_a_restart_in_one_message(
    studio: Studio, shown: bool
) -> None:
    """Also where its message had been sent, which nothing had noted."""
    sent = await studio.send_dm(studio.alice.user, "", CAT)
    count = len(studio.alice.user.dm_channel.history())
    once = f"message:{sent.id}"
    turn = await studio.bot.studio.dialogues.say(alone(studio), "a red house", once=once)
    if shown:
        channel = await studio.bot.fetch_channel(sent.channel.id)
        await channel.send(waiting_text(turn), view=Post("", rows=rows_of_offers(turn)).plain_view())
    await studio.restart()
    await studio.bot.studio.dialogues.resume()
    async with asyncio.timeout(20):
        while not last_dm(studio, studio.alice).attachments:
            await asyncio.sleep(0.02)
            await studio.env.settle()
    assert len(studio.alice.user.dm_channel.history()) == count + 1
    await studio.restart()
    assert last_dm(studio, studio.alice).attachments
    assert len(studio.alice.user.dm_channel.history()) == count + 1


@pytest.mark.parametrize("shown", [False, True])
async def test_a_step_that_goes_on_after_a_restart_has_one_message_before_its_picture(
    studio: Studio, shown: bool
) -> None:
    """Also where its message had been sent, which nothing had noted."""
    studio.hooks.wait = studio.outside
    dialogues = studio.bot.studio.dialogues
    asked = await said(studio, "draw a red house, then make it blue")
    turn = await dialogues.of_message(alone(studio), asked.id)
    async with dialogues.running():  # until an end of the process
        first = await dialogues.offer(alone(studio), turn.id, 0)
    second = (await dialogues.tree(alone(studio), first.id))[-1]
    assert second.waits_for == first.id and second.message_id is None
    if shown:
        channel = await studio.bot.fetch_channel(asked.channel.id)
        await channel.send(waiting_text(second), view=Post("", rows=rows_of_offers(second)).plain_view())
    await studio.restart()
    dialogues = studio.bot.studio.dialogues
    async with asyncio.timeout(60):
        while (second := await dialogues.turn(alone(studio), second.id)).job is None:
            await asyncio.sleep(0.1)
            await studio.env.settle()
    assert second.message_id is not None and second.job.reply.message_id == second.message_id
    async with asyncio.timeout(60):
        while not last_dm(studio, studio.alice).attachments:
            await asyncio.sleep(0.02)
            await studio.env.settle()
    steps = [one for one in studio.alice.user.dm_channel.history() if "changing 1" in text_of(one)]
    assert [one.id for one in steps] == [second.message_id]


async def test_a_reply_to_a_grid_is_about_all_of_it(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    grid = studio.last()
    message = await mentioned(studio, studio.alice, "the third one", reply_to=grid)
    assert "the third of 1" in text_of(message)
    job = await job_of(studio, await mentioned(studio, studio.alice, "make it blue", reply_to=message))
    assert job.parent_index == 2


async def test_where_talk_is_off_a_mention_is_not_answered(tmp_path: Path) -> None:
    async with open_studio(tmp_path, TALK="off") as studio:
        sent = await studio.alice.send(studio.channel, f"{me(studio)} a red house")
        assert studio.last().id == sent.id
