"""Atelier in somebody's pocket: what works, and what doesn't, in places that the bot isn't in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import discord
import pytest

from core.job import Job, Lane
from storage.moderation import policy
from studio.moderation.moderator import Unchecked
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.elsewhere import CHANNEL, GROUP, Elsewhere, elsewhere

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
    await studio.members.change(studio.alice.id, shown_away=True)
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
    levels = await studio.built.database.read(lambda c: policy(c, guild_id=999000000000000001))
    assert levels.level is None
    assert not (await studio.built.queue.snapshot()).paused


async def test_without_the_setting_nothing_is_done(tmp_path: Path, place: Elsewhere) -> None:
    async with open_studio(tmp_path) as studio:
        place.owner = studio.alice.id
        said = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert "hasn't allowed it" in texts(said)
        assert await studio.members.recent(studio.alice.id) == []
        offered = await studio.alice.autocomplete(studio.channel, "imagine", "prompt", "a")
        assert list(offered.choices) == []


async def test_members_are_those_who_share_a_server(studio: Studio, place: Elsewhere) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, "", ("a.png", png()))
    place.owner, place.is_group = dora.id, True
    said = await dora.click(studio.last(dora.dm_channel), label="Describe")
    assert "only for people who share a server" in texts(said)
    assert await studio.members.recent(dora.id) == []
    studio.guild.add_member(dora)
    studio.bot.studio.rights._memberships._answers.clear()  # the answer is kept for a minute
    await dora.click(studio.last(dora.dm_channel), label="Describe")
    [job] = await studio.members.recent(dora.id)
    assert job.origin.away and job.origin.private


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
    assert not message.attachments and "held back" in message.content


async def test_an_answer_that_discord_makes_private_has_a_private_row(
    studio: Studio, place: Elsewhere
) -> None:
    await studio.members.change(studio.alice.id, shown_away=True)
    place.owner = studio.alice.id
    place.silenced = {studio.alice.id}
    message, job = await drawn(studio, studio.alice)
    assert message.flags.ephemeral and message.attachments and job.origin.private
    assert [m.id for m in studio.channel.history() if not m.flags.ephemeral] == []


async def test_help_and_details_need_at_most_five_messages_beside_the_answer(
    studio: Studio, place: Elsewhere
) -> None:
    place.owner = studio.alice.id
    whole = await studio.alice.slash(studio.channel, "help", topic="flags")
    assert len(whole.followups) <= 4 and whole.followups
    told = "".join(f.content for f in whole.followups)
    files = [file for one in whole.followups for file in one.attachments]
    assert files or told


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
