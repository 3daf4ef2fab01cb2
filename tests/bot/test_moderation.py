"""What may be asked for and shown: the rules themselves, then as members and managers meet them."""

import asyncio
import hashlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage import schema
from studio.moderation.moderator import Unchecked
from tests.bot.conftest import Studio, open_studio
from tests.jobs.conftest import until
from tests.support.messages import alts_of, ids_of, items_of, text_of, veils_of

# As members meet it


class Judge:
    """A classifier that says what a test wants."""

    def __init__(self, score: float | None) -> None:
        self.name, self.said, self.asked, self.called = "test", score, 0, []

    def get_ready(self) -> None:
        self.called.append("get ready")

    async def score(self, data: bytes) -> float:
        self.asked += 1
        self.called.append("score")
        if self.said is None:
            raise Unchecked("broken")
        return self.said

    async def close(self) -> None:
        pass


@pytest.fixture
async def strict(tmp_path):
    async with open_studio(tmp_path, MODERATION="standard") as studio:
        studio.built.moderator.check = Judge(0.0)
        yield studio


async def _adults(studio: Studio):
    channel = studio.guild.create_text_channel("adults")
    await studio.env.settle()  # what Discord says of the channel would take the mark away
    studio.bot.get_channel(channel.id).nsfw = True  # simcord has no such field
    return channel


def _told(result) -> str:
    return [text_of(m) for m in result.followups if m.ephemeral][-1]


async def test_a_stopped_prompt_costs_nothing_and_is_not_repeated(strict: Studio) -> None:
    result = await strict.alice.slash(strict.channel, "imagine", prompt="a nüde on a hill")
    said = _told(result)
    assert "sexual content" in said and "age-restricted" in said and "hill" not in said
    assert strict.channel.history() == []
    snapshot = await strict.built.queue.snapshot()
    assert snapshot.total_waiting == 0 and not snapshot.running


async def test_an_age_restricted_channel_takes_it_and_a_dm_does_not(strict: Studio) -> None:
    adult = await _adults(strict)
    await strict.alice.slash(adult, "imagine", prompt="a nude on a hill")
    assert strict.last(adult).attachments
    user = strict.env.create_user("dora")
    assert "sexual content" in _told(await user.slash("imagine", prompt="a nude on a hill"))
    assert "minors" in _told(await strict.alice.slash(adult, "imagine", prompt="a nude child"))


async def test_every_way_in_goes_through_the_gate(strict: Studio, picture) -> None:
    await strict.built.moderator.add_word(strict.mira.id, strict.guild.id, "telling number")
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    source = f"{(await strict.built.queue.job_of_message(strict.last().id))[0].id} 1"
    for command, options in (
        ("variation", {"prompt": "nude", "source": source}),
        ("outpaint", {"prompt": "nude", "source": source}),
        ("classify", {"image": picture, "labels": "boat, n.u.d.e"}),
        ("imagine", {"prompt": "a nude", "image": picture}),
    ):
        assert "sexual content" in _told(await strict.bob.slash(strict.channel, command, **options)), command
    await strict.built.moderator.set_policy(strict.mira.id, strict.guild.id, strikes=0)
    await strict.alice.slash(strict.channel, "describe", image=picture)
    described = strict.last()
    assert "(held back)" in text_of(described) and "telling" not in text_of(described)
    result = await strict.alice.click(described, label="Imagine all")
    assert "hides" in text_of(result.response)


async def test_three_strikes_bring_a_time_out_that_a_manager_can_end(strict: Studio, monkeypatch) -> None:
    from studio.moderation import moderator

    monkeypatch.setattr(moderator, "ONE_STRIKE", moderator.timedelta(0))
    for _ in range(3):
        await strict.alice.slash(strict.channel, "imagine", prompt="nude")
    assert "time-out" in _told(await strict.alice.slash(strict.channel, "imagine", prompt="a boat"))
    told = await strict.mira.slash(strict.channel, "moderation strikes", user=strict.alice)
    assert "3 strikes" in text_of(told.followups[-1]) and "explicit" in text_of(told.followups[-1])
    assert "nude" not in text_of(told.followups[-1])
    await strict.mira.slash(strict.channel, "moderation pardon", user=strict.alice)
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    assert strict.last().attachments
    audit = await strict.mira.slash(strict.channel, "studio audit")
    assert f"pardon <@{strict.alice.id}>" in text_of(audit.followups[-1])


async def test_strikes_are_told_in_the_channel_that_managers_chose_without_the_words(
    strict: Studio, monkeypatch, caplog
) -> None:
    from studio.moderation import moderator

    monkeypatch.setattr(moderator, "ONE_STRIKE", moderator.timedelta(0))
    await strict.alice.slash(strict.channel, "imagine", prompt="nude")  # nowhere is chosen yet
    staff = strict.guild.create_text_channel("staff")
    await strict.mira.slash(strict.channel, "studio language", language="de")
    await strict.mira.slash(strict.channel, "moderation alerts", channel=staff)
    for count in (2, 3):
        await strict.alice.slash(strict.channel, "imagine", prompt="nude --stealth")
        await until(lambda count=count: len(staff.history()) == count)
    told = [one.content for one in staff.history()]
    assert all(f"<@{strict.alice.id}>" in one and "nude" not in one for one in told[1:])
    assert "/moderation pardon" in told[2] and "/moderation pardon" not in told[1]
    await strict.mira.slash(strict.channel, "moderation pardon", user=strict.alice)
    await strict.bot.get_channel(staff.id).delete()
    said = await strict.alice.slash(strict.channel, "imagine", prompt="nude")
    assert "sexual content" in _told(said)
    await until(lambda: "isn't told there" in caplog.text)


async def _strikes(studio: Studio, member) -> list[str]:
    found, until = await studio.built.moderator.strikes(member.id, studio.guild.id)
    assert until is None
    return [strike.rule for strike in found]


async def _forget_scores(studio: Studio) -> None:
    await studio.built.database.write(lambda connection: connection.execute(sa.delete(schema.picture_scores)))


async def test_buttons_on_what_the_bot_drew_bring_no_strike(strict: Studio, monkeypatch) -> None:
    monkeypatch.setattr("studio.moderation.moderator.ONE_STRIKE", timedelta(0))
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    grid = strict.last()
    strict.built.moderator.check = Judge(0.95)  # unfit, as an input
    await _forget_scores(strict)
    assert "isn't allowed" in _told(await strict.bob.click(grid, label="V1"))
    strict.built.moderator.check = Judge(0.0)
    await strict.mira.slash(strict.channel, "moderation add", word="boat")  # alice's word, forbidden now
    for label in ("V1", "U1"):
        result = await strict.bob.click(grid, label=label)
    again = next(one for one in ids_of(grid) if ":again:" in one)
    result = await strict.bob.click(grid, custom_id=again)
    assert "word list" in _told(result)
    assert await _strikes(strict, strict.bob) == []


async def test_own_words_and_pictures_bring_a_strike(strict: Studio, picture, monkeypatch) -> None:
    monkeypatch.setattr("studio.moderation.moderator.ONE_STRIKE", timedelta(0))
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    grid = strict.last()
    await strict.bob.slash(strict.channel, "prefer remix")
    window = await strict.bob.click(grid, label="V1")
    await strict.bob.submit_modal(window, {"prompt": "a nude boat"})
    strict.built.moderator.check = Judge(0.95)
    await strict.bob.slash(strict.channel, "describe", image=picture)
    assert sorted(await _strikes(strict, strict.bob)) == ["EXPLICIT", "PICTURE"]


async def test_captions_that_break_a_rule_are_left_out_and_bring_no_strike(strict: Studio, picture) -> None:
    await strict.alice.slash(strict.channel, "describe", image=picture)
    described = strict.last()
    job, _ = await strict.built.queue.job_of_message(described.id)
    window = await strict.bob.click(described, custom_id=f"at:{job.id}:caption:0")
    await strict.mira.slash(strict.channel, "moderation add", word="telling")
    sent = {"prompt": "a picture, telling number 1"}
    assert "word list" in _told(await strict.bob.submit_modal(window, sent))
    for action in ("caption:1", "all:0"):
        result = await strict.bob.click(described, custom_id=f"at:{job.id}:{action}")
        assert "hides" in text_of(result.response), action
    assert await _strikes(strict, strict.bob) == []


@pytest.mark.parametrize(("choice", "veils"), [("spoiler", [True]), ("block", [])])
async def test_numbered_fields_are_shown_as_their_picture_may_be(strict: Studio, choice, veils) -> None:
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    await strict.alice.click(strict.last(), label="U1")
    single = strict.last()
    strict.built.moderator.check = Judge(0.9)
    await _forget_scores(strict)
    await strict.mira.slash(strict.channel, "moderation pictures", treatment=choice)
    shown = await strict.bob.click(single, label="Region")
    if veils:
        assert veils_of(shown.response) == veils
    else:
        assert "isn't allowed" in _told(shown)


async def test_many_jobs_of_one_command_are_one_strike(strict: Studio) -> None:
    for _ in range(4):
        await strict.alice.slash(strict.channel, "imagine", prompt="nude")
    found, until = await strict.built.moderator.strikes(strict.alice.id, strict.guild.id)
    assert len(found) == 1 and until is None


async def test_what_was_forbidden_meanwhile_is_not_run(strict: Studio) -> None:
    await strict.built.queue.pause(strict.mira.id)
    strict.hooks.wait = strict.outside
    await strict.alice.slash(strict.channel, "imagine", prompt="a clown")
    await strict.bob.slash(strict.channel, "imagine", prompt="a boat")
    await strict.mira.slash(strict.channel, "moderation add", word="clown")
    await strict.mira.slash(strict.channel, "moderation timeout", user=strict.bob, minutes=5)
    await strict.built.queue.resume(strict.mira.id)
    for _ in range(200):
        await strict.env.settle()
        if not (await strict.built.queue.undelivered()):
            break
        await asyncio.sleep(0.02)
    contents = [text_of(m) for m in strict.channel.history()]
    assert any("word list" in text for text in contents) and any("time-out" in text for text in contents)
    assert not any("clown" in text for text in contents), "nor are its words left standing"
    assert not [m for m in strict.channel.history() if m.attachments]


async def test_a_banned_member_s_role_that_was_taken_away_stops_what_waits(strict: Studio) -> None:
    role = strict.guild.create_role("Patrons")
    patron = strict.guild.add_member(strict.env.create_user("pat"), roles=[role])
    await strict.mira.slash(strict.channel, "studio allow", role=role)
    await strict.built.queue.pause(strict.mira.id)
    strict.hooks.wait = strict.outside
    await patron.slash(strict.channel, "imagine", prompt="a boat")
    strict.guild.remove_member(patron)
    await strict.built.queue.resume(strict.mira.id)
    for _ in range(200):
        await strict.env.settle()
        if not (await strict.built.queue.undelivered()):
            break
        await asyncio.sleep(0.02)
    assert any("roles no longer allow" in text_of(m) for m in strict.channel.history())


@pytest.mark.parametrize(
    ("choice", "score", "veils", "words"),
    [
        ("spoiler", 0.9, [True] * 4, ""),
        ("block", 0.9, [], "held back"),
        ("block", 0.3, [False] * 4, ""),
        ("spoiler", None, [False] * 4, ""),
    ],
)
async def test_an_unfit_picture_is_veiled_or_held_back(strict: Studio, choice, score, veils, words) -> None:
    strict.built.moderator.check = Judge(score)
    await strict.mira.slash(strict.channel, "moderation pictures", treatment=choice)
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    message = strict.last()
    assert veils_of(message) == veils and words in text_of(message)
    assert len(message.attachments) == len(veils)
    if any(veils):
        await strict.alice.click(message, label="U1")
        assert veils_of(strict.last()) == [True]


class Some(Judge):
    """Finds one picture unfit."""

    def __init__(self, sha256: str) -> None:
        super().__init__(0.0)
        self.sha256 = sha256

    async def score(self, data: bytes) -> float:
        return 0.9 if hashlib.sha256(data).hexdigest() == self.sha256 else 0.0


@pytest.mark.parametrize(("choice", "shown"), [("block", 3), ("spoiler", 4)])
async def test_one_unfit_picture_of_four_holds_back_no_other(strict: Studio, choice: str, shown: int) -> None:
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    job, _ = await strict.built.queue.job_of_message(strict.last().id)
    third = (await strict.built.queue.result(job.id)).pictures[2].sha256
    strict.built.moderator.check = Some(third)
    await _forget_scores(strict)
    await strict.mira.slash(strict.channel, "moderation pictures", treatment=choice)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    message = strict.last()
    assert len(message.attachments) == shown
    told = "1 of 4 held back" in text_of(message)
    gone = [item.name for item in items_of(message) if item.disabled]
    if choice == "block":
        assert told and veils_of(message) == [False] * 3 and gone == ["U3", "V3"]
        assert [alt[:4] for alt in alts_of(message)] == ["1 of", "2 of", "4 of"]
    else:
        assert not told and veils_of(message) == [False, False, True, False] and gone == []


async def test_strict_holds_back_what_cannot_be_judged_and_shows_no_preview(strict: Studio) -> None:
    strict.built.moderator.check = judge_ = Judge(None)
    await strict.mira.slash(strict.channel, "moderation level", level="strict")
    await strict.alice.slash(strict.channel, "imagine", prompt="a slow boat")
    assert "held back" in text_of(strict.last()) and not strict.last().attachments
    assert judge_.asked == 4  # the pictures, no preview


async def test_a_picture_is_judged_once(strict: Studio) -> None:
    strict.built.moderator.check = judge_ = Judge(0.1)
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat --seed 5")
    first = judge_.asked
    job, _ = await strict.built.queue.job_of_message(strict.last().id)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    assert judge_.asked == first >= 4


async def test_an_unfit_picture_is_not_worked_on(strict: Studio, picture) -> None:
    strict.built.moderator.check = Judge(0.95)
    result = await strict.alice.slash(strict.channel, "describe", image=picture)
    assert "isn't allowed" in _told(result) and strict.channel.history() == []


async def test_a_job_with_a_minor_in_its_words_never_shows_an_unfit_picture(tmp_path) -> None:
    async with open_studio(tmp_path, MODERATION="off") as studio:
        studio.built.moderator.check = Judge(0.6)
        adult = await _adults(studio)
        await studio.alice.slash(adult, "imagine", prompt="a child in the snow --seed 1")
        assert "held back" in text_of(studio.last(adult)) and not studio.last(adult).attachments
        await studio.alice.slash(adult, "imagine", prompt="a boat --seed 100")
        assert studio.last(adult).attachments


async def test_shown_elsewhere_other_rules_hold(strict: Studio) -> None:
    strict.built.moderator.check = Judge(0.9)
    adult = await _adults(strict)
    await strict.alice.slash(adult, "imagine", prompt="a boat")
    assert strict.last(adult).attachments[0].filename.startswith("atelier-")
    job, _ = await strict.built.queue.job_of_message(strict.last(adult).id)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    assert veils_of(strict.last()) == [True] * 4


async def test_words_that_a_server_forbids_are_not_brought_in(strict: Studio) -> None:
    await strict.mira.slash(strict.channel, "moderation add", word="knife")
    await strict.alice.user.slash("imagine", prompt="a sharp knife")
    [job] = await strict.members.recent(strict.alice.id)
    for shown in (job.id, f"{job.id} 1"):
        await strict.alice.slash(strict.channel, "show", job=shown)
        assert "hides the words" in text_of(strict.last()) and job.id in text_of(strict.last())
        assert "knife" not in f"{text_of(strict.last())} {alts_of(strict.last())}"
    await strict.mira.slash(strict.channel, "moderation remove", word="knife")
    await strict.alice.slash(strict.channel, "show", job=job.id)
    assert "a sharp knife" in text_of(strict.last()) and "a sharp knife" in alts_of(strict.last())[0]


async def test_answers_that_are_made_of_forbidden_words_are_held_back(strict: Studio, picture) -> None:
    await strict.mira.slash(strict.channel, "moderation add", word="knife")
    for command, options in (
        ("classify", {"image": picture, "labels": "a sharp knife, a boat"}),
        ("shorten", {"prompt": "a very sharp knife"}),
    ):
        asked = await strict.alice.user.slash(command, **options)
        await strict.alice.slash(strict.channel, "show", job=text_of(asked.response).rpartition("job ")[2])
        assert "held back" in text_of(strict.last()) and "knife" not in text_of(strict.last()), command


@pytest.mark.parametrize(
    ("choice", "score", "veils"),
    [("spoiler", 0.9, [True]), ("block", 0.9, []), ("block", 0.3, [False])],
)
async def test_a_described_picture_is_judged_where_it_is_shown_and_its_prompts_stay(
    strict: Studio, picture, choice, score, veils
) -> None:
    strict.built.moderator.check = Judge(score)
    adult = await _adults(strict)
    await strict.mira.slash(strict.channel, "moderation pictures", treatment=choice)
    await strict.alice.slash(adult, "describe", image=picture)
    assert strict.last(adult).attachments[0].filename.startswith("atelier-")
    job, _ = await strict.built.queue.job_of_message(strict.last(adult).id)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    assert veils_of(strict.last()) == veils
    assert "telling number 4" in text_of(strict.last())


async def test_only_managers_moderate_and_every_change_is_on_record(strict: Studio) -> None:
    for command, options in (
        ("show", {}),
        ("level", {"level": "off"}),
        ("pictures", {"treatment": "block"}),
        ("limits", {"strikes": 0, "hours": 1, "minutes": 1}),
        ("add", {"word": "clown"}),
        ("remove", {"word": "clown"}),
        ("words", {}),
        ("test", {"text": "x"}),
        ("strikes", {"user": strict.bob}),
        ("pardon", {"user": strict.bob}),
        ("timeout", {"user": strict.bob, "minutes": 5}),
        ("alerts", {}),
    ):
        refused = await strict.alice.slash(strict.channel, f"moderation {command}", **options)
        assert "Manage Server" in text_of(refused.followups[-1]), command
        done = await strict.mira.slash(strict.channel, f"moderation {command}", **options)
        assert "Manage Server" not in text_of(done.followups[-1]), command
    changed = {
        row.action for row in await strict.built.queue.admin.audit() if row.guild_id == strict.guild.id
    }
    assert changed >= {"set moderation", "add filter word", "remove filter word", "pardon", "time out"}


async def test_a_manager_can_try_a_text(strict: Studio) -> None:
    told = await strict.mira.slash(strict.channel, "moderation test", text="a n u d e")
    assert "Here: sexual content. In an age-restricted channel: allowed." in text_of(told.followups[-1])


async def test_a_job_that_draws_has_the_classifier_ready_before_its_picture(strict: Studio) -> None:
    judge = strict.built.moderator.check
    await strict.alice.slash(strict.channel, "shorten", prompt="a long prompt about a red house in the snow")
    await strict.alice.slash(await _adults(strict), "imagine", prompt="a red house")
    assert judge.called == [], "nothing is judged there"
    await strict.alice.slash(strict.channel, "imagine", prompt="a red house")
    assert judge.called[0] == "get ready" and "score" in judge.called
