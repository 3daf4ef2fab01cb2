"""Atelier in somebody's pocket: what works, and what doesn't, in places that the bot isn't in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import discord
import pytest
import sqlalchemy as sa
from simcord.backend.errors import SetupError
from simcord.components import walk_components

from core.job import Job, Lane
from storage.moderation import policy
from storage.schema import turns
from studio.moderation.moderator import Unchecked
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.elsewhere import CHANNEL, GROUP, SERVER, Elsewhere, elsewhere
from tests.support.messages import text_of

SETTINGS = {"USER_APPS": "members"}


@pytest.fixture
def place() -> Iterator[Elsewhere]:
    with elsewhere() as there:
        yield there


@pytest.fixture
async def open_to_all(tmp_path: Path) -> AsyncIterator[Studio]:
    async with open_studio(tmp_path, USER_APPS="everyone", MODERATION="off", USER_WAITING="100") as opened:
        yield opened


def texts(result: Any) -> str:
    """What somebody was told by an interaction."""
    return "\n".join(one.content for one in (result.response, *result.followups) if one is not None)


async def drawn(
    studio: Studio, person: Any, prompt: str = "a boat --seed 100"
) -> tuple[discord.Message, Job]:
    """What ``person`` draws, as its message, and its row."""
    result = await person.slash(studio.channel, "imagine", prompt=prompt)
    [job, *_] = await studio.members.recent(person.id)
    return result.response, job


@pytest.mark.parametrize("is_group", [False, True])
async def test_a_picture_drawn_away_is_its_askers_alone(
    studio: Studio, place: Elsewhere, is_group: bool
) -> None:
    place.owner, place.is_group = studio.alice.id, is_group
    message, job = await drawn(studio, studio.alice, "a boat --seed 100 --turbo")
    assert message.flags.ephemeral and message.attachments
    origin = job.origin
    assert (origin.guild_id, origin.channel_id) == (None, GROUP if is_group else CHANNEL)
    assert origin.private and origin.away and origin.roles == () and job.lane is Lane.RELAX
    pressed = await studio.alice.click(message, label="U2")
    assert pressed.response.flags.ephemeral and pressed.response.attachments


async def test_who_wants_to_shows_their_pictures_to_others_who_may_only_look(
    studio: Studio, place: Elsewhere
) -> None:
    panel = await studio.alice.slash(studio.channel, "settings")
    await studio.alice.click(panel.response, label="Public elsewhere")
    place.owner = studio.alice.id
    place.managers = {studio.bob.id}  # of the server without the bot
    message, job = await drawn(studio, studio.alice)
    assert not message.flags.ephemeral and job.origin.private
    before = [(one.id, one.status) for one in await studio.members.recent(studio.bob.id)]
    for label in ("U1", "V2"):
        said = await studio.bob.click(message, label=label)
        assert "add it to your account" in texts(said) and "oauth2/authorize?client_id=" in texts(said)
        assert said.response.flags.ephemeral
    assert [(one.id, one.status) for one in await studio.members.recent(studio.bob.id)] == before


async def test_what_was_made_away_is_told_by_privacy(studio: Studio, place: Elsewhere) -> None:
    place.owner = studio.alice.id
    await drawn(studio, studio.alice)
    assert "1 job of them from places" in texts(await studio.alice.slash(studio.channel, "privacy show"))


async def test_a_foreign_servers_manager_has_no_say(studio: Studio, place: Elsewhere) -> None:
    """The three of what would happen if it were only switched on: a stranger's press is above."""
    place.owner = studio.alice.id
    place.managers = {studio.alice.id}
    _, job = await drawn(studio, studio.alice)
    said = await studio.alice.slash(studio.channel, "moderation level", level="off")
    assert "Manage Server" in texts(said)
    said = await studio.alice.slash(studio.channel, "queue front", job=job.id)
    assert "Manage Server" in texts(said)
    for command in ("queue show", "queue clear", "queue pause"):
        assert "Manage Server" in texts(await studio.alice.slash(studio.channel, command)), command
    levels = await studio.built.database.read(lambda c: policy(c, guild_id=SERVER))
    assert levels.level is None
    assert not (await studio.built.queue.snapshot()).paused


async def test_without_the_setting_nothing_is_done(tmp_path: Path, place: Elsewhere) -> None:
    async with open_studio(tmp_path) as studio:
        place.owner = studio.alice.id
        said = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert "hasn't allowed it" in texts(said)
        assert await studio.members.recent(studio.alice.id) == []
        offered = await studio.alice.autocomplete(studio.channel, "imagine", "prompt", "a")
        assert offered == []


async def test_members_are_those_who_share_a_server(studio: Studio, place: Elsewhere) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, "", ("a.png", png()))
    place.owner, place.is_group = dora.id, True
    said = await dora.click(studio.last(dora.dm_channel), label="Describe")
    assert "only for people who share a server" in texts(said)
    assert (await studio.built.queue.snapshot()).jobs == ()


async def test_the_limits_of_those_who_are_away(tmp_path: Path, place: Elsewhere) -> None:
    limits = {"USER_APPS": "members", "AWAY_PER_DAY": "2", "AWAY_LANE": "fast"}
    async with open_studio(tmp_path, **limits) as studio:
        place.owner = studio.alice.id
        _, first = await drawn(studio, studio.alice)
        assert first.lane is Lane.FAST
        await drawn(studio, studio.alice)
        await studio.built.privacy.delete_job(studio.alice.id, first.id)  # gives nothing back
        said = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert "today's 2 jobs" in texts(said)
        place.owner = None
        message, _ = await drawn(studio, studio.alice)
        assert message.attachments


async def test_a_sheet_from_away_counts_as_four_jobs(tmp_path: Path, place: Elsewhere) -> None:
    async with open_studio(tmp_path, USER_APPS="members", AWAY_PER_DAY="4") as studio:
        place.owner = studio.alice.id
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat --sheet")
        said = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert "today's 4 jobs" in texts(said)


async def test_jobs_that_wait_from_away_are_few(tmp_path: Path, place: Elsewhere) -> None:
    async with open_studio(tmp_path, USER_APPS="everyone", AWAY_WAITING="1") as studio:
        place.owner, studio.hooks.wait = studio.alice.id, studio.outside
        await studio.built.queue.pause(studio.mira.id)
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        said = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert "1 jobs waiting from places" in texts(said)


async def test_moderation_that_is_off_is_standard_away(open_to_all: Studio, place: Elsewhere) -> None:
    studio, words = open_to_all, "a naked woman, nude, explicit"
    await studio.alice.slash(studio.channel, "imagine", prompt=words)
    assert len(await studio.members.recent(studio.alice.id)) == 1
    place.owner = studio.alice.id  # the channel says that it is age-restricted
    said = await studio.alice.slash(studio.channel, "imagine", prompt=words)
    assert "age-restricted" in texts(said) or "sexual" in texts(said).lower()
    assert len(await studio.members.recent(studio.alice.id)) == 1


async def test_a_picture_that_cannot_be_checked_is_not_shown_away(
    open_to_all: Studio, place: Elsewhere
) -> None:
    class Broken:
        name = "broken"

        def get_ready(self) -> None: ...

        async def close(self) -> None: ...

        async def score(self, _: bytes) -> float:
            raise Unchecked("it is gone")

    studio = open_to_all
    studio.built.moderator.check = Broken()
    message, _ = await drawn(studio, studio.alice)
    assert message.attachments
    place.owner = studio.alice.id
    message, _ = await drawn(studio, studio.alice)
    assert not message.attachments and "held back" in text_of(message)


async def test_an_answer_that_discord_makes_private_has_a_private_row(
    studio: Studio, place: Elsewhere
) -> None:
    await studio.members.change(studio.alice.id, shown_away=True)
    place.owner = studio.alice.id
    place.silenced = {studio.alice.id}
    message, job = await drawn(studio, studio.alice)
    assert message.flags.ephemeral and message.attachments and job.origin.private
    assert [m.id for m in studio.channel.history() if not m.flags.ephemeral] == []


async def test_what_has_many_pages_ends_in_a_file(studio: Studio, place: Elsewhere) -> None:
    there = await studio.alice.slash(studio.channel, "help", topic="flags")
    assert len(there.followups) > 1
    place.owner = studio.alice.id
    many = [f"{number:04} {'x' * 90}" for number in range(150)]
    with mock.patch("bot.ui.help.lines", lambda topic: many):
        said = await studio.alice.slash(studio.channel, "help", topic="flags")
    assert len(said.followups) == 4
    [file] = [one for sent in said.followups for one in sent.attachments]
    rest = (await file.read()).decode()
    assert all(line in texts(said) or line in rest for line in many)


@pytest.mark.parametrize("is_group", [False, True])
async def test_a_conversation_is_refused_away_with_what_to_do(
    studio: Studio, place: Elsewhere, is_group: bool
) -> None:
    """Discord doesn't offer /talk there; an old client, or one that is forged, may still send it."""
    for words in ("a red house", "make it blue"):
        begun = await studio.alice.slash(studio.channel, "talk", words=words)
    before = await studio.built.database.read(lambda c: c.execute(sa.select(turns.c.id)).all())
    jobs = [one.id for one in await studio.members.recent(studio.alice.id)]
    place.owner, place.is_group = studio.alice.id, is_group
    said = await studio.alice.slash(studio.channel, "talk", words="make it green")
    assert "in direct messages" in texts(said) and "`/imagine`" in texts(said)
    assert all(one.flags.ephemeral for one in (said.response, *said.followups) if one is not None)
    pressed = await studio.alice.click(begun.response, label="Undo")
    assert "in direct messages" in texts(pressed)
    assert await studio.built.database.read(lambda c: c.execute(sa.select(turns.c.id)).all()) == before
    assert [one.id for one in await studio.members.recent(studio.alice.id)] == jobs


def pressable(message: Any) -> list[str]:
    """The ids of a message's buttons."""
    found = walk_components(message.components)
    return [
        one["custom_id"]
        for one in found
        if one.get("type") == 2 and not one.get("disabled") and "url" not in one
    ]


async def walk(studio: Studio, place: Elsewhere, random: Random) -> None:
    """Do a few things that anybody may try, and look after each that no rule of places was broken."""
    people, known = [studio.alice, studio.bob, studio.mira], list[discord.Message]()
    requests, backend = studio.env.backend.http_requests, studio.env.backend
    for _ in range(5):
        owner, person = random.choice(people), random.choice(people)
        place.owner = random.choice([None, owner.id, owner.id, owner.id])
        place.is_group, place.managers = random.random() < 0.3, {random.choice(people).id}
        place.silenced = {one.id for one in people if random.random() < 0.5}
        await studio.members.change(person.id, shown_away=random.random() < 0.7)
        before, own = len(requests), {one.id for one in await studio.members.recent(person.id)}
        started = set(backend.interactions)
        live = [one for one in known if pressable(one)]
        if live and random.random() < 0.6:
            message = random.choice(live)
            try:
                result = await person.click(message, custom_id=random.choice(pressable(message)))
            except SetupError:  # nobody can press what they don't see, or what is gone
                continue
            may = person.id == owner.id
        else:
            if place.owner is not None:
                place.owner = person.id  # Discord lets nobody else begin
            words = random.choice(
                ["a boat", "a {red, blue, green} boat", "a {a, b, c, d, e, f} boat --turbo"]
            )
            job = next(iter(own), "aaaaaaaaaaaa")
            command, given = random.choice(
                [("imagine", {"prompt": words}), ("show", {"job": job}), ("help", {"topic": "flags"})]
                + [("queue mine", {}), ("queue show", {}), ("moderation level", {"level": "off"})]
                + [("search", {"words": "boat"}), ("favourites", {}), ("settings", {})]
            )
            result, may = await person.slash(studio.channel, command, **given), True
        sent = [one for one in (result.response, *result.followups) if one is not None]
        seen = {one.id for one in known}
        known += [one for one in sent if pressable(one)]
        new = [one for one in await studio.members.recent(person.id) if one.id not in own]
        if place.owner is None:
            continue
        tokens = {backend.interactions[one].token for one in set(backend.interactions) - started}
        beside = [
            one for one in requests[before:] if one.method == "POST" and one.path.split("/")[-1] in tokens
        ]
        assert len(beside) <= 5
        posted = {one.path.split("/")[2] for one in requests[before:] if one.path.endswith("/messages")}
        assert not posted & {str(one) for one in (studio.channel.id, CHANNEL, GROUP)}
        assert all(one.origin.away and one.origin.private and one.origin.guild_id is None for one in new)
        assert may or not new
        if person.id in place.silenced:
            assert all(one.flags.ephemeral for one in sent if one.id not in seen)


async def walks(tmp_path: Path, place: Elsewhere, count: int) -> None:
    limits = {"USER_APPS": "everyone", "AWAY_PER_DAY": "0", "AWAY_WAITING": "1000", "USER_WAITING": "10000"}
    async with open_studio(tmp_path, **limits) as studio:
        for seed in range(count):
            await walk(studio, place, Random(seed))
        levels = await studio.built.database.read(lambda c: policy(c, guild_id=SERVER))
        assert levels.level is None


async def test_nothing_that_is_tried_elsewhere_breaks_a_rule(tmp_path: Path, place: Elsewhere) -> None:
    await walks(tmp_path, place, 4)


@pytest.mark.long
@pytest.mark.timeout(3000)
async def test_nothing_of_two_hundred_walks_elsewhere_breaks_a_rule(tmp_path: Path, place: Elsewhere) -> None:
    await walks(tmp_path, place, 200)


async def test_studio_and_moderation_are_offered_in_servers_only_and_the_rest_by_choice(
    studio: Studio,
) -> None:
    for command in studio.bot.tree.get_commands():
        data = command.to_dict(studio.bot.tree)
        if command.name in ("studio", "moderation"):
            assert (data["contexts"], data["integration_types"]) == ([0], [0])
        away = command.name in AWAY_NAMES
        assert (1 in data["integration_types"], 2 in data["contexts"]) == (away, away), command.name


AWAY_NAMES = {
    "imagine",
    "edit",
    "ask",
    "describe",
    "classify",
    "read",
    "search",
    "favourites",
    "show",
    "queue",
}
AWAY_NAMES |= {"settings", "help", "privacy", "Describe", "Ask", "Classify", "Vary", "Read text", "Cancel"}
AWAY_NAMES |= {"DM results", "Details"}


async def test_nothing_is_offered_away_unless_the_host_says_so(tmp_path: Path) -> None:
    async with open_studio(tmp_path) as studio:
        for command in studio.bot.tree.get_commands():
            data = command.to_dict(studio.bot.tree)
            assert data["integration_types"] == [0] and 2 not in data["contexts"]
