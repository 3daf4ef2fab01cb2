"""That every entry point asks the table of rights, and nobody else decides."""

import ast
from pathlib import Path

import discord
import pytest

from bot.ui.buttons import BUTTONS
from core.settings import ROOT
from studio.authority import TABLE, Action
from studio.requests.actions import RIGHTS
from tests.bot.conftest import Studio
from tests.support.messages import text_of


def test_every_action_has_a_row_and_every_button_an_action() -> None:
    assert set(TABLE) == set(Action)
    sent = {"variation", "outpaint", "ask"}  # of a picture that was sent: there is no job yet
    assert set(BUTTONS) - set(RIGHTS) == sent


# Nobody else decides


def _names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


DECIDING = {"manage_guild", "guild_permissions", "administrator", "manage_messages", "moderate_members"}
DECIDING |= {"has_permissions", "is_owner"}


def test_rights_are_read_where_somebody_comes_in_only() -> None:
    """By an interaction, which tells them, or by the web, for which the person is looked up."""
    found = {path.name for path in (ROOT / "bot").rglob("*.py") if _names(path) & DECIDING}
    assert found == {"interactions.py", "directory.py"}


# Through the real entry points


@pytest.mark.parametrize("place", ["elsewhere", "a channel that bob can't read"])
async def test_a_forged_or_overheard_id_opens_nothing(studio: Studio, place: str) -> None:
    hidden, open_to = (discord.PermissionOverwrite(view_channel=seen) for seen in (False, True))
    overwrites = {studio.guild.default_role: hidden, studio.mira: open_to}
    staff = studio.guild.create_text_channel("staff", overwrites=overwrites)
    await studio.mira.slash(staff, "imagine", prompt="a secret boat")
    job, _ = await studio.built.queue.job_of_message(studio.last(staff).id)
    if place == "elsewhere":
        other = studio.env.create_guild("Other")
        bob, channel = other.add_member(studio.env.create_user("bobby")), other.create_text_channel("general")
    else:
        bob, channel = studio.bob, studio.channel
    source = {"source": f"{job.id} 1"}
    for command, options in (("show", {"job": job.id}), ("variation", source), ("outpaint", source)):
        result = await bob.slash(channel, command, **options)
        assert "somebody else" in text_of((result.followups or [result.response])[-1]), command
    assert not [m for m in channel.history() if m.attachments]


async def test_a_banned_member_presses_in_vain_but_may_end_what_is_theirs(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    grid = studio.last()
    await studio.built.queue.admin.ban(studio.mira.id, studio.bob.id, studio.guild.id)
    result = await studio.bob.click(grid, label="U1")
    assert "blocked" in text_of(result.response)
    await studio.built.queue.admin.ban(studio.mira.id, studio.alice.id, studio.guild.id)
    job, _ = await studio.built.queue.job_of_message(grid.id)
    said = await studio.alice.slash(studio.channel, "queue cancel", job=job.id)
    assert "over already" in text_of(said.followups[-1])
