"""What people say becomes rows and ordinary jobs, in order, once, and as far as each may."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import NotAllowedError, UserError
from core.job import Status, Surface
from core.requests import AskRequest, EditRequest, ImagineRequest, OutpaintRequest, UpscaleRequest
from core.requests.images import CutOutRequest
from core.requests.video import VideoRequest
from core.talk import Decision, State
from storage.schema import jobs, turn_pictures, turns, uploads
from studio.authority import Actor
from studio.moderation.rules import Blocked
from studio.talk.dialogues import Dialogues, Turn
from studio.talk.plans import NOT_UNDERSTOOD, ONLY_ENGLISH, WELCOME, WHICH
from tests.studio.conftest import ALICE, BOB, Opened, Sent, open_studio, png, swept
from tests.studio.talker import Talker
from vision.protocol import Run

CHANGES = {"EDIT_MODEL": "tiny/edit", "ASK_MODEL": "tiny/chat"}
DM = Actor(1, None, 11)


class Held(Talker):
    """Draws nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def run(self, device: str, run: Run, report: Any) -> Any:
        await self.let.wait()
        return await super().run(device, run, report)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_studio(tmp_path, Talker(), **CHANGES) as opened, opened.studio.dialogues.running():
        yield opened


def decides(opened: Opened, **said: Decision) -> None:
    """Let sentences mean this, with _ for blanks."""

    async def decide(actor: Actor, text: str, state: State) -> Decision:
        return said[text.replace(" ", "_")]

    opened.studio.dialogues.decide = decide


async def settled(opened: Opened, turn: Turn) -> Turn:
    """A turn once its job is queued, or nothing comes of it."""
    actor = Actor(turn.user_id, None)
    while (turn := await opened.studio.dialogues.turn(actor, turn.id)).asks:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return turn


async def over(opened: Opened, actor: Actor, turn: Turn) -> Turn:
    """A turn once its job is over."""
    await opened.studio.dialogues.submit(actor, turn)
    turn = await settled(opened, turn)
    if turn.job is not None:
        async for _ in await opened.studio.watch(actor, turn.job.id):
            pass
    return await opened.studio.dialogues.turn(actor, turn.id)


async def say(opened: Opened, said: str, actor: Actor = ALICE, **more: Any) -> Turn:
    turn = await opened.studio.dialogues.say(actor, said, **more)
    return await over(opened, actor, turn) if turn.asks else turn


async def count(opened: Opened, table: sa.Table) -> int:
    counted = sa.select(sa.func.count()).select_from(table)
    return await opened.services.database.read(lambda c: c.scalar(counted))


async def test_a_conversation_draws_changes_and_goes_back(talk: Opened) -> None:
    first = await say(talk, "a red house in the snow")
    assert (first.kind, first.number, first.reply) == ("draw", 1, "")
    assert isinstance(first.job.request, ImagineRequest) and first.shows == (first.job.id, 0)
    second = await say(talk, "make it blue")
    assert (second.kind, second.number, second.before_id) == ("change", 2, first.id)
    assert second.understood == "changing 1 (a red house in the snow)"
    request = second.job.request
    assert isinstance(request, EditRequest) and request.num_images == 1
    assert request.prompt == "make it blue" and second.job.parent_id == first.job.id
    undone = await talk.studio.dialogues.step(ALICE, second.id, -1)
    assert undone.shows == first.shows and undone.job is None and not undone.asks
    redone = await talk.studio.dialogues.step(ALICE, undone.id, 1)
    assert redone.shows == second.shows
    back = await say(talk, "go back to the first one")
    assert (back.kind, back.shows) == ("back", first.shows)
    third = await say(talk, "add a boat")
    assert third.job.parent_id == first.job.id and third.number == 3
    tree = await talk.studio.dialogues.tree(ALICE, third.id)
    assert [one.number for one in tree] == [1, 2, 1, 2, 1, 3]
    assert [one.shows for one in tree][:4] == [first.shows, second.shows, first.shows, second.shows]
    assert [one.shows for one in tree] == [
        (await talk.studio.dialogues.turn(ALICE, one.id)).shows for one in tree
    ]


async def test_each_kind_becomes_the_request_that_its_button_makes(talk: Opened) -> None:
    decides(
        talk,
        a_house=Decision(kind="draw", words="a house"),
        the_second=Decision(kind="pick", about=(1,), index=2),
        again=Decision(kind="again"),
        large=Decision(kind="upscale", about=(1,), factor=2),
        alone=Decision(kind="cutout", about=(1,), thing="cat"),
        wider=Decision(kind="extend", about=(1,), sides=("left", "right")),
        sail=Decision(kind="video", about=(1,), words="it sails", motion="high"),
        two=Decision(kind="change", about=(1,), changes=("make it blue", "add a boat")),
        both=Decision(kind="change", about=(1, 2), changes=("put both side by side",)),
        why=Decision(kind="ask", about=(1,), words="what is it?"),
    )
    await say(talk, "a house")
    second = await say(talk, "the second")
    assert second.kind == "pick" and second.shows[1] == 1 and second.job is None
    other = await say(talk, "again")
    assert other.job.request.kind == "variation" and other.job.parent_index == 1
    assert isinstance((await say(talk, "large")).job.request, UpscaleRequest)
    alone = await say(talk, "alone")
    assert isinstance(alone.job.request, CutOutRequest) and alone.job.request.named == "cat"
    assert alone.understood == "cutting “cat” out of 1 (a house)"
    wider = (await say(talk, "wider")).job.request
    assert isinstance(wider, OutpaintRequest) and (wider.left, wider.right, wider.top) == (32, 32, 0)
    moved = (await say(talk, "sail")).job
    assert isinstance(moved.request, VideoRequest) and moved.request.motion == "high"
    assert moved.request.prompt == "a house, it sails" and moved.parent_index == 1
    two = (await say(talk, "two")).job.request
    assert (two.prompt, two.then, two.about) == ("make it blue", ("add a boat",), "a house")
    both = (await say(talk, "both")).job.request
    assert len(both.images) == 1 and both.images[0] != both.image
    asked = await say(talk, "why")
    assert isinstance(asked.job.request, AskRequest) and not asked.job.request.follows
    more = await say(talk, "why")
    assert more.job.request.follows and more.job.parent_id == asked.job.id
    assert more.shows == asked.shows == (await talk.studio.dialogues.turn(ALICE, asked.before_id)).shows


async def test_a_question_about_a_video_is_about_what_it_was_made_from(talk: Opened) -> None:
    decides(
        talk,
        a_house=Decision(kind="draw", words="a house"),
        sail=Decision(kind="video", words="it sails"),
        why=Decision(kind="ask", words="what is it?"),
    )
    first = await say(talk, "a house")
    await say(talk, "sail")
    asked = await say(talk, "why")
    assert isinstance(asked.job.request, AskRequest) and asked.job.parent_id == first.job.id
    assert (await say(talk, "why")).job.request.follows


async def test_what_is_wrong_with_the_words_is_the_turns_sentence(talk: Opened) -> None:
    wrong = await say(talk, "a house --ar 99:1")
    assert not wrong.asks and "ar" in wrong.reply and wrong.number is None
    assert (await say(talk, "a house")).number == 1, "nothing was counted"
    with pytest.raises(UserError):
        await say(talk, "   ")
    with pytest.raises(UserError, match="2,001"):
        await say(talk, "a" * 2001)


async def test_a_turn_that_comes_too_early_waits_for_its_picture(tmp_path: Path) -> None:
    held = Held()
    async with open_studio(tmp_path, held, **CHANGES) as opened, opened.studio.dialogues.running():
        told: list[Turn] = []
        dialogues = opened.studio.dialogues
        with dialogues.telling(told.append):
            first = await dialogues.say(ALICE, "a red house")
            job = await dialogues.submit(ALICE, first)
            second = await dialogues.say(ALICE, "make it blue")
            assert second.asks and second.waits_for == first.id and second.number == 2
            assert await dialogues.submit(ALICE, second) is None
            third = await dialogues.say(ALICE, "add a boat")
            assert third.waits_for == second.id
            assert await dialogues.submit(ALICE, third) is None
            held.let.set()
            third = await over(opened, ALICE, third)
            second = await dialogues.turn(ALICE, second.id)
        assert second.job.parent_id == job.id and third.job.parent_id == second.job.id
        assert [one.id for one in told] == [second.id, third.id]
        assert await count(opened, jobs) == 3


async def test_what_waits_for_a_picture_that_never_comes_ends(tmp_path: Path) -> None:
    held = Held()
    async with open_studio(tmp_path, held, **CHANGES) as opened, opened.studio.dialogues.running():
        dialogues = opened.studio.dialogues
        first = await dialogues.say(ALICE, "a red house")
        job = await dialogues.submit(ALICE, first)
        waiting = []
        for words in ("make it blue", "add a boat", "make it green", "add a tree"):
            waiting.append(await dialogues.say(ALICE, words))
            assert await dialogues.submit(ALICE, waiting[-1]) is None
        fifth = await dialogues.say(ALICE, "add a cat")
        assert not fifth.asks and "4 changes" in fifth.reply
        await opened.studio.cancel(ALICE, job.id)
        for turn in waiting:
            ended = await settled(opened, turn)
            assert ended.job is None and ended.reply
        held.let.set()
        assert await count(opened, jobs) == 1


async def test_the_same_message_twice_is_one_turn_and_one_job(talk: Opened) -> None:
    dialogues = talk.studio.dialogues
    turns_ = await asyncio.gather(*(dialogues.say(ALICE, "a red house", once="message:5") for _ in range(3)))
    assert len({turn.id for turn in turns_}) == 1
    jobs_ = await asyncio.gather(*(dialogues.submit(ALICE, turn) for turn in turns_))
    assert len({job.id for job in jobs_}) == 1 and await count(talk, jobs) == 1


async def test_a_correction_stops_what_waits_and_is_a_turn_beside_it(tmp_path: Path) -> None:
    held = Held()
    async with open_studio(tmp_path, held, **CHANGES) as opened, opened.studio.dialogues.running():
        dialogues = opened.studio.dialogues
        held.let.set()
        first = await say(opened, "a red house")
        held.let.clear()
        second = await dialogues.say(ALICE, "make it blue")
        job = await dialogues.submit(ALICE, second)
        meant = await dialogues.meant(ALICE, second.id, "draw")
        assert (meant.kind, meant.by, meant.before_id) == ("draw", "person", first.id)
        assert (await opened.services.queue.job(job.id)).status is Status.CANCELLED
        assert (await dialogues.meant(ALICE, second.id, "draw")).id == meant.id
        held.let.set()
        assert isinstance((await over(opened, ALICE, meant)).job.request, ImagineRequest)
        about = await dialogues.meant(ALICE, meant.id, "change", 1)
        assert about.decision.about == (1,) and about.decision.changes == ("make it blue",)


async def test_offers_are_done_one_after_the_other(talk: Opened) -> None:
    steps = (
        Decision(kind="draw", words="a boat"),
        Decision(kind="change", changes=("make it blue",)),
        Decision(kind="upscale"),
    )
    decides(
        talk,
        all_of_it=Decision(kind="unclear", offers=(steps, steps[:1])),
        all_steps=Decision(kind="unclear", offers=(steps,)),
    )
    assert (await say(talk, "all steps", after=None)).reply == "That is 3 jobs. Do you mean that?"
    asked = await say(talk, "all of it", after=None)
    assert asked.offers == ("Do all 3 steps", "Draw it") and not asked.asks and asked.reply
    first = await talk.studio.dialogues.offer(ALICE, asked.id, 0)
    await talk.studio.dialogues.submit(ALICE, first)
    for turn in await talk.studio.dialogues.tree(ALICE, first.id):
        await settled(talk, turn)
    tree = await talk.studio.dialogues.tree(ALICE, first.id)
    kinds = [(one.kind, one.reply, one.job and one.job.request.kind) for one in tree[1:]]
    assert kinds == [("draw", "", "imagine"), ("change", "", "edit"), ("upscale", "", "upscale")]
    assert tree[2].job.parent_id == tree[1].job.id and tree[3].job.parent_id == tree[2].job.id
    assert (await talk.studio.dialogues.offer(ALICE, asked.id, 0)).id == first.id, "once"


async def test_many_jobs_are_asked_about_and_few_are_made(talk: Opened) -> None:
    asked = await say(talk, "a red house --repeat 5")
    assert asked.kind == "unclear" and asked.reply.startswith("That is 5 jobs") and len(asked.offers) == 1
    first = await talk.studio.dialogues.offer(ALICE, asked.id, 0)
    await over(talk, ALICE, first)
    for turn in await talk.studio.dialogues.tree(ALICE, first.id):
        await settled(talk, turn)
    assert await count(talk, jobs) == 5
    two = await say(talk, "a {blue, green} house", after=None)
    assert two.kind == "draw" and two.job.request.prompt == "a blue house"


async def test_thanks_are_answered_also_after_the_list_of_changes(talk: Opened) -> None:
    await say(talk, "a red house")
    assert (await say(talk, "what did we change?")).kind == "talk"
    assert [(await say(talk, "thank you")).reply for _ in range(2)] == [WELCOME, ""]


async def test_an_offer_is_about_the_picture_that_came_whatever_its_number(talk: Opened) -> None:
    first = await say(talk, "a red house")
    lost = await talk.studio.dialogues.say(ALICE, "make it blue")
    await talk.studio.dialogues.meant(ALICE, lost.id, "talk")  # number 2 is never made
    offered = Decision(kind="change", about=(2,), changes=("add a boat",))
    decides(talk, a_boat=Decision(kind="unclear", offers=((offered,),)))
    asked = await say(talk, "a boat", after=lost.id, given=[Sent(png())])
    assert asked.sent[0].number == 3 and asked.offers == ("Add it to 3",)
    done = await over(talk, ALICE, await talk.studio.dialogues.offer(ALICE, asked.id, 0))
    assert done.job.request.image == asked.sent[0].sha256 and done.job.parent_id is None
    assert first.shows_number == 1 and (await talk.studio.dialogues.turn(ALICE, lost.id)).shows_number == 1


async def test_a_sent_picture_is_what_it_is_about(talk: Opened) -> None:
    turn = await say(talk, "make it blue", given=[Sent(png())])
    assert turn.kind == "change" and turn.decision.about == (1,) and turn.number == 2
    assert turn.job.request.image is not None and turn.job.parent_id is None
    undone = await talk.studio.dialogues.step(ALICE, turn.id, -1)
    assert undone.shows is None and undone.shows_sent == turn.job.request.image
    again = await say(talk, "add a boat")
    assert again.job.request.image == turn.job.request.image
    drawn = await talk.drawn(BOB)
    named = await say(talk, "make it red", after=None, given=[f"{drawn.job.id} 3"])
    assert named.job.parent_id == drawn.job.id and named.job.parent_index == 2


async def test_a_conversation_in_a_direct_message_and_on_the_web_are_two(talk: Opened) -> None:
    first = await say(talk, "a red house", DM)
    assert (await say(talk, "make it blue", DM)).root_id == first.root_id
    assert (await say(talk, "a red house", ALICE)).root_id != first.root_id
    fresh = await say(talk, "new", DM)
    assert fresh.root_id == fresh.id and fresh.reply and not fresh.asks
    assert (await say(talk, "a boat", DM)).root_id == fresh.id


async def test_others_may_go_on_where_they_see_and_are_told_no_words(talk: Opened) -> None:
    thread = replace(ALICE, channel_id=99, parent_channel_id=10)
    bob = replace(BOB, channel_id=99, parent_channel_id=10)
    first = await say(talk, "a red house", thread)
    seen: list[State] = []
    decide = talk.studio.dialogues.decide

    async def listen(actor: Actor, said: str, state: State) -> Decision:
        seen.append(state)
        return await decide(actor, said, state)

    talk.studio.dialogues.decide = listen
    second = await say(talk, "make it blue", bob)
    assert second.before_id == first.id and second.user_id == bob.user_id
    assert [(one.number, one.words) for one in seen[0].pictures] == [(1, "")]
    assert second.understood == "changing 1"
    with pytest.raises(NotAllowedError):
        await talk.studio.dialogues.meant(bob, first.id, "draw")
    await talk.studio.own.change(thread, private=True)
    hidden = await say(talk, "make it green", thread)
    assert hidden.job.origin.private
    third = await say(talk, "add a boat", bob)
    assert third.before_id == second.id and [one.number for one in seen[-1].pictures] == [1, 2]
    with pytest.raises(NotAllowedError):
        await talk.studio.dialogues.turn(bob, hidden.id)
    tree = await talk.studio.dialogues.tree(bob, first.id)
    assert [one.id for one in tree] == [first.id, second.id, third.id]


async def test_words_that_a_rule_stops_are_not_kept(talk: Opened) -> None:
    with pytest.raises(Blocked):
        await say(talk, "a naked child")
    assert await count(talk, turns) == 0


async def test_what_is_deleted_goes_with_its_words_and_the_rest_holds_together(talk: Opened) -> None:
    first = await say(talk, "a red house")
    second = await say(talk, "make it blue")
    third = await say(talk, "add a boat")
    await talk.studio.delete(ALICE, second.job.id)
    tree = await talk.studio.dialogues.tree(ALICE, third.id)
    assert [(one.id, one.before_id) for one in tree] == [(first.id, None), (third.id, first.id)]
    undone = await talk.studio.dialogues.step(ALICE, third.id, -1)
    assert undone.shows == first.shows
    await say(talk, "make it red", given=[Sent(png())], once="message:7")
    assert await count(talk, turn_pictures) == 1
    await talk.studio.dialogues.unsaid(["message:7"])
    said = [one.said for one in await talk.studio.dialogues.tree(ALICE, third.id)]
    assert said[-1] == "" and "red" not in repr(
        [one.decision for one in await talk.studio.dialogues.tree(ALICE, third.id)][1:]
    )
    await talk.studio.own.delete(ALICE)
    assert await count(talk, turns) == await count(talk, turn_pictures) == 0


async def test_after_a_restart_rows_without_their_job_go_on_once(tmp_path: Path) -> None:
    held = Held()
    async with open_studio(tmp_path, held, **CHANGES) as opened:
        first = await opened.studio.dialogues.say(ALICE, "a red house")
        second = await opened.studio.dialogues.say(ALICE, "make it blue")
        assert second.waits_for == first.id
    shown = list[str]()

    async def show(_: Actor, turn: Turn) -> None:
        shown.append(turn.id)

    async with open_studio(tmp_path, **CHANGES) as opened, opened.studio.dialogues.running():
        dialogues: Dialogues = opened.studio.dialogues
        await asyncio.sleep(0.1)
        assert await count(opened, jobs) == 0  # no bot is there that could show it
        with dialogues.telling(lambda _: None, show=show):
            await dialogues.resume()
            second = await settled(opened, second)
            assert second.job is not None and await count(opened, jobs) == 2
            await dialogues.resume()
        assert await count(opened, jobs) == 2 and shown == [first.id, second.id]


async def test_after_a_restart_what_was_said_on_the_web_goes_on_without_a_bot(tmp_path: Path) -> None:
    here = replace(ALICE, guild_id=None, surface=Surface.WEB)
    async with open_studio(tmp_path, Held(), **CHANGES) as opened:
        first = await opened.studio.dialogues.say(here, "a red house")
    async with open_studio(tmp_path, **CHANGES) as opened, opened.studio.dialogues.running():
        assert (await settled(opened, first)).job is not None


async def changed(opened: Opened) -> Turn:
    """A picture that was drawn and changed three times, once by two instructions in one job."""
    decides(
        opened,
        a_house=Decision(kind="draw", words="a house"),
        blue=Decision(kind="change", changes=("make it blue",)),
        two=Decision(kind="change", changes=("add a boat", "add a tree")),
        night=Decision(kind="change", changes=("at night",)),
    )
    for said in ("a house", "blue", "two"):
        await say(opened, said)
    return await say(opened, "night")


async def test_the_list_of_changes_is_read_from_the_lineage(talk: Opened) -> None:
    last = await changed(talk)
    lines = await talk.studio.dialogues.changes(ALICE, last.job.id, 0)
    words = ["a house", "make it blue", "add a boat", "add a tree", "at night"]
    assert [line.words for line in lines] == words
    assert [line.can_go for line in lines] == [False, True, True, True, True]
    assert lines[1].again.startswith("3 changes again") and lines[4].again == "nothing to make again"
    assert lines[2].job_id is None and lines[3].job_id == last.job.parent_id
    told = await say(talk, "what did we change?")
    assert told.kind == "talk" and told.reply.splitlines() == [f"{n}. {w}" for n, w in enumerate(words, 1)]


async def test_one_taken_out_the_rest_is_made_again_in_one_job(talk: Opened) -> None:
    last = await changed(talk)
    first, blue, two, _ = await talk.studio.dialogues.tree(ALICE, last.id)
    without = await talk.studio.dialogues.without(ALICE, last.job.id, 0, 3)
    made = await over(talk, ALICE, without)
    request = made.job.request
    assert (request.prompt, request.then) == ("add a tree", ("at night",))
    assert made.job.parent_id == blue.job.id and request.seed == two.job.request.seed
    assert made.said == "Without: add a boat" and made.before_id == last.id
    words = [line.words for line in await talk.studio.dialogues.changes(ALICE, made.job.id, 0)]
    assert words == ["a house", "make it blue", "add a tree", "at night"]
    none = await talk.studio.dialogues.without(ALICE, blue.job.id, 0, 2)
    assert none.kind == "back" and none.shows == (first.job.id, 0) and not none.asks
    with pytest.raises(UserError, match="no change 1"):
        await talk.studio.dialogues.without(ALICE, last.job.id, 0, 1)
    await talk.studio.delete(ALICE, first.job.id)
    with pytest.raises(UserError, match="deleted"):
        await talk.studio.dialogues.without(ALICE, last.job.id, 0, 2)


async def test_a_list_is_done_on_other_pictures_by_ordinary_jobs(talk: Opened) -> None:
    last = await changed(talk)
    other = await talk.drawn(BOB)
    news = await talk.studio.dialogues.replay(
        ALICE, last.job.id, 0, [f"{other.job.id} 2", f"{other.job.id} 1"]
    )
    assert [(new.parent, new.request.prompt, new.request.then) for new in news] == [
        ((other.job.id, at), "make it blue", ("add a boat", "add a tree", "at night")) for at in (1, 0)
    ]
    with pytest.raises(UserError):
        await talk.studio.dialogues.replay(ALICE, last.job.id, 0, [])


async def test_a_sent_picture_is_kept_as_long_as_its_turn(tmp_path: Path) -> None:
    async with open_studio(tmp_path, Talker(), RETENTION_DAYS="100", UPLOAD_DAYS="1") as opened:
        decides(opened, what_is_this=Decision(kind="talk"))
        turn = await say(opened, "what is this", given=[Sent(png())])
        assert turn.shows_sent is not None
        sent, files, janitor = turn.shows_sent, opened.services.files, opened.services.janitor

        def older(connection: sa.Connection) -> None:
            for column, days in ((uploads.c.at, 30), (turns.c.created_at, 60)):
                micros = sa.type_coerce(column, sa.BigInteger) - days * 86_400 * 10**6
                connection.execute(sa.update(column.table).values({column.name: micros}))

        await opened.services.database.write(older)
        await swept(janitor)
        assert await files.has(sent) and await count(opened, turns) == 1
        await opened.services.database.write(older)
        await swept(janitor)
        assert await count(opened, turns) == 0
        await swept(janitor)
        assert not await files.has(sent)


async def test_undo_and_redo_are_exact_where_a_picture_was_shown_twice(talk: Opened) -> None:
    first = await say(talk, "a red house")
    second = await say(talk, "make it blue")
    dialogues = talk.studio.dialogues
    turn = await dialogues.show(ALICE, second.id, *first.shows)
    turn = await dialogues.show(ALICE, turn.id, *second.shows)
    turn = await dialogues.show(ALICE, turn.id, *second.shows)
    shown = []
    for steps in (-1, -1, -1, -1, 1, 1, 1, 1, -2):
        turn = await dialogues.step(ALICE, turn.id, steps)
        shown.append(turn.shows)
    one, two = (first.shows[0], 0), second.shows
    assert shown == [two, one, two, one, two, one, two, two, one]
    with pytest.raises(UserError, match="nothing to redo"):
        await dialogues.step(ALICE, turn.id, 3)


async def test_a_preview_asks_no_model(talk: Opened) -> None:
    """Each pause of typing is a preview: none may be sent or counted."""
    decides(talk)  # whoever is asked fails
    heard = await talk.studio.dialogues.preview(ALICE, "draw a red house")
    assert (heard.decision.kind, heard.decision.by) == ("draw", "rules")
    assert heard.understood and not heard.reply and not heard.offers
    assert "new conversation" in (await talk.studio.dialogues.preview(ALICE, "new")).reply
    assert await count(talk, turns) == 0


async def test_what_is_unclear_is_asked_before_it_is_sent_and_done_in_one_turn(talk: Opened) -> None:
    first = await say(talk, "a red house")
    dialogues = talk.studio.dialogues
    heard = await dialogues.preview(ALICE, "a boat", after=first.id)
    assert heard.reply == WHICH and heard.offers == ("Draw it", "Add it to 1 (a red house)")
    with pytest.raises(UserError):
        await dialogues.say(ALICE, "a boat", after=first.id, offer=2)
    assert await count(talk, turns) == 1
    added = await say(talk, "a boat", after=first.id, offer=1)
    assert (added.kind, added.by, added.before_id) == ("change", "person", first.id)
    assert added.job.request.prompt == "add a boat" and await count(talk, turns) == 2


@pytest.mark.parametrize("said", ["mach das Haus blau", "赤い家", "hazlo azul por favor"])
async def test_another_language_is_told_what_is_missing(talk: Opened, said: str) -> None:
    await say(talk, "a red house")
    assert (await say(talk, said)).reply.endswith(ONLY_ENGLISH)
    assert (await talk.studio.dialogues.preview(ALICE, said)).reply.endswith(ONLY_ENGLISH)
    assert (await say(talk, "hmm")).reply == NOT_UNDERSTOOD


async def test_with_a_chat_model_no_language_is_told_of(tmp_path: Path) -> None:
    async with open_studio(tmp_path, Talker(), **CHANGES, TALK="model") as opened:
        assert (await opened.studio.dialogues.preview(ALICE, "赤い家")).reply == NOT_UNDERSTOOD


async def test_a_grid_comes_along_as_a_whole_and_one_of_it_is_chosen(talk: Opened) -> None:
    grid = (await say(talk, "a red house")).job
    first = await say(talk, "the third one", after=None, given=[grid.id])
    assert (first.kind, first.shows, first.number) == ("pick", (grid.id, 2), 1)
    blue = await say(talk, "make it blue")
    assert (blue.job.parent_id, blue.job.parent_index) == (grid.id, 2)
    assert blue.understood == "changing 1" and blue.number == 2
    back = await say(talk, "go back to the first one")
    assert back.shows == (grid.id, 2)  # as it was chosen
    with pytest.raises(UserError):  # it has four
        await talk.studio.dialogues.say(ALICE, "the third one", after=None, given=[f"{grid.id} 9"])


async def test_numbers_of_the_conversation_become_those_of_the_change(talk: Opened) -> None:
    decides(
        talk,
        house=Decision(kind="draw", words="a house"),
        boat=Decision(kind="draw", words="a boat"),
        cat=Decision(kind="draw", words="a cat"),
        put=Decision(kind="change", about=(3, 2), changes=("put the boat of 2 next to the cat of 3",)),
        other=Decision(kind="change", about=(3, 1), changes=("put the house of picture 1 on the left",)),
        alone=Decision(kind="change", about=(3,), changes=("draw 2 of 3 windows",)),
        style=Decision(kind="change", about=(3,), changes=("make it in the style of 1",)),
        lost=Decision(kind="change", about=(3,), changes=("make it in the style of 9",)),
    )
    made = [(await say(talk, words)).job for words in ("house", "boat", "cat")]

    async def asked(words: str) -> EditRequest:
        request = (await say(talk, words)).job.request
        assert isinstance(request, EditRequest)
        return request

    async def sha_of(job: Any) -> str:
        return (await talk.services.queue.result(job.id)).pictures[0].sha256

    assert (await asked("put")).prompt == "put the boat of 2 next to the cat of 1"
    other = await asked("other")
    assert other.prompt == "put the house of picture 2 on the left"
    assert other.images == (await sha_of(made[0]),)
    assert (await asked("alone")).prompt == "draw 2 of 3 windows"
    style = await asked("style")
    assert style.prompt == "make it in the style of 2" and style.images == (await sha_of(made[0]),)
    assert (await asked("lost")).images == ()


async def test_the_list_says_what_was_cut_out(talk: Opened) -> None:
    decides(
        talk,
        cats=Decision(kind="draw", words="two cats"),
        cut=Decision(kind="cutout", thing="cat"),
        all=Decision(kind="cutout"),
    )
    await say(talk, "cats")
    cut = await say(talk, "cut")
    assert [line.words for line in await talk.studio.dialogues.changes(ALICE, cut.job.id, 0)][1:] == [
        "Cut out: cat"
    ]
    everything = await say(talk, "all")
    assert everything.understood.startswith("cutting out what stands out in")
