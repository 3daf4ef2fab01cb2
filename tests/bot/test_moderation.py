"""What may be asked for and shown: the rules themselves, then as members and managers meet them."""

import asyncio
import json
import sys

import pytest

from core.settings import DEMO
from studio.authority import Place
from studio.moderation import terms
from studio.moderation.classifier import PictureCheck, Unchecked
from studio.moderation.lookalikes import Terms, check_pattern, read
from studio.moderation.rules import ModerationSettings, Rule, Visibility, judge
from tests.bot.conftest import Studio, open_studio, png

SPELLINGS = (
    "nude",
    "NUDE",
    "n u d e",
    "n.u.d.e",
    "n-u-d-e",
    "nu_de",
    "nuuuude",
    "nnuuddee",
    "nüdé",
    "пude",
    "ｎｕｄｅ",
    "𝓃𝓊𝒹ℯ",
    "ⓝⓤⓓⓔ",
    "🅝🅤🅓🅔",
    "nud3",
    "nu\u200bde",
    "n\u202eude",
    "ɴᴜᴅᴇ",
    "n\u0336u\u0336d\u0336e\u0336",
    "🇳🇺🇩🇪",
)
HARMLESS = (
    "cocktail party",
    "a cockatoo",
    "chicken breast on a plate",
    "Sussex",
    "an assassin",
    "a grape vineyard",
    "Scunthorpe steelworks",
    "class photo",
    "a document",
    "cumulus clouds",
    "an analysis",
    "peacock",
    "therapist",
    "Essex church",
    "a shitake mushroom",
    "titanium",
    "a kind old man",
    "dickens street",
    "a canal in Amsterdam",
    "denuded hills",
    "the seventh seal",
    "bass guitar, a minor key",
)
CHILDREN_AT_PLAY = (
    "a child in the snow",
    "kids building a sandcastle in swimsuits",
    "portrait of a 12 year old boy with his dog",
    "a teen at a skate park",
    "a baby in a cradle",
    "Mädchen im Schnee",
    "une fillette et son chat",
    "мальчик и собака",
    "a newborn elephant",
)
# Markers that the rule is made of; no text of the kind that it is there for
OVER_THE_LINE = (
    "child nude",
    "nude 12 year old",
    "12yo nsfw",
    "n u d e little girl",
    "aged 9, naked",
    "loli",
    "l0li",
    "a naked chìld",
    "schoolgirl lingerie",
    "ロリ",
    "nude\nteen",
    "twelve-year-old topless",
    "nackt, ein Kind",
    "голая девочка",
    "nude, 15 y/o",
    "childporn",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_word_is_found_however_it_is_spelt(spelling: str) -> None:
    assert terms.EXPLICIT.found_in(read(f"a {spelling} on a hill"))
    assert judge(f"a {spelling} on a hill", "standard", (), False) is Rule.EXPLICIT


@pytest.mark.parametrize("text", [*HARMLESS, *CHILDREN_AT_PLAY])
def test_harmless_words_are_let_through_at_every_level(text: str) -> None:
    assert judge(text, "strict", (), False) is None


def test_every_prompt_of_the_demo_is_let_through() -> None:
    prompts = json.loads((DEMO / "examples.json").read_text(encoding="utf-8"))["prompts"]
    assert [p for p in prompts if judge(p, "strict", (), False)] == []


@pytest.mark.parametrize("text", OVER_THE_LINE)
@pytest.mark.parametrize("level", ["off", "standard", "strict"])
def test_the_rule_about_minors_holds_at_every_level_and_everywhere(text: str, level: str) -> None:
    assert judge(text, level, (), True) is Rule.MINORS


def test_words_to_be_avoided_ask_for_nothing() -> None:
    from core.requests import ImagineRequest
    from studio.moderation.rules import texts_of

    request = ImagineRequest(
        prompt="a nude", negative_prompt="child", prompt_parts=(("a nude", 2.0), ("child", -0.5))
    )
    assert "child" not in " ".join(texts_of(request)) and "nude" in " ".join(texts_of(request))


def test_the_levels() -> None:
    assert judge("a nude", "off", (), False) is None
    assert judge("a nude", "standard", (), True) is None
    assert judge("a nude", "strict", (), True) is Rule.EXPLICIT
    assert (
        judge("a gory scene", "standard", (), False) is None
        and judge("a gory scene", "strict", (), False) is Rule.GORE
    )
    assert (
        judge("a clown", "standard", ("clown",), True) is Rule.WORDS
        and judge("a clown", "off", ("clown",), True) is None
    )


def test_a_pattern_matches_words_only_and_stays_linear() -> None:
    assert Terms(["knif*"]).found_in(read("two kn1fes")) and not Terms(["knif*"]).found_in(read("pen"))
    assert Terms(["*craft*"]).found_in(read("witchcrafts")) and Terms(["bad idea"]).found_in(
        read("a b4d  1dea")
    )
    for wrong in ("***", "a", "x" * 61, "a*b*c*d*e", "123", ""):
        with pytest.raises(ValueError):
            check_pattern(wrong)
    Terms([check_pattern("a*a*a*b")]).found_in(read("a" * 4000))


def test_reading_a_long_text_takes_little_time() -> None:
    import time

    began = time.process_time()
    judge("n u d " * 600, "strict", ("knif*",), False)
    assert time.process_time() - began < 0.5


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
        studio.built.moderator._check = Judge(0.0)
        yield studio


async def _adults(studio: Studio):
    channel = studio.guild.create_text_channel("adults")
    studio.bot.get_channel(channel.id).nsfw = True  # simcord has no such field
    return channel


def _told(result) -> str:
    return [m.content for m in result.followups if m.ephemeral][-1]


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
    assert "(held back)" in described.content and "telling" not in described.content
    result = await strict.alice.click(described, label="Imagine all")
    assert "word list" in "".join(m.content for m in result.followups if m.ephemeral)


async def test_three_strikes_bring_a_time_out_that_a_manager_can_end(strict: Studio, monkeypatch) -> None:
    import studio.moderation.moderator as moderator

    monkeypatch.setattr(moderator, "ONE_STRIKE", moderator.timedelta(0))
    for _ in range(3):
        await strict.alice.slash(strict.channel, "imagine", prompt="nude")
    assert "time-out" in _told(await strict.alice.slash(strict.channel, "imagine", prompt="a boat"))
    told = await strict.mira.slash(strict.channel, "moderation strikes", user=strict.alice)
    assert (
        "3 strikes" in told.followups[-1].content
        and "explicit" in told.followups[-1].content
        and "nude" not in told.followups[-1].content
    )
    await strict.mira.slash(strict.channel, "moderation pardon", user=strict.alice)
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    assert strict.last().attachments
    audit = await strict.mira.slash(strict.channel, "studio audit")
    assert f"pardon `{strict.alice.id}`" in audit.followups[-1].content


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
    contents = [m.content for m in strict.channel.history()]
    assert any("word list" in text for text in contents) and any("time-out" in text for text in contents)
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
    assert any("roles that may use" in m.content for m in strict.channel.history())


@pytest.mark.parametrize(
    ("choice", "score", "file", "words"),
    [
        ("spoiler", 0.9, "SPOILER_", ""),
        ("block", 0.9, None, "held back"),
        ("block", 0.3, "atelier-", ""),
        ("spoiler", None, "atelier-", ""),
    ],
)
async def test_a_picture_that_is_not_fit_is_veiled_or_held_back(
    strict: Studio, choice, score, file, words
) -> None:
    strict.built.moderator._check = Judge(score)
    await strict.mira.slash(strict.channel, "moderation pictures", treatment=choice)
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")
    message = strict.last()
    names = [attachment.filename for attachment in message.attachments]
    assert (names[0].startswith(file) if file else names == []) and words in message.content
    if file == "SPOILER_":
        await strict.alice.click(message, label="U1")
        assert strict.last().attachments[0].filename.startswith("SPOILER_")


async def test_strict_holds_back_what_cannot_be_judged_and_shows_no_preview(strict: Studio) -> None:
    strict.built.moderator._check = judge_ = Judge(None)
    await strict.mira.slash(strict.channel, "moderation level", level="strict")
    await strict.alice.slash(strict.channel, "imagine", prompt="a slow boat")
    assert "held back" in strict.last().content and not strict.last().attachments
    assert judge_.asked == 4  # the pictures, no preview


async def test_a_picture_is_judged_once(strict: Studio) -> None:
    strict.built.moderator._check = judge_ = Judge(0.1)
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat --seed 5")
    first = judge_.asked
    job, _ = await strict.built.queue.job_of_message(strict.last().id)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    assert judge_.asked == first >= 4


async def test_an_unfit_picture_is_not_worked_on(strict: Studio, picture) -> None:
    strict.built.moderator._check = Judge(0.95)
    result = await strict.alice.slash(strict.channel, "describe", image=picture)
    assert "isn't fit" in _told(result) and strict.channel.history() == []


async def test_a_job_with_a_minor_in_its_words_never_shows_an_unfit_picture(tmp_path) -> None:
    async with open_studio(tmp_path, MODERATION="off") as studio:
        studio.built.moderator._check = Judge(0.6)
        adult = await _adults(studio)
        await studio.alice.slash(adult, "imagine", prompt="a child in the snow")
        assert "held back" in studio.last(adult).content and not studio.last(adult).attachments
        await studio.alice.slash(adult, "imagine", prompt="a boat")
        assert studio.last(adult).attachments


async def test_shown_elsewhere_other_rules_hold(strict: Studio) -> None:
    strict.built.moderator._check = Judge(0.9)
    adult = await _adults(strict)
    await strict.alice.slash(adult, "imagine", prompt="a boat")
    assert strict.last(adult).attachments[0].filename.startswith("atelier-")
    job, _ = await strict.built.queue.job_of_message(strict.last(adult).id)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    assert strict.last().attachments[0].filename.startswith("SPOILER_")


@pytest.mark.parametrize(
    ("choice", "score", "file"),
    [("spoiler", 0.9, "SPOILER_"), ("block", 0.9, None), ("block", 0.3, "atelier-")],
)
async def test_a_described_picture_is_judged_where_it_is_shown_and_its_prompts_stay(
    strict: Studio, picture, choice, score, file
) -> None:
    strict.built.moderator._check = Judge(score)
    adult = await _adults(strict)
    await strict.mira.slash(strict.channel, "moderation pictures", treatment=choice)
    await strict.alice.slash(adult, "describe", image=picture)
    assert strict.last(adult).attachments[0].filename.startswith("atelier-")
    job, _ = await strict.built.queue.job_of_message(strict.last(adult).id)
    await strict.alice.slash(strict.channel, "show", job=job.id)
    names = [attachment.filename for attachment in strict.last().attachments]
    assert (
        names[0].startswith(file) if file else names == []
    ) and "telling number 4" in strict.last().content


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
    ):
        refused = await strict.alice.slash(strict.channel, f"moderation {command}", **options)
        assert "Manage Server" in refused.followups[-1].content, command
        done = await strict.mira.slash(strict.channel, f"moderation {command}", **options)
        assert "Manage Server" not in done.followups[-1].content, command
    changed = {row.action for row in await strict.built.queue.audit() if row.guild_id == strict.guild.id}
    assert changed >= {"set moderation", "add filter word", "remove filter word", "pardon", "time out"}


async def test_a_manager_can_try_a_text(strict: Studio) -> None:
    told = await strict.mira.slash(strict.channel, "moderation test", text="a n u d e")
    assert "Here: sexual content. In an age-restricted channel: let through." in told.followups[-1].content


# The classifier itself


async def test_the_classifier_that_is_installed_judges_pictures() -> None:
    check = PictureCheck()
    try:
        assert 0 <= await check.score(png(300, 200)) < 0.5
        with pytest.raises(Unchecked):
            await check.score(b"no picture")
        assert 0 <= await check.score(png(300, 200, form="WEBP")) < 0.5
    finally:
        await check.close()


async def test_a_classifier_that_cannot_start_is_said_once_and_not_tried_at_each_picture() -> None:
    check = PictureCheck()
    check._command = (sys.executable, "-c", "raise SystemExit(1)")
    for _ in range(3):
        with pytest.raises(Unchecked):
            await check.score(png())
    await check.close()


async def test_a_job_that_draws_has_the_classifier_ready_before_its_picture(strict: Studio) -> None:
    judge = strict.built.moderator._check
    await strict.alice.slash(strict.channel, "shorten", prompt="a long prompt about a red house in the snow")
    await strict.alice.slash(await _adults(strict), "imagine", prompt="a red house")
    assert judge.called == [], "nothing is judged there"
    await strict.alice.slash(strict.channel, "imagine", prompt="a red house")
    assert judge.called[0] == "get ready" and "score" in judge.called


async def test_a_classifier_that_was_made_ready_is_the_one_that_judges() -> None:
    check = PictureCheck()
    try:
        check.get_ready()
        check.get_ready()
        await check._starting
        process = check._process
        assert process is not None and process.returncode is None
        check.get_ready()
        assert 0 <= await check.score(png(300, 200)) < 0.5 and check._process is process
    finally:
        await check.close()
    assert process.returncode is not None


def test_the_treatments_are_what_the_settings_name() -> None:
    assert {t.value for t in Visibility} == {"show", "spoiler", "block"}
    assert ModerationSettings().level == "standard" and Place(1, 2) == Place(1, 2)
