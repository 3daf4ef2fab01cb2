"""Who may do what: every cell of the table against rules written apart from it, and that every entry point
asks it."""

import ast
from pathlib import Path

import discord
import pytest

from bot.ui.buttons import BUTTONS
from core.settings import ROOT
from studio.asking.actions import RIGHTS
from studio.authority import TABLE, Action, Actor, Authority, Place
from tests.bot import authority_cells
from tests.bot.conftest import Studio


def test_no_cell_grants_or_refuses_against_the_rules() -> None:
    count, escalations, refusals = authority_cells.walk()
    assert count >= 5_000
    assert escalations == [] and refusals == []


def test_a_role_too_many_or_too_few_anywhere_in_the_table_is_caught() -> None:
    count, missed = authority_cells.caught()
    assert count > 200 and missed == []


def test_every_action_has_a_row_and_every_button_an_action() -> None:
    assert set(TABLE) == set(Action)
    assert set(BUTTONS) - set(RIGHTS) == {
        "variation",
        "outpaint",
    }  # of a picture that was sent: there is no job yet


def test_the_host_ends_jobs_but_sees_no_more_than_others() -> None:
    private = authority_cells.subjects()[4].job
    host = Authority(authority_cells.Servers(), {authority_cells.HOST})
    actor = Actor(authority_cells.HOST, authority_cells.HERE, authority_cells.STUDIO, manages=True)
    assert private.origin.private
    assert host.allows(actor, Action.CANCEL, private) and not host.allows(actor, Action.SHOW, private)


def test_a_channel_that_somebody_cannot_read_is_none_of_their_business() -> None:
    staff = authority_cells.subjects()[7].job
    member = Actor(authority_cells.OTHER, authority_cells.HERE, authority_cells.STUDIO, reads=lambda c: False)
    rights = Authority(authority_cells.Servers(), {authority_cells.HOST})
    assert not rights.allows(member, Action.USE, staff)
    assert rights.allows(member, Action.USE, staff, [Place(authority_cells.HERE, authority_cells.STUDIO)])


# Nobody else decides


def _names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


DECIDING = {
    "manage_guild",
    "guild_permissions",
    "administrator",
    "manage_messages",
    "moderate_members",
    "has_permissions",
    "is_owner",
}


def test_rights_are_read_in_one_place_only() -> None:
    found = {path.name for path in (ROOT / "bot").rglob("*.py") if _names(path) & DECIDING}
    assert found == {"interactions.py"}


# Through the real entry points


@pytest.mark.parametrize("place", ["elsewhere", "a channel that bob can't read"])
async def test_a_forged_or_overheard_id_opens_nothing(studio: Studio, place: str) -> None:
    hidden, open_to = (
        discord.PermissionOverwrite(view_channel=False),
        discord.PermissionOverwrite(view_channel=True),
    )
    staff = studio.guild.create_text_channel(
        "staff", overwrites={studio.guild.default_role: hidden, studio.mira: open_to}
    )
    await studio.mira.slash(staff, "imagine", prompt="a secret boat")
    job, _ = await studio.built.queue.job_of_message(studio.last(staff).id)
    if place == "elsewhere":
        other = studio.env.create_guild("Other")
        bob, channel = other.add_member(studio.env.create_user("bobby")), other.create_text_channel("general")
    else:
        bob, channel = studio.bob, studio.channel
    for command, options in (
        ("show", {"job": job.id}),
        ("variation", {"source": f"{job.id} 1"}),
        ("outpaint", {"source": f"{job.id} 1"}),
    ):
        result = await bob.slash(channel, command, **options)
        assert "somebody else" in (result.followups or [result.response])[-1].content, command
    assert not [m for m in channel.history() if m.attachments]


async def test_a_banned_member_presses_in_vain_but_may_end_what_is_theirs(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    grid = studio.last()
    await studio.built.queue.ban(studio.mira.id, studio.bob.id, studio.guild.id)
    result = await studio.bob.click(grid, label="U1")
    assert "blocked" in result.response.content
    await studio.built.queue.ban(studio.mira.id, studio.alice.id, studio.guild.id)
    job, _ = await studio.built.queue.job_of_message(grid.id)
    said = await studio.alice.slash(studio.channel, "queue cancel", job=job.id)
    assert "over already" in said.followups[-1].content
