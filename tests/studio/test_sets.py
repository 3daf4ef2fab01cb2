"""Sets of examples as any door asks for them: who may do what, what a job is told, and what is deleted."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import limits
from core.errors import ImageError, NotAllowedError, UserError
from core.events import Failed, Output, Rendered
from core.job import Job, Surface
from core.requests import TryRequest, from_json
from jobs.executors.base import Outcome, Report
from storage.schema import example_sets, examples
from studio import example_sets as copies
from studio.authority import Action, Actor, Authority, Belonging, CurrentDirectory
from studio.example_sets import NOT_YOURS
from tests.studio.conftest import ALICE, BOB, MIRA, AllFit, Opened, Sent, open_studio, png, swept
from tests.studio.talker import Talker
from vision.protocol import Done, Run, Turn

MODEL = {"VLM_URL": "http://127.0.0.1:9/v1"}  # never called: the executor is the test's
ELSEWHERE = Actor(2, 20, 200)  # Bob in another server
WEB = Actor(2, None, 0, surface=Surface.WEB)
HIDDEN = Actor(1, 10, 555)  # Alice, in a channel of the server that Bob can't read


class Learner(Talker):
    """Answers tries with the labels that it was told, the latest first."""

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if not isinstance(from_json(run.kind, run.request), TryRequest):
            return await super().run(device, run, report)
        assert run.talk is not None
        turns = self.talks[run.job_id] = run.talk.turns
        assert {sha256 for turn in turns for sha256 in turn.pictures} <= set(run.paths)
        labels = list(dict.fromkeys(turn.text for turn in turns if turn.role == "assistant"))
        return Done(run.job_id, Output(scores=tuple((label, 0.5) for label in labels[::-1])))


@dataclass
class School:
    """A studio, and what its jobs were handed out with."""

    opened: Opened
    learner: Learner

    @property
    def sets(self):
        return self.opened.studio.examples

    async def filled(self, actor: Actor = ALICE, name: str = "pets") -> None:
        await self.sets.create(actor, name)
        for number, label in enumerate(("cat", "cat", "dog")):
            await self.sets.add(actor, name, label, [picture(number)])

    async def run(self, actor: Actor, new) -> tuple[Job, object]:
        """A job, and how it ended."""
        job = (await self.opened.studio.submit(actor, new)).job
        async for event in await self.opened.studio.watch(actor, job.id):
            last = event
        return job, last

    async def tried(self, actor: Actor, name: str = "pets") -> tuple[Turn, ...] | str:
        """What a try is handed out with, or why there is none."""
        job, last = await self.run(actor, await self.sets.try_on(actor, name, picture(9)))
        return last.message if isinstance(last, Failed) else self.learner.talks[job.id]

    async def count(self, table: sa.Table) -> int:
        return await self.opened.services.database.read(
            lambda c: c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        )


def picture(number: int) -> Sent:
    return Sent(png(40 + number, 30))


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    learner = Learner()
    async with open_studio(tmp_path, learner, **MODEL) as opened:
        yield School(opened, learner)


# What a try is told


async def test_a_try_is_told_the_examples_as_the_rows_have_them_then(school: School) -> None:
    await school.filled()
    new = await school.sets.try_on(ALICE, "Pets", picture(9))
    assert new.request.pictures == (new.request.image,), "no example is part of the request"
    await school.sets.add(ALICE, "pets", "bird", [picture(4)])
    job, last = await school.run(ALICE, new)
    assert isinstance(last, Rendered)
    turns = school.learner.talks[job.id]
    assert [turn.text for turn in turns if turn.role == "assistant"] == ["cat", "cat", "dog", "bird"]
    assert all(len(turn.pictures) == 1 for turn in turns if turn.role == "user")
    assert turns[-1].pictures == (new.request.image,) and turns[-1].job_id == job.id


async def test_a_picture_under_another_label_moves_there(school: School) -> None:
    await school.filled()
    assert (await school.sets.add(ALICE, "pets", "dog", [picture(0)])).labels == {"cat": 1, "dog": 2}


async def test_a_set_that_is_too_small_is_told_before_anything_is_queued(school: School) -> None:
    await school.sets.create(ALICE, "pets")
    with pytest.raises(UserError, match="That set is empty"):
        await school.sets.try_on(ALICE, "pets", picture(9))
    await school.sets.add(ALICE, "pets", "cat", [picture(1)])
    with pytest.raises(UserError, match="has one label"):
        await school.sets.try_on(ALICE, "pets", picture(9))


async def test_a_set_that_is_forgotten_before_its_turn_is_told(school: School) -> None:
    await school.filled()
    new = await school.sets.try_on(ALICE, "pets", picture(9))
    await school.sets.forget(ALICE, "pets")
    _, last = await school.run(ALICE, new)
    assert isinstance(last, Failed) and last.message == copies.GONE


# Limits


async def test_limits_are_said_with_their_numbers(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (limits.MAX_SETS, limits.MAX_SET_LABELS, limits.MAX_SHOTS) == (50, 20, 32)
    for name, value in (("MAX_SETS", 2), ("MAX_SET_LABELS", 2), ("MAX_SHOTS", 3), ("MAX_TURNS", 1)):
        monkeypatch.setattr(copies, name, value)
    await school.filled()
    await school.sets.create(ALICE, "prices")
    with pytest.raises(UserError, match="You have 2 sets, which is the limit"):
        await school.sets.create(ALICE, "one more")
    with pytest.raises(UserError, match="A set takes 2 labels; this would be number 3"):
        await school.sets.add(ALICE, "pets", "fox", [picture(7)])
    with pytest.raises(UserError, match="A label takes 3 pictures; cat would have 4"):
        await school.sets.add(ALICE, "pets", "cat", [picture(7), picture(8)])
    await school.sets.add(ALICE, "prices", "tea, 3", [picture(1)], "What does it cost?")
    with pytest.raises(UserError, match="A set takes 1 questions; this one would have 2"):
        await school.sets.add(ALICE, "prices", "milk, 2", [picture(2)], "What does it cost?")


@pytest.mark.parametrize("label", ["", "   ", "x" * 81])
async def test_a_label_that_is_too_long_or_empty_is_refused(school: School, label: str) -> None:
    await school.sets.create(ALICE, "pets")
    with pytest.raises(UserError, match="A label takes 1 to 80 characters"):
        await school.sets.add(ALICE, "pets", label, [picture(1)])


async def test_two_people_have_sets_of_the_same_name(school: School) -> None:
    await school.filled(ALICE)
    await school.filled(BOB)
    with pytest.raises(UserError, match="You have a set called pets already"):
        await school.sets.create(ALICE, "pets")
    await school.sets.share(ALICE, "pets", shared=True)
    assert (await school.sets.find(BOB, "pets")).user_id == BOB.user_id, "one's own comes first"


# Who may


def cells() -> list[tuple[str, Actor, int | None, Action, bool]]:
    everything = (Action.SHOW, Action.USE, Action.ORGANISE, Action.SHARE, Action.DELETE)
    may = {
        ("owner", None): set(everything),
        ("owner", 10): set(everything),
        ("owner elsewhere", None): set(everything),
        ("owner elsewhere", 10): set(everything),
        ("member", 10): {Action.SHOW, Action.USE},
        ("manager", 10): {Action.SHOW, Action.USE, Action.DELETE},
        ("host", 10): {Action.SHOW, Action.USE, Action.DELETE},
        ("host", None): {Action.DELETE},
    }
    people = {
        "owner": ALICE,
        "owner elsewhere": replace(ALICE, guild_id=20, channel_id=200),
        "member": BOB,
        "manager": MIRA,
        "host": Actor(99, 10, 100),
        "elsewhere": ELSEWHERE,
        "manager elsewhere": replace(MIRA, guild_id=20),
        "direct": Actor(2, None, 7),
        "web": WEB,
    }
    return [
        (who, actor, guild, action, action in may.get((who, guild), set()))
        for who, actor in people.items()
        for guild in (None, 10)
        for action in everything
    ]


@pytest.mark.parametrize(("who", "actor", "guild", "action", "granted"), cells())
def test_the_table_of_rights_decides_about_sets(
    who: str, actor: Actor, guild: int | None, action: Action, granted: bool
) -> None:
    authority = Authority(CurrentDirectory(), {99})
    assert authority.allows_to(actor, action, Belonging(ALICE.user_id, guild)) is granted
    assert not authority.allows_to(replace(actor, barred=True), Action.USE, Belonging(ALICE.user_id, guild))


async def test_nothing_of_a_set_reaches_another_server_or_door(school: School) -> None:
    await school.filled()
    await school.sets.share(ALICE, "pets", shared=True)
    [found] = await school.sets.all(BOB)
    assert isinstance(await school.tried(BOB), tuple)
    for actor in (ELSEWHERE, WEB, Actor(2, None, 7)):
        assert await school.sets.all(actor) == []
        for name in ("pets", found.id):
            with pytest.raises(UserError, match="There is no such set"):
                await school.sets.contents(actor, name)
        request = TryRequest(set_id=found.id, image="a" * 64)
        sent = await school.sets.try_on(BOB, "pets", picture(9))
        _, last = await school.run(actor, replace(sent, request=replace(request, image=sent.request.image)))
        assert isinstance(last, Failed) and last.message == copies.GONE
    await school.sets.share(ALICE, "pets", shared=False)
    assert await school.sets.all(BOB) == []


async def test_a_member_may_not_change_or_forget_a_shared_set_and_a_manager_may_forget_it(
    school: School,
) -> None:
    await school.filled()
    await school.sets.share(ALICE, "pets", shared=True)
    with pytest.raises(NotAllowedError, match=NOT_YOURS):
        await school.sets.add(BOB, "pets", "fox", [picture(7)])
    for work in (school.sets.forget(BOB, "pets"), school.sets.share(BOB, "pets", shared=True)):
        with pytest.raises(NotAllowedError, match=NOT_YOURS):
            await work
    assert await school.sets.forget(MIRA, "pets") == 3


async def test_a_banned_member_adds_and_tries_nothing_but_may_forget(school: School) -> None:
    await school.filled()
    await school.opened.services.queue.admin.ban(MIRA.user_id, ALICE.user_id, 10)
    for work in (
        school.sets.add(ALICE, "pets", "fox", [picture(7)]),
        school.sets.try_on(ALICE, "pets", picture(9)),
        school.sets.create(ALICE, "more"),
        school.sets.share(ALICE, "pets", shared=True),
    ):
        with pytest.raises(NotAllowedError):
            await work
    assert await school.sets.forget(ALICE, "pets") == 3


async def test_anothers_private_picture_is_no_example(school: School) -> None:
    result = await school.opened.drawn(ALICE, "a red house --stealth")
    await school.sets.create(BOB, "houses")
    with pytest.raises(NotAllowedError):
        await school.sets.add(BOB, "houses", "house", [f"{result.job.id} 1"])


async def test_examples_from_a_channel_that_somebody_cannot_read_are_left_out_for_them(
    school: School,
) -> None:
    result = await school.opened.drawn(HIDDEN)
    await school.filled(replace(BOB, channel_id=555))
    await school.sets.add(replace(BOB, channel_id=555), "pets", "house", [f"{result.job.id} 1"])
    await school.sets.share(BOB, "pets", shared=True)
    assert "house" not in (await school.sets.contents(MIRA, "pets")).labels
    turns = await school.tried(MIRA)
    assert "house" not in [turn.text for turn in turns]
    assert "house" in (await school.sets.contents(ALICE, "pets")).labels, "it is her own"


# Rules


async def test_words_and_pictures_that_a_rule_forbids_are_not_added_shared_or_tried(tmp_path: Path) -> None:
    learner = Learner()
    async with open_studio(tmp_path, learner, **MODEL, MODERATION="standard") as opened:
        school, moderator = School(opened, learner), opened.services.moderator
        await school.filled()
        with pytest.raises(UserError, match="doesn't allow these words. Nothing was added"):
            await school.sets.add(ALICE, "pets", "a nude", [picture(5)])
        await moderator.add_word(MIRA.user_id, 10, "dog")
        with pytest.raises(UserError, match="Nothing was shared"):
            await school.sets.share(ALICE, "pets", shared=True)
        assert await school.tried(ALICE) == copies.FORBIDDEN
        await moderator.remove_word(MIRA.user_id, 10, "dog")

        class Unfit(AllFit):
            name = "unfit"

            async def score(self, data: bytes) -> float:
                return 0.99

        moderator.check = Unfit()
        with pytest.raises(UserError, match="doesn't allow one of these pictures"):
            await school.sets.add(ALICE, "pets", "fox", [picture(7)])
        with pytest.raises(UserError, match="doesn't allow one of its pictures"):
            await school.sets.share(ALICE, "pets", shared=True)
        [part] = [part async for part in opened.studio.copies.pack(ALICE, "pets", 10**6)]
        assert zipfile.ZipFile(io.BytesIO(part)).namelist() == ["examples.json"], "nothing unfit is given out"


async def test_a_copy_that_is_too_large_for_one_file_comes_in_several(school: School) -> None:
    await school.filled()

    async def packed(limit: int) -> list[zipfile.ZipFile]:
        parts = [part async for part in school.opened.studio.copies.pack(ALICE, "pets", limit)]
        assert all(len(part) <= limit for part in parts)
        return [zipfile.ZipFile(io.BytesIO(part)) for part in parts]

    [whole] = await packed(10**6)
    told, *pictures = whole.infolist()
    parts = await packed(max(told.file_size, *(one.file_size for one in pictures)) + copies.ROOM)
    assert len(parts) > 1 and [name for part in parts for name in part.namelist()] == whole.namelist()
    assert all(part.read(name) == whole.read(name) for part in parts for name in part.namelist())


# What is deleted


async def test_forgetting_deletes_files_that_nobody_needs_and_what_workers_keep(school: School) -> None:
    await school.filled()
    contents = await school.sets.contents(ALICE, "pets")
    names = {sha256 for one in contents.examples for sha256, _ in one.pictures}
    files = school.opened.services.files
    assert all(files.exists(name) for name in names)
    await school.sets.forget(ALICE, "pets")
    assert names <= school.learner.forgotten
    assert await school.count(examples) == 0 and await school.count(example_sets) == 0


async def test_a_person_who_is_deleted_takes_sets_and_their_pictures_along(school: School) -> None:
    await school.filled()
    names = {s for one in (await school.sets.contents(ALICE, "pets")).examples for s, _ in one.pictures}
    privacy, files = school.opened.services.privacy, school.opened.services.files
    assert (await privacy.holdings(ALICE.user_id)).examples == 3
    [part] = [part async for part in school.opened.studio.own.export(ALICE, 10**7)]
    archive = zipfile.ZipFile(io.BytesIO(part))
    data = json.loads(archive.read("data.json"))
    assert [row["label"] for row in data["examples"]] == ["cat", "cat", "dog"]
    assert {f"pictures/{name}.png" for name in names} <= set(archive.namelist())
    await privacy.delete(ALICE.user_id)
    assert await school.count(examples) == await school.count(example_sets) == 0
    assert not any(files.exists(name) for name in names)
    assert names <= school.learner.forgotten


async def test_pictures_of_a_set_outlive_the_days_of_uploads(school: School) -> None:
    await school.filled()
    names = {s for one in (await school.sets.contents(ALICE, "pets")).examples for s, _ in one.pictures}
    privacy = school.opened.services.privacy
    privacy.retention = replace(privacy.retention, uploads=0)
    await swept(school.opened.services.janitor)
    assert all(school.opened.services.files.exists(name) for name in names)
    assert isinstance(await school.tried(ALICE), tuple)


async def test_an_example_from_a_job_goes_with_it_also_out_of_others_sets(school: School) -> None:
    result = await school.opened.drawn(ALICE)
    await school.filled(BOB)
    await school.sets.add(BOB, "pets", "house", [f"{result.job.id} 1"])
    sha256 = result.pictures[0].sha256
    await school.opened.services.privacy.delete(ALICE.user_id)
    assert "house" not in (await school.sets.contents(BOB, "pets")).labels
    assert not school.opened.services.files.exists(sha256)
    assert sha256 in school.learner.forgotten


async def test_a_picture_that_is_deleted_for_good_is_no_example_any_more(school: School) -> None:
    result = await school.opened.drawn(ALICE)
    await school.filled(BOB)
    await school.sets.add(BOB, "pets", "house", [f"{result.job.id} 1"])
    await school.sets.add(BOB, "pets", "hut", [f"{result.job.id} 2"])
    await school.opened.services.privacy.delete_pictures(ALICE.user_id, [(result.job.id, 0)])
    assert list((await school.sets.contents(BOB, "pets")).labels) == ["cat", "dog", "hut"]
    assert not school.opened.services.files.exists(result.pictures[0].sha256)


async def test_a_picture_that_another_has_thrown_away_is_no_example_until_it_is_back(school: School) -> None:
    result = await school.opened.drawn(ALICE)
    await school.filled(BOB)
    await school.sets.add(BOB, "pets", "house", [f"{result.job.id} 1"])
    [example] = [one for one in (await school.sets.contents(BOB, "pets")).examples if one.label == "house"]
    trash, copies = school.opened.studio.trash, school.opened.studio.copies
    await trash.put(ALICE, [(result.job.id, 0)])
    assert "house" not in (await school.sets.contents(BOB, "pets")).labels
    assert "house" not in [turn.text for turn in await school.tried(BOB)]
    with pytest.raises(ImageError):
        await copies.small(BOB, "pets", example.id)
    await trash.take_back(ALICE, [(result.job.id, 0)])
    assert "house" in (await school.sets.contents(BOB, "pets")).labels


# Teach


async def ask(school: School, actor: Actor, question: str) -> Job:
    new = await school.opened.ask(actor, question, [picture(1)])
    return (await school.run(actor, new))[0]


async def more(school: School, actor: Actor, job: Job, question: str) -> Job:
    new = await school.opened.ask(actor, question, follows=job.id)
    return (await school.run(actor, new))[0]


def answers(school: School, job: Job) -> list[str]:
    return [turn.text for turn in school.learner.talks[job.id] if turn.role == "assistant"]


async def test_what_was_taught_is_told_in_its_place_and_in_other_branches(school: School) -> None:
    first = await ask(school, ALICE, "What is it?")
    second = await more(school, ALICE, first, "Which colour?")
    made = await school.sets.teach(ALICE, second.id, "It is teal.")
    third = await more(school, ALICE, second, "And now?")
    assert answers(school, third)[1] == "It is teal." and len(answers(school, third)) == 2
    branch = await more(school, ALICE, first, "Something else?")
    turns = school.learner.talks[branch.id]
    assert [turn.text for turn in turns[:2]] == ["Which colour?", "It is teal."]
    assert turns[0].pictures == first.request.images, "with the picture that it was about"
    await school.sets.teach(ALICE, second.id, "It is blue.")
    [example] = (await school.sets.contents(ALICE, made.id)).examples
    assert example.label == "It is blue.", "another answer to the same takes its place"


async def test_another_conversation_and_other_people_are_not_told(school: School) -> None:
    first = await ask(school, ALICE, "What is it?")
    made = await school.sets.teach(BOB, first.id, "A forgery.")
    assert "A forgery." not in answers(school, await more(school, ALICE, first, "And?"))
    assert answers(school, await more(school, BOB, first, "And?")) == ["A forgery."]
    other = await ask(school, BOB, "What is it?")
    assert "A forgery." not in answers(school, await more(school, BOB, other, "And?"))
    await school.opened.services.moderator.add_word(MIRA.user_id, 10, "taught")  # no word of his
    await school.sets.share(BOB, made.id, shared=True)
    assert answers(school, await more(school, ALICE, first, "And now?")) == ["A forgery."]


async def test_what_was_taught_goes_with_the_turn_and_with_the_picture_of_an_earlier_one(
    school: School,
) -> None:
    first = await ask(school, ALICE, "What is it?")
    second = await more(school, BOB, first, "Which colour?")
    await school.sets.teach(BOB, second.id, "Teal.")
    sha256 = first.request.images[0]
    await school.opened.services.privacy.delete(ALICE.user_id)
    assert await school.count(examples) == 0, "its picture was Alice's"
    assert not school.opened.services.files.exists(sha256)


async def test_a_turn_that_is_deleted_is_told_to_nobody_any_more(school: School) -> None:
    first = await ask(school, ALICE, "What is it?")
    second = await more(school, ALICE, first, "Which colour?")
    await school.sets.teach(ALICE, second.id, "Teal.")
    await school.opened.services.privacy.delete_job(ALICE.user_id, second.id)
    assert answers(school, await more(school, ALICE, first, "And?")) == [
        turn.text for turn in school.learner.talks[second.id] if turn.role == "assistant"
    ]
    assert second.id in school.learner.forgotten


async def test_only_an_answer_that_one_may_go_on_from_is_taught(school: School) -> None:
    new = await school.opened.ask(ALICE, "What?", [picture(1)])
    private, _ = await school.run(ALICE, replace(new, private=True))
    with pytest.raises(NotAllowedError):
        await school.sets.teach(BOB, private.id, "No.")
    drawn = await school.opened.drawn(ALICE)
    with pytest.raises(ImageError, match="isn't an answer"):
        await school.sets.teach(ALICE, drawn.job.id, "No.")


async def test_a_set_of_questions_is_told_before_the_question(school: School) -> None:
    await school.sets.create(ALICE, "prices")
    await school.sets.add(ALICE, "prices", "tea, 3", [picture(1)], "What does it cost?")
    new = await school.sets.try_on(ALICE, "prices", picture(9))
    job, _ = await school.run(ALICE, new)
    turns = school.learner.talks[job.id]
    assert [turn.text for turn in turns] == ["What does it cost?", "tea, 3", "What does it cost?"]
    _, last = await school.run(BOB, replace(new, parent=None))
    assert isinstance(last, Failed) and last.message == copies.GONE
