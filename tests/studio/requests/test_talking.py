"""Questions about pictures as any door asks them: what the model is told again, who may go on, what it
costs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import ImageError, LimitError, NotAllowedError, UserError
from core.events import Failed, Progress, Rendered
from core.job import Job, Surface
from storage import conversations
from storage.people import RoleTokens
from studio.authority import Action, Actor
from studio.requests.chat import GONE, NO_MODEL, NOT_WHO
from tests.studio.conftest import ALICE, BOB, MIRA, Opened, Sent, open_studio, png
from tests.studio.talker import Talker

MODEL = {"VLM_URL": "http://127.0.0.1:9/v1"}  # never called: the executor is the test's
ELSEWHERE = Actor(4, 20, 200)
SEA = Sent(png(colour=(20, 40, 200)))


@dataclass
class Chat:
    """A studio that answers, and what it was handed out with."""

    opened: Opened
    talker: Talker

    @property
    def talking(self):
        return self.opened.studio.talking

    async def submit(self, actor: Actor, new) -> Job:
        job = (await self.opened.studio.submit(actor, new)).job
        async for event in await self.opened.studio.watch(actor, job.id):
            last = event
        assert isinstance(last, Rendered), last
        return job

    async def first(self, actor: Actor = ALICE, question: str = "What is it?", *, private=False) -> Job:
        new = await self.opened.ask(actor, question, [Sent(png())])
        return await self.submit(actor, replace(new, private=private))

    async def more(self, actor: Actor, job: Job, question: str = "And now?", pictures=()) -> Job:
        return await self.submit(actor, await self.opened.ask(actor, question, pictures, follows=job.id))

    def told(self, job: Job) -> list[str]:
        return [turn.text for turn in self.talker.talks[job.id] if turn.role == "user"]

    async def notes(self, job: Job) -> list[str]:
        return list((await self.opened.services.queue.result(job.id)).parameters.get("notes", ()))


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with open_chat(tmp_path) as found:
        yield found


def open_chat(folder: Path, **settings: str):
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opening() -> AsyncIterator[Chat]:
        talker = Talker()
        async with open_studio(folder, talker, **{**MODEL, **settings}) as opened:
            yield Chat(opened, talker)

    return opening()


async def test_a_conversation_is_told_again_with_its_pictures(chat: Chat) -> None:
    first = await chat.first()
    second = await chat.more(ALICE, first, "And this one?", [SEA])
    third = await chat.more(ALICE, second, "Which is larger?")
    turns = chat.talker.talks[third.id]
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2 + ["user"]
    assert [turn.job_id for turn in turns] == [first.id, first.id, second.id, second.id, third.id]
    assert [len(turn.pictures) for turn in turns] == [1, 0, 1, 0, 0]
    assert turns[1].text == (await chat.talking.answer(ALICE, first.id)).text
    assert chat.talker.talks[third.id][:4] == (*chat.talker.talks[second.id], turns[3])
    assert await chat.notes(third) == []


async def test_a_conversation_branches_anywhere(chat: Chat) -> None:
    first = await chat.first()
    await chat.more(ALICE, first, "One way")
    assert chat.told(await chat.more(ALICE, first, "Another way")) == ["What is it?", "Another way"]
    replies = [asked.job.request.question for asked in await chat.talking.replies(ALICE, first.id)]
    assert replies == ["One way", "Another way"]


async def test_the_same_question_again_is_asked_for_other_words(chat: Chat) -> None:
    first = await chat.first()
    second = await chat.more(ALICE, first)
    again = await chat.submit(ALICE, await chat.opened.studio.from_button(ALICE, second.id, "again", 0))
    assert again.parent_id == first.id and again.request.temperature > 0
    assert again.request.question == "And now?" and chat.told(again) == ["What is it?", "And now?"]


async def test_somebody_who_reads_the_answer_goes_on_and_a_stranger_does_not(chat: Chat) -> None:
    first = await chat.first()
    second = await chat.more(BOB, first, "What else?")
    assert chat.told(second) == ["What is it?", "What else?"] and second.origin.user_id == BOB.user_id
    with pytest.raises(NotAllowedError):
        await chat.opened.ask(ELSEWHERE, "And?", follows=first.id)
    with pytest.raises(NotAllowedError):
        await chat.talking.conversation(ELSEWHERE, first.id)


async def test_what_is_private_stays_so_in_all_that_follows(chat: Chat) -> None:
    hidden = await chat.first(private=True)
    for stranger in (BOB, MIRA):
        with pytest.raises(NotAllowedError, match="is private and belongs to somebody else"):
            await chat.opened.ask(stranger, "And?", follows=hidden.id)
    assert (await chat.opened.ask(ALICE, "And?", follows=hidden.id)).private
    third = await chat.opened.ask(ALICE, "What is it?", [f"{(await chat.opened.drawn(ALICE)).job.id} 1"])
    assert not third.private


async def test_a_question_about_a_private_picture_of_ours_is_private(chat: Chat) -> None:
    drawn = (await chat.opened.drawn(ALICE, "a boat --stealth")).job
    new = await chat.opened.ask(ALICE, "What is it?", [f"{drawn.id} 1"])
    assert new.private and new.parent == (drawn.id, 0)
    with pytest.raises(NotAllowedError):
        await chat.opened.ask(BOB, "What is it?", [f"{drawn.id} 1"])


async def test_a_deleted_turn_is_gone_from_all_later_ones(chat: Chat) -> None:
    first = await chat.first(question="The secret is plum")
    second = await chat.more(ALICE, first, "Say it again")
    await chat.opened.studio.delete(ALICE, first.id)
    assert chat.talker.forgotten == {first.id}, "and what workers keep of it"
    third = await chat.more(ALICE, second, "And once more")
    assert chat.told(third) == ["Say it again", "And once more"]
    assert await chat.notes(third) == [GONE]
    await chat.opened.studio.delete(ALICE, second.id)
    with pytest.raises(ImageError):
        await chat.opened.ask(ALICE, "And?", follows=second.id)


async def test_turns_that_the_asker_can_no_longer_read_are_left_out(chat: Chat) -> None:
    first = await chat.first(replace(ALICE, channel_id=101), "A secret")
    second = await chat.more(replace(ALICE, channel_id=101), first, "Half a secret")
    third = await chat.more(ALICE, second, "In public")  # alice may: all of it is hers
    assert chat.told(third) == ["A secret", "Half a secret", "In public"]
    fourth = await chat.more(BOB, third, "What was it?")
    assert chat.told(fourth) == ["In public", "What was it?"] and await chat.notes(fourth) == [GONE]
    seen = [asked.job.id for asked in await chat.talking.conversation(BOB, fourth.id)]
    assert seen == [third.id, fourth.id]


async def test_long_conversations_forget_their_beginning_and_say_so(tmp_path: Path) -> None:
    async with open_chat(tmp_path, ASK_TURNS="2") as chat:
        job = await chat.first()
        for n in range(3):
            job = await chat.more(ALICE, job, f"Question {n}")
        assert chat.told(job) == ["Question 0", "Question 1", "Question 2"]
        assert await chat.notes(job) == ["The model saw the last 2 turns of this conversation."]


async def test_what_is_no_answer_has_nothing_to_follow(chat: Chat) -> None:
    drawn = (await chat.opened.drawn(ALICE)).job
    with pytest.raises(ImageError, match="isn't an answer"):
        await chat.opened.ask(ALICE, "And?", follows=drawn.id)


@pytest.mark.parametrize(
    "question",
    [
        "Who is this?",
        "who is the old man on the left",
        "Who's that woman?",
        "What is the name of this person?",
        "Can you identify the man?",
    ],
)
async def test_nobody_is_named_by_their_looks(chat: Chat, question: str) -> None:
    with pytest.raises(UserError) as refused:
        await chat.opened.ask(ALICE, question, [Sent(png())])
    assert str(refused.value) == NOT_WHO


@pytest.mark.parametrize(
    "question",
    [
        "Who is this painting by?",
        "What is the name of this street?",
        "How many people are there?",
        "Is this a face?",
        "Who is named on the sign?",
    ],
)
async def test_other_questions_are_taken(chat: Chat, question: str) -> None:
    assert await chat.opened.ask(ALICE, question, [Sent(png())])


async def test_a_question_has_words_and_the_first_one_a_picture(chat: Chat) -> None:
    for question, pictures, problem in (
        ("  ", [Sent(png())], "empty"),
        ("What?", [], "no picture"),
        ("x" * 4001, [Sent(png())], "4,001"),
        ("What?", [Sent(png())] * 11, "up to 10 here"),
    ):
        with pytest.raises(UserError, match=problem):
            await chat.opened.ask(ALICE, question, pictures)


async def test_without_a_model_the_host_is_told_what_to_set(tmp_path: Path) -> None:
    async with open_studio(tmp_path, ASK_MODEL="none") as opened:
        assert not opened.studio.talking.is_possible
        with pytest.raises(UserError) as refused:
            await opened.ask(ALICE, "What is it?", [Sent(png())])
        assert str(refused.value) == NO_MODEL and "VLM_URL" in NO_MODEL and "ASK_MODEL" in NO_MODEL


async def test_a_days_tokens_end_and_are_told_before(tmp_path: Path) -> None:
    async with open_chat(tmp_path, ASK_PER_DAY="2000", ASK_TOKENS="100") as chat:
        database = chat.opened.services.database
        now = datetime.now(UTC)
        await database.write(lambda c: conversations.spend_tokens(c, ALICE.user_id, 1650, now=now))
        job = await chat.first()
        assert "82%" in (await chat.notes(job))[-1]
        await database.write(lambda c: conversations.spend_tokens(c, ALICE.user_id, 300, now=now))
        with pytest.raises(LimitError, match="used 1,967 of today's 2,000 tokens.*0:00 UTC"):
            await chat.first()
        assert await chat.first(BOB), "they have tokens of their own"


async def test_a_role_raises_a_members_tokens_in_its_server_and_the_most_of_them_holds(tmp_path) -> None:
    async with open_chat(tmp_path, ASK_PER_DAY="1000", ASK_TOKENS="100") as chat:
        database, now = chat.opened.services.database, datetime.now(UTC)
        patron, guild = replace(ALICE, roles=(7, 8)), ALICE.guild_id
        await database.write(lambda c: conversations.spend_tokens(c, ALICE.user_id, 1650, now=now))
        with pytest.raises(LimitError, match="today's 1,000 tokens"):
            await chat.first(patron)
        for role, per_day in ((7, 2000), (8, 500), (9, 0)):
            await chat.opened.studio.server.set_role_tokens(MIRA, RoleTokens(role, per_day))
        assert "82% of today's 2,000 tokens" in (await chat.notes(await chat.first(patron)))[-1]
        with pytest.raises(LimitError, match="today's 1,000 tokens"):
            await chat.first(ALICE)  # without the role
        with pytest.raises(LimitError, match="today's 1,000 tokens"):
            await chat.first(replace(patron, guild_id=guild + 1))  # where the role isn't
        unlimited = await chat.first(replace(ALICE, roles=(7, 9)))
        assert not await chat.notes(unlimited)


async def test_tokens_of_open_questions_count_as_if_they_were_used(tmp_path: Path) -> None:
    async with open_chat(tmp_path, ASK_PER_DAY="1200", ASK_TOKENS="500") as chat:
        await chat.opened.services.queue.pause(0)
        for _ in range(2):
            new = await chat.opened.ask(ALICE, "What is it?", [Sent(png())])
            await chat.opened.studio.submit(ALICE, new)
        with pytest.raises(LimitError, match="2 questions not answered yet"):
            await chat.opened.studio.submit(ALICE, await chat.opened.ask(ALICE, "And?", [Sent(png())]))


async def test_an_answer_that_breaks_a_rule_is_never_shown(chat: Chat) -> None:
    studio = chat.opened.studio
    chat.talker.say["What is it?"] = "It is a fine summer day " * 8 + "and then a porn video " + "x " * 60
    job = (await studio.submit(ALICE, await chat.opened.ask(ALICE, "What is it?", [Sent(png())]))).job
    events = [event async for event in await studio.watch(ALICE, job.id)]
    assert isinstance(events[-1], Failed) and "sexual content" in events[-1].message
    assert all("porn" not in event.text for event in events if isinstance(event, Progress))
    with pytest.raises(ImageError):
        await chat.talking.answer(ALICE, job.id)


async def test_an_answer_is_hidden_where_another_place_is_stricter(chat: Chat) -> None:
    await chat.opened.services.moderator.set_policy(MIRA.user_id, 10, level="off")
    chat.talker.say["What is it?"] = "A porn video."
    job = await chat.first()
    assert (await chat.talking.answer(ALICE, job.id)).text == "A porn video."
    with pytest.raises(ImageError, match="hides that answer"):
        await chat.talking.answer(Actor(ALICE.user_id, None, 9), job.id)


async def test_on_the_web_a_question_is_its_askers(chat: Chat) -> None:
    alone = Actor(1, None, 0, surface=Surface.WEB)
    first = await chat.first(alone)
    assert chat.told(await chat.more(alone, first)) == ["What is it?", "And now?"]
    with pytest.raises(NotAllowedError):
        await chat.opened.ask(Actor(2, None, 0, surface=Surface.WEB), "And?", follows=first.id)


async def test_the_right_to_go_on_is_asked_of_the_row(chat: Chat) -> None:
    first = await chat.first()
    await chat.opened.studio.server.ban(MIRA, BOB.user_id)
    with pytest.raises(NotAllowedError, match="blocked"):
        await chat.opened.ask(BOB, "And?", follows=first.id)
    with pytest.raises(NotAllowedError):
        await chat.opened.studio.rights.check(BOB, Action.ASK_MORE, first)
