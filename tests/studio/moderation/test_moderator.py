"""What may be asked for and shown where, with the rows that decide it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from core.errors import NotAllowedError, NotYet, StorageError
from core.job import Job, Origin
from core.requests import (
    AskRequest,
    BlendRequest,
    ClassifyRequest,
    ComposeRequest,
    CutOutRequest,
    EditRequest,
    ImagineRequest,
    OutpaintRequest,
    ReadRequest,
    RegionRequest,
    Request,
    ShortenRequest,
    UpscaleRequest,
    VariationRequest,
    to_json,
)
from core.requests.custom_models import STYLE, TrainRequest
from core.requests.video import VideoRequest
from storage import moderation as rows
from storage import people, schema
from storage.people import EVERYWHERE
from studio.authority import Place
from studio.moderation import rules
from studio.moderation.rules import Blocked, Deed, ModerationSettings, Rule, Sense, Visibility, in_time_out
from tests.storage.conftest import a_job
from tests.studio.moderation.conftest import CELLAR, CHANNEL, SERVER, World
from tests.support import postgres

ADMIN = 9
NUDE, FINE, SEXY, CHILD = "a nude", "a house", "a sexy dancer", "a child at a lake"
SCORED = {b"unread": None, b"bad": 0.9, b"fine": 0.1}
HERE, THERE = Place(SERVER, CHANNEL), Place(SERVER, CELLAR)


def job(request: Request | str = FINE, **origin: object) -> Job:
    made = a_job(**origin)
    return replace(made, request=ImagineRequest(prompt=request) if isinstance(request, str) else request)


async def level(world: World, value: str, **more: object) -> None:
    await world.moderator.set_policy(ADMIN, SERVER, level=value, **more)


async def stopped(world: World, asked: Job, running: bool = False) -> Blocked:
    with pytest.raises(Blocked) as caught:
        await world.moderator.gate(asked, running)
    return caught.value


# Words


async def test_sexual_words_are_for_age_restricted_channels(world: World) -> None:
    error = await stopped(world, job(NUDE))
    assert (error.rule, error.picture) == (Rule.EXPLICIT, None)
    assert str(error).endswith("limits. You may ask for it in an age-restricted channel.")
    await world.moderator.gate(job(NUDE, channel_id=CELLAR), False)
    await world.moderator.gate(job(FINE), False)


async def test_a_thread_is_what_its_channel_is(world: World) -> None:
    await world.moderator.gate(job(NUDE, channel_id=77, parent_channel_id=CELLAR), False)
    world.people.unknown.add(CHANNEL)
    await world.moderator.gate(job(NUDE, channel_id=CELLAR, parent_channel_id=CHANNEL), False)
    assert (await stopped(world, job(NUDE, channel_id=CHANNEL, parent_channel_id=77))).rule is Rule.EXPLICIT


async def test_a_channel_that_another_process_is_told_of_is_asked_about_before_a_job_runs(
    world: World,
) -> None:
    world.people.unknown.add(CHANNEL)
    assert (await stopped(world, job(NUDE))).rule is Rule.EXPLICIT
    with pytest.raises(NotYet, match="isn't known"):
        await world.moderator.gate(job(NUDE), True)
    await world.moderator.gate(job(FINE), True)  # fit for any channel: nobody is asked
    assert (await stopped(world, job("nude child"), running=True)).rule is Rule.MINORS  # for none
    world.people.told[CHANNEL] = False
    assert (await stopped(world, job(NUDE), running=True)).rule is Rule.EXPLICIT
    world.people.told[CHANNEL] = True
    await world.moderator.gate(job(NUDE), True)


async def test_a_server_s_rules_and_words_hold_there(world: World) -> None:
    await world.moderator.add_word(ADMIN, SERVER, "clown*")
    assert (await stopped(world, job("two clowns"))).rule is Rule.WORDS
    await world.moderator.gate(job("two clowns", guild_id=4), False)
    await level(world, "strict")
    error = await stopped(world, job(SEXY, channel_id=CELLAR))
    assert error.rule is Rule.SUGGESTIVE and str(error).endswith("limits.")
    assert str(await stopped(world, job(NUDE))).endswith("limits."), "strict: it is allowed nowhere"
    assert await world.moderator.remove_word(ADMIN, SERVER, "clown*")
    assert not await world.moderator.remove_word(ADMIN, SERVER, "clown*")
    await world.moderator.gate(job("two clowns"), False)
    await level(world, "off")
    await world.moderator.gate(job(NUDE), False)
    await world.moderator.set_policy(ADMIN, SERVER, level=None)
    assert await world.moderator.settings(SERVER) == ModerationSettings()


async def test_a_long_text_is_read_by_the_same_rules(world: World) -> None:
    await world.moderator.add_word(ADMIN, SERVER, "clown")
    long = "a house " * 60
    assert (await stopped(world, job(long + "with a clown"))).rule is Rule.WORDS
    await world.moderator.gate(job(long + NUDE, channel_id=CELLAR), False)
    assert (await stopped(world, job(long + NUDE))).rule is Rule.EXPLICIT
    await level(world, "strict")
    assert (await stopped(world, job(long + SEXY))).rule is Rule.SUGGESTIVE


async def test_captions_that_break_a_rule_of_the_place_are_left_out(world: World) -> None:
    await world.moderator.add_word(ADMIN, SERVER, "clown")
    captions = (FINE, NUDE, "a clown")
    assert await world.moderator.captions(captions, HERE) == [FINE, None, None]
    assert await world.moderator.captions(captions, THERE) == [FINE, NUDE, None]
    assert await world.moderator.captions(captions, Place(None, 5)) == [FINE, None, "a clown"]


async def test_what_an_interaction_waits_for_begins_no_transaction(world: World, monkeypatch) -> None:
    """Each is one statement, and is sent without a BEGIN and a COMMIT around it; what the caption's rules ask
    is known from the last gate."""
    sha256, read, alone = await world.picture(b"one", 0.3), world.database.read, []

    async def noted(work: object, *, once: bool = False) -> object:
        alone.append(once)
        return await read(work, once=once)

    monkeypatch.setattr(world.database, "read", noted)
    for running in (False, True):
        await world.moderator.gate(job(ClassifyRequest(image=sha256)), running)
    await world.moderator.captions((FINE,), HERE)
    await world.moderator.words(SERVER)
    await world.moderator.time_out_ends(1, SERVER)
    assert len(alone) == (13 if postgres.folder() else 12) and all(alone)


# Who


async def test_nobody_asks_while_in_a_time_out(world: World) -> None:
    until = await world.moderator.time_out(ADMIN, 1, SERVER, 5)
    assert timedelta(minutes=4.9) < until - datetime.now(UTC) <= timedelta(minutes=5)
    for running in (False, True):
        with pytest.raises(NotAllowedError) as caught:
            await world.moderator.gate(job(), running)
        assert str(caught.value) == in_time_out(until)
    await world.moderator.gate(job(user=2), False)
    await world.moderator.gate(job(guild_id=4), False)
    assert await world.moderator.time_out_ends(1, SERVER) == until
    assert await world.moderator.time_out_ends(1, 4) is None
    await world.database.write(
        partial(rows.set_timeout, user_id=1, guild_id=SERVER, until=datetime.now(UTC) - timedelta(minutes=1))
    )
    assert await world.moderator.time_out_ends(1, SERVER) is None
    await world.moderator.gate(job(), False)


@pytest.mark.parametrize("server", [SERVER, EVERYWHERE])
async def test_who_was_banned_meanwhile_runs_nothing(world: World, server: int) -> None:
    now = datetime.now(UTC)
    await world.database.write(
        partial(people.ban, user_id=1, guild_id=server or None, actor_id=ADMIN, now=now)
    )
    with pytest.raises(NotAllowedError, match="blocked you after you asked; this job was not run"):
        await world.moderator.gate(job(), True)
    await world.moderator.gate(job(user=2), True)


async def test_whose_roles_no_longer_allow_it_runs_nothing(world: World) -> None:
    await world.database.write(partial(people.allow, guild_id=SERVER, kind="role", target_id=7))
    with pytest.raises(NotYet):  # nothing can be told: the roles on asking are of long ago
        await world.moderator.gate(job(roles=(7,)), True)
    world.people.members[1] = frozenset({8})
    with pytest.raises(NotAllowedError, match="roles no longer allow Atelier here; this job was not run"):
        await world.moderator.gate(job(roles=(7,)), True)
    world.people.members[1] = frozenset({7, 8})
    await world.moderator.gate(job(roles=()), True)
    await world.moderator.gate(job(guild_id=None), True)


# Strikes


async def strikes(world: World, count: int, origin: Origin, rule: Rule = Rule.EXPLICIT) -> None:
    """As many strikes, an hour apart, the last of them now."""
    now = datetime.now(UTC)
    for number in range(count - 1, 0, -1):
        at = now - timedelta(hours=number)
        who = {"user_id": origin.user_id, "guild_id": origin.guild_id}
        apart = at - timedelta(seconds=1)
        await world.database.write(partial(rows.add_strike, **who, rule=rule.name, now=at, apart=apart))
    await world.moderator.strike(origin, rule)


async def test_as_many_strikes_as_the_server_says_bring_a_time_out_as_long_as_it_says(world: World) -> None:
    await world.moderator.set_policy(ADMIN, SERVER, strikes=2, timeout=30)
    origin = job().origin
    await world.moderator.strike(origin, Rule.EXPLICIT)
    found, until = await world.moderator.strikes(1, SERVER)
    assert [strike.rule for strike in found] == ["EXPLICIT"] and until is None
    await world.moderator.strike(origin, Rule.EXPLICIT)  # of the same command: within ten seconds
    assert len((await world.moderator.strikes(1, SERVER))[0]) == 1
    await strikes(world, 2, replace(origin, user_id=2))
    found, until = await world.moderator.strikes(2, SERVER)
    assert len(found) == 2 and timedelta(minutes=29) < until - datetime.now(UTC) <= timedelta(minutes=30)
    assert await world.moderator.strikes(2, 4) == ([], None)
    assert await world.moderator.pardon(ADMIN, 2, SERVER) == 2
    assert await world.moderator.strikes(2, SERVER) == ([], None)


async def test_only_strikes_within_the_window_count(world: World) -> None:
    await world.moderator.set_policy(ADMIN, SERVER, strikes=3, window=2)
    await strikes(world, 3, job().origin)  # the first was two hours ago
    assert (await world.moderator.strikes(1, SERVER))[1] is None
    await world.moderator.set_policy(ADMIN, SERVER, window=3)
    await strikes(world, 3, job(user=2).origin)
    assert (await world.moderator.strikes(2, SERVER))[1] is not None


async def test_where_no_number_of_strikes_counts_there_is_no_time_out(world: World) -> None:
    await world.moderator.set_policy(ADMIN, SERVER, strikes=0)
    await strikes(world, 5, job().origin)
    assert (await world.moderator.strikes(1, SERVER))[1] is None


async def test_strikes_of_more_than_90_days_ago_are_not_shown(world: World) -> None:
    for days in (89, 91):
        at = datetime.now(UTC) - timedelta(days=days)
        await world.database.write(
            partial(rows.add_strike, user_id=1, guild_id=SERVER, rule="GORE", now=at, apart=at)
        )
    assert len((await world.moderator.strikes(1, SERVER))[0]) == 1


async def audited(world: World) -> list[people.AuditRow]:
    return await world.database.read(partial(people.audit_rows, limit=20))


async def test_admins_see_who_asked_for_minors_and_for_nothing_else(world: World) -> None:
    await world.moderator.strike(job().origin, Rule.EXPLICIT)
    assert await audited(world) == []
    await world.moderator.strike(job(user=2).origin, Rule.MINORS, Deed.TELL)
    await world.moderator.strike(job(user=3).origin, Rule.CHILDREN, Deed.REFUSE)
    assert await world.moderator.strikes(3, SERVER) == ([], None)
    [row] = await audited(world)
    assert (row.actor_id, row.action, row.guild_id) == (2, f"stopped: {Rule.MINORS}", SERVER)
    assert abs(row.at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_strike_that_cannot_be_written_stops_nobody(world: World, monkeypatch) -> None:
    async def refuse(work: object, **options: object) -> None:
        raise StorageError("disk I/O error")

    monkeypatch.setattr(world.database, "write", refuse)
    await world.moderator.strike(job().origin, Rule.EXPLICIT)


async def test_every_change_of_an_admin_s_is_on_record(world: World) -> None:
    moderator = world.moderator
    await moderator.set_policy(ADMIN, SERVER, level="strict", strikes=None)
    await moderator.add_word(ADMIN, SERVER, "clown")
    assert await moderator.words(SERVER) == ["clown"] and await moderator.words(4) == []
    await moderator.remove_word(ADMIN, SERVER, "clown")
    await moderator.time_out(ADMIN, 1, SERVER, 5)
    await moderator.pardon(ADMIN, 1, SERVER)
    rows_ = sorted(await audited(world), key=lambda row: row.at)
    assert [(row.action, row.target, dict(row.detail)) for row in rows_] == [
        ("set moderation", None, {"level": "strict", "strikes": None}),
        ("add filter word", None, {"pattern": "clown"}),
        ("remove filter word", None, {"pattern": "clown"}),
        ("time out", "1", {"minutes": 5}),
        ("pardon", "1", {}),
    ]
    assert {(row.actor_id, row.guild_id) for row in rows_} == {(ADMIN, SERVER)}
    assert all(abs(row.at - datetime.now(UTC)) < timedelta(minutes=1) for row in rows_)


# Pictures


async def test_an_unfit_picture_is_not_worked_on(world: World) -> None:
    bad, fine = await world.picture(b"bad", 0.8), await world.picture(b"fine", 0.79)
    await world.moderator.gate(job(ClassifyRequest(image=fine)), False)
    error = await stopped(world, job(ClassifyRequest(image=bad)))
    assert (error.rule, error.picture) == (Rule.PICTURE, bad) and str(error).endswith("limits.")
    await world.moderator.gate(job(ClassifyRequest(image=bad)), True)  # it was looked at on asking
    await world.moderator.gate(job(ClassifyRequest(image=bad), channel_id=CELLAR), False)
    await level(world, "strict")
    assert (await stopped(world, job(ClassifyRequest(image=bad), channel_id=CELLAR))).picture == bad
    assert (await stopped(world, job(ClassifyRequest(image=fine)))).picture == fine


async def test_a_picture_that_cannot_be_judged_is_refused_where_rules_are_strict(world: World) -> None:
    odd = await world.picture(b"odd", None)
    gone = "e" * 64  # no such file
    for sha256 in (odd, gone):
        await world.moderator.gate(job(ClassifyRequest(image=sha256)), False)
    await level(world, "strict")
    for sha256 in (odd, gone):
        assert (await stopped(world, job(ClassifyRequest(image=sha256)))).picture == sha256


async def test_a_picture_is_judged_once_by_each_classifier(world: World) -> None:
    sha256 = await world.picture(b"one", 0.3)
    for _ in range(2):
        assert await world.moderator.visibility((sha256,), HERE) is Visibility.SHOW
    assert world.judge.asked == [b"one"]
    world.judge.name, world.judge.scores[b"one"] = "another", 0.9
    assert await world.moderator.visibility((sha256,), HERE) is Visibility.SPOILER
    kept = await world.database.read(partial(rows.scores, sha256s=[sha256], classifier="another"))
    assert kept == {sha256: 0.9}
    asked = len(world.judge.asked)
    other = await world.picture(b"other", 0.3)
    assert await world.moderator.visibility((other,), THERE) is Visibility.SHOW
    assert len(world.judge.asked) == asked, "where everything is shown nothing is judged"


@pytest.mark.parametrize(
    ("level_", "pictures", "channel", "score", "visibility"),
    [
        ("standard", "spoiler", CHANNEL, 0.79, Visibility.SHOW),
        ("standard", "spoiler", CHANNEL, 0.8, Visibility.SPOILER),
        ("standard", "block", CHANNEL, 0.8, Visibility.BLOCK),
        ("standard", "block", CELLAR, 1.0, Visibility.SHOW),
        ("standard", "spoiler", CHANNEL, None, Visibility.SHOW),
        ("strict", "spoiler", CHANNEL, 0.49, Visibility.SHOW),
        ("strict", "spoiler", CHANNEL, 0.5, Visibility.BLOCK),
        ("strict", "spoiler", CELLAR, 0.5, Visibility.BLOCK),
        ("strict", "spoiler", CHANNEL, None, Visibility.BLOCK),
        ("off", "block", CHANNEL, 1.0, Visibility.SHOW),
    ],
)
async def test_a_picture_is_shown_as_the_rules_of_the_place_say(
    world: World, level_: str, pictures: str, channel: int, score: float | None, visibility: Visibility
) -> None:
    await level(world, level_, pictures=pictures)
    this = await world.picture(b"this one", score)
    for pictures_ in ((this,), (await world.picture(b"fine", 0.0), this)):
        assert await world.moderator.visibility(pictures_, Place(SERVER, channel)) is visibility


@pytest.mark.parametrize("level_", ["off", "standard"])
async def test_a_doubtful_picture_of_a_minor_is_shown_nowhere(world: World, level_: str) -> None:
    await level(world, level_)
    doubtful = await world.drawn(ImagineRequest(prompt=CHILD), b"doubtful", 0.5)
    unread = await world.drawn(ImagineRequest(prompt=CHILD), b"unread", None)
    fine = await world.drawn(ImagineRequest(prompt=CHILD), b"fine", 0.49)
    other = await world.drawn(ImagineRequest(prompt=FINE), b"other", 0.5)
    for place in (HERE, THERE):
        assert await world.moderator.visibility((fine, doubtful), place) is Visibility.BLOCK
        assert await world.moderator.visibility((fine, other), place) is Visibility.SHOW
        shown = await world.moderator.visibilities([doubtful, fine, unread, other], place)
        assert shown == [Visibility.BLOCK, Visibility.SHOW, Visibility.BLOCK, Visibility.SHOW]
        assert await world.moderator.unfit((fine, other, unread), place) == unread


async def test_what_is_made_from_a_picture_of_a_minor_is_one_however_far_away(world: World) -> None:
    first = await world.drawn(ImagineRequest(prompt=CHILD), b"first")
    second = await world.drawn(VariationRequest(prompt=FINE, image=first), b"second")
    sent = await world.picture(b"sent", 0.0)
    third = await world.drawn(BlendRequest(images=(sent, second)), b"third")
    read = await world.drawn(ReadRequest(image=third), b"boxes", 0.6)
    apart = await world.drawn(BlendRequest(images=(sent, await world.picture(b"else", 0.0))), b"apart")
    assert await world.moderator.visibility((read,), THERE) is Visibility.BLOCK
    for picture, is_one in ((first, True), (second, True), (third, True), (sent, False), (apart, False)):
        assert await world.moderator.of_minors((sent, picture)) is is_one


async def test_a_picture_stays_of_a_minor_when_the_job_that_made_it_is_deleted(world: World) -> None:
    first = await world.drawn(ImagineRequest(prompt=CHILD), b"first")
    await world.moderator.gate(job(VariationRequest(prompt=FINE, image=first)), False)
    second = await world.drawn(VariationRequest(prompt=FINE, image=first), b"second")
    delete = sa.delete(schema.jobs).where(schema.jobs.c.prompt == CHILD)
    await world.database.write(lambda connection: connection.execute(delete))
    assert await world.moderator.of_minors((second,))
    await world.database.write(partial(rows.forget_pictures, sha256s=[first]))
    assert not await world.moderator.of_minors((first,))


async def learned(world: World, name: str, words: str, picture: str, caption: str = "") -> str:
    """Store a style that was learned from a picture and is called by words; the SHA-256 of its file."""
    at, artefact = datetime.now(UTC), name * 64
    project, settings = name * 12, to_json(TrainRequest(project=name * 12, task=STYLE, words=words))
    row = {"id": project, "user_id": 1, "guild_id": None, "name": name, "task": STYLE}
    version = {"project_id": project, "number": 1, "user_id": 1, "state": "active", "artefact": artefact}
    item = {"project_id": project, "number": 1, "sha256": picture, "label": caption}
    item |= {"group_key": "", "part": "train"}

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.insert(schema.projects).values(**row, created_at=at))
        more = {"size": 1, "settings": settings, "metrics": "{}", "asked_at": at, "at": at}
        connection.execute(sa.insert(schema.versions).values(**version, **more))
        connection.execute(sa.insert(schema.version_items).values(**item))

    await world.database.write(write)
    return f"{name}+{project}+{artefact}"


async def test_a_style_is_of_a_minor_by_its_words_and_by_the_pictures_it_was_learned_from(
    world: World,
) -> None:
    child = await world.drawn(ImagineRequest(prompt=CHILD), b"child")
    sent = await world.picture(b"sent", 0.0)
    for name, words, picture, caption, is_one in (
        ("a", "", child, "", True),
        ("b", CHILD, sent, "", True),
        ("c", "", sent, FINE, False),
        ("d", "", sent, CHILD, True),
    ):
        style = ((await learned(world, name, words, picture, caption), 1.0),)
        drawn = await world.drawn(ImagineRequest(prompt=FINE, loras=style), name.encode())
        assert await world.moderator.of_minors((drawn,)) is is_one
        asked = job(ImagineRequest(prompt=SEXY, loras=style), channel_id=CELLAR)
        if is_one:
            assert (await stopped(world, asked)).rule is Rule.CHILDREN
        else:
            await world.moderator.gate(asked, False)


@pytest.mark.parametrize(
    ("words", "captions", "rule"),
    [
        (FINE, ("", FINE), None),
        (SEXY, (FINE, FINE), Rule.CHILDREN),  # the first picture is of a minor
        (FINE, (SEXY, FINE), Rule.CHILDREN),
        (rules.LISTS[Sense.EXPLICIT].listed[0], (FINE, FINE), Rule.MINORS),
    ],
)
async def test_a_style_is_not_taught_to_sexualise_minors(world: World, words, captions, rule) -> None:
    at, project = datetime.now(UTC), "a" * 12
    pictures = [await world.drawn(ImagineRequest(prompt=CHILD), b"child"), await world.picture(b"sent", 0.0)]
    row = {"id": project, "user_id": 1, "guild_id": None, "name": "ink", "task": STYLE, "created_at": at}
    shared = {"project_id": project, "user_id": 1, "added_at": at, "changed_at": at}

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.insert(schema.projects).values(**row))
        for sha256, label in zip(pictures, captions, strict=True):
            connection.execute(sa.insert(schema.items).values(sha256=sha256, label=label, **shared))

    await world.database.write(write)
    asked = job(TrainRequest(project=project, task=STYLE, words=words), channel_id=CELLAR)
    for running in (False, True):
        if rule is None:
            await world.moderator.gate(asked, running)
        else:
            assert (await stopped(world, asked, running=running)).rule is rule


async def test_what_a_training_draws_is_of_a_minor_where_what_it_learned_from_is(world: World) -> None:
    for name, caption, is_one in (("a", CHILD, True), ("b", FINE, False)):
        await learned(world, name, "", await world.picture(b"sent", 0.0), caption)
        sheet = await world.drawn(TrainRequest(project=name * 12, task=STYLE), f"sheet {name}".encode())
        made = sa.select(schema.pictures.c.job_id).where(schema.pictures.c.sha256 == sheet)
        work = sa.update(schema.versions).where(schema.versions.c.project_id == name * 12)
        await world.database.write(
            lambda c, made=made, work=work: c.execute(work.values(job_id=made.scalar_subquery()))
        )
        assert await world.moderator.of_minors((sheet,)) is is_one


async def test_pictures_that_came_of_each_other_are_read_to_an_end(world: World) -> None:
    one, other = await world.picture(b"one", 0.0), await world.picture(b"other", 0.0)
    await world.drawn(VariationRequest(prompt=FINE, image=one), b"other")
    await world.drawn(VariationRequest(prompt=FINE, image=other), b"one")
    assert not await world.moderator.of_minors((one, other))


def from_a_picture(sha256: str, words: str, other: str) -> list[Request]:
    """Every kind of request that changes, mixes (with ``other``) or reads a picture by words."""
    given = {"prompt": words, "image": sha256}
    return [
        ImagineRequest(**given),
        ImagineRequest(prompt=words, image_prompts=((sha256, 1.0),)),
        ImagineRequest(prompt=words, character_references=((sha256, 1.0),)),
        VariationRequest(**given, remix=True),
        OutpaintRequest(**given, left=64),
        UpscaleRequest(**given),
        RegionRequest(**given, boxes=((0, 0, 8, 8),)),
        RegionRequest(prompt="", image=sha256, region=words),
        EditRequest(**given),
        CutOutRequest(**given),
        BlendRequest(prompt=words, images=(sha256, other)),
        ComposeRequest(prompt=words, canvas=(64, 64), layers=((sha256, 0.0, 0.0, 1.0, 1.0, None),)),
        VideoRequest(**given),
        VideoRequest(prompt=words, clip=sha256, operation="remix"),
        ClassifyRequest(image=sha256, labels=("a house", words)),
        AskRequest(question=words, images=(sha256,)),
    ]


async def test_new_words_do_not_sexualise_a_picture_of_a_minor_by_any_request(world: World) -> None:
    await level(world, "off")
    child = await world.drawn(ImagineRequest(prompt=CHILD), b"child")
    made = await world.drawn(VariationRequest(prompt=FINE, image=child), b"made from it")
    house = await world.drawn(ImagineRequest(prompt=FINE), b"house")
    for sha256 in (child, made):
        for request in from_a_picture(sha256, SEXY, house):
            for running in (False, True):
                error = await stopped(world, job(request, channel_id=CELLAR), running)
                assert (error.rule, error.deed) == (Rule.CHILDREN, Deed.REFUSE), request.kind
        for request in from_a_picture(sha256, FINE, house):
            await world.moderator.gate(job(request), False)
    for request in from_a_picture(house, SEXY, await world.picture(b"sent", 0.0)):
        await world.moderator.gate(job(request), False)


async def test_an_unfit_picture_is_mixed_with_a_minor_nowhere(world: World) -> None:
    child = await world.drawn(ImagineRequest(prompt=CHILD), b"child")
    bad = await world.picture(b"bad", 0.5)
    for request in (BlendRequest(images=(child, bad)), VariationRequest(prompt=CHILD, image=bad)):
        error = await stopped(world, job(request, channel_id=CELLAR))
        assert (error.rule, error.picture) == (Rule.PICTURE, bad)


async def test_many_pictures_are_shown_as_each_alone(world: World) -> None:
    await level(world, "strict")
    named = [await world.picture(name, score) for name, score in SCORED.items()]
    block, show = Visibility.BLOCK, Visibility.SHOW
    assert await world.moderator.visibilities(named, HERE) == [block, block, show]


async def test_a_preview_is_seen_where_every_picture_is_or_when_it_is_fit(world: World) -> None:
    world.judge.scores |= {b"bad": 0.8, b"fine": 0.79, b"odd": None}

    async def seen(preview: bytes, asked: Job | None = None, place: Place = HERE) -> bool:
        return await world.moderator.shows_preview(preview, asked or job(), place)

    assert [await seen(data) for data in (b"bad", b"fine", b"odd")] == [False, True, False]
    assert await seen(b"bad", place=THERE)
    assert not await seen(b"fine", job(CHILD), THERE)
    child = await world.drawn(ImagineRequest(prompt=CHILD), b"child")
    assert not await seen(b"fine", job(VariationRequest(prompt=FINE, image=child)), THERE)
    await level(world, "off")
    assert await seen(b"bad") and await seen(b"bad", place=THERE)
    await level(world, "strict")
    assert not await seen(b"fine") and not await seen(b"fine", place=THERE)


@pytest.mark.parametrize(
    ("request_", "running", "channel", "ready"),
    [
        (ImagineRequest(prompt=FINE), True, CHANNEL, 1),
        (VariationRequest(prompt=FINE, image="a" * 64), True, CHANNEL, 1),
        (ImagineRequest(prompt=FINE), False, CHANNEL, 0),
        (ImagineRequest(prompt=FINE), True, CELLAR, 0),  # nothing is judged there
        (ShortenRequest(prompt="a red house"), True, CHANNEL, 0),
    ],
)
async def test_the_classifier_is_made_ready_for_what_will_be_judged(
    world: World, request_: Request, running: bool, channel: int, ready: int
) -> None:
    await world.moderator.gate(job(request_, channel_id=channel), running)
    assert world.judge.made_ready == ready
