"""A server's first minute: the message when the bot joins, the panel for managers, and the bot's status."""

from pathlib import Path
from typing import Any

import discord
import pytest
from simcord.components import walk_components

from bot.cogs.queue import Presence, status_text
from core.events import Loading
from jobs.queue import JobView, Snapshot
from tests.bot.conftest import Studio, open_studio
from tests.storage.conftest import NOW, a_job


def parts(message: Any) -> list[dict[str, Any]]:
    """All components of a message, those inside of others too."""
    return list(walk_components(message.components))


def words(message: Any) -> str:
    """The texts of a message."""
    return "\n".join([message.content, *(one["content"] for one in parts(message) if one.get("type") == 10)])


def test_the_status_says_how_much_runs_and_nothing_of_what_is_asked() -> None:
    job = a_job()
    running, one = JobView(job, NOW), Snapshot(paused=False, draining=False)
    assert status_text(one, "sdxl") == "ready · sdxl"
    two = Snapshot(False, False, (running, running), (), 5)
    assert status_text(two, "sdxl") == "2 drawing, 5 wait · sdxl"
    assert status_text(Snapshot(True, False, total_waiting=3), "sdxl") == "paused · 3 wait"
    loads = JobView(job, NOW, loading=Loading("sdxl", 0.4))
    assert status_text(Snapshot(False, False, (loads,)), "sdxl") == "loading sdxl 40%"
    assert len(status_text(one, "m" * 300)) <= 128


async def test_the_status_is_told_again_only_when_it_has_changed(studio: Studio) -> None:
    presence = Presence(studio.bot)
    told = []

    async def change(*, activity: discord.CustomActivity) -> None:
        told.append(activity.name)

    studio.bot.change_presence = change  # type: ignore[method-assign]
    await presence.on_shard_ready(0)
    await presence.tell_once()
    await presence.tell_once()
    assert len(told) == 1 and told[0].startswith("ready")
    await studio.built.queue.pause(studio.mira.id)
    await presence.tell_once()
    assert told[1:] == ["paused"]
    await presence.on_shard_ready(0)  # after an identify nobody knows it any more
    await presence.tell_once()
    assert told[2:] == ["paused"]


async def test_a_server_is_greeted_once(studio: Studio) -> None:
    welcome = studio.bot.cogs["Welcome"]
    assert welcome is not None
    guild = studio.bot.get_guild(studio.guild.id)
    assert guild is not None
    for _ in range(2):
        await welcome.on_guild_join(guild)
    [message] = studio.channel.history()
    assert "/imagine a red house in the snow" in message.content and "/privacy show" in message.content
    refused = await studio.alice.click(message, label="Set up")
    assert "Manage Server" in refused.followups[-1].content
    panel = await studio.mira.click(message, label="Set up")
    assert panel.response.flags.ephemeral and "Set up Atelier" in words(panel.response)


async def test_where_nobody_may_write_nothing_is_said(studio: Studio) -> None:
    silent = discord.PermissionOverwrite(send_messages=False)
    guild = studio.env.create_guild("Quiet")
    guild.create_text_channel("rules", overwrites={guild.default_role: silent})
    welcome, there = studio.bot.cogs["Welcome"], studio.bot.get_guild(guild.id)
    assert welcome is not None and there is not None
    await welcome.on_guild_join(there)
    assert [one for one in studio.env.http_requests if one.path.endswith("/messages")] == []


async def test_the_panel_writes_what_the_commands_write(studio: Studio) -> None:
    panel = (await studio.mira.slash(studio.channel, "studio setup")).response
    assert len(parts(panel)) <= 27  # of 40
    other = studio.guild.create_text_channel("art")
    await studio.mira.select(panel, [studio.channel, other], custom_id="su:channel")
    await studio.mira.select(panel, [other], custom_id="su:channel")
    role = studio.guild.create_role("Painters")
    await studio.mira.select(panel, [role], custom_id="su:role")
    await studio.mira.select(panel, ["strict"], custom_id="su:level")
    await studio.mira.click(panel, custom_id="su:talk")
    rules = (await studio.mira.slash(studio.channel, "studio rules")).followups[-1].content
    assert f"<#{other.id}>" in rules and f"<#{studio.channel.id}>" not in rules
    assert f"<@&{role.id}>" in rules and "Mentions** not heard" in rules
    shown = (await studio.mira.slash(studio.channel, "moderation show")).followups[-1].content
    assert "**Level** strict" in shown
    await studio.mira.select(panel, ["default"], custom_id="su:level")
    await studio.mira.select(panel, [], custom_id="su:role")
    done = await studio.mira.click(panel, custom_id="su:done")
    assert "for everybody; moderation: standard" in words(done.response)


async def test_the_panel_and_the_commands_choose_the_language_and_where_strikes_are_told(
    studio: Studio,
) -> None:
    panel = (await studio.mira.slash(studio.channel, "studio setup")).response
    await studio.mira.select(panel, ["de"], custom_id="su:language")
    assert await studio.built.queue.admin.language(studio.guild.id) == "de"
    said = await studio.mira.slash(studio.channel, "studio language", language="fr")
    assert "français" in said.followups[-1].content.lower()
    assert await studio.built.queue.admin.language(studio.guild.id) == "fr"
    await studio.mira.select(panel, ["automatic"], custom_id="su:language")
    assert await studio.built.queue.admin.language(studio.guild.id) == ""
    staff = studio.guild.create_text_channel("staff")
    shown = await studio.mira.select(panel, [staff], custom_id="su:alerts")
    assert "Strikes and time-outs" in staff.history()[-1].content
    menu = next(one for one in parts(shown.response) if one.get("custom_id") == "su:alerts")
    assert [one["id"] for one in menu["default_values"]] == [staff.id]
    rules = (await studio.mira.slash(studio.channel, "studio rules")).followups[-1].content
    assert f"**Alerts** <#{staff.id}>" in rules
    said = await studio.mira.slash(studio.channel, "moderation alerts")
    assert "nowhere" in said.followups[-1].content
    assert await studio.built.moderator.alerts(studio.guild.id) is None
    silent = discord.PermissionOverwrite(send_messages=False)
    overwrites = {studio.guild.default_role: silent}
    closed = studio.guild.create_text_channel("closed", overwrites=overwrites)
    refused = await studio.mira.select(panel, [closed], custom_id="su:alerts")
    assert "can't write" in refused.followups[-1].content
    assert await studio.built.moderator.alerts(studio.guild.id) is None


async def test_the_panel_chooses_where_pairs_are_shown_and_says_what_they_wait_for(studio: Studio) -> None:
    panel = (await studio.mira.slash(studio.channel, "studio setup")).response
    assert "Votes on pairs" in words(panel) and "The next vote needs" not in words(panel)
    shown = await studio.mira.select(panel, [studio.channel], custom_id="su:duels")
    assert "shown yet: 0. The next vote needs 2" in words(shown.response)
    assert "Once a week I show pairs" in studio.channel.history()[-1].content
    menu = next(one for one in parts(shown.response) if one.get("custom_id") == "su:duels")
    assert [one["id"] for one in menu["default_values"]] == [studio.channel.id]
    rules = (await studio.mira.slash(studio.channel, "studio rules")).followups[-1].content
    assert f"**Votes on pairs** <#{studio.channel.id}>" in rules
    for prompt in ("a red house", "a boat"):
        await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    panel = (await studio.mira.slash(studio.channel, "studio setup")).response
    assert "The next vote needs" not in words(panel)
    await studio.mira.select(panel, [], custom_id="su:duels")
    rules = (await studio.mira.slash(studio.channel, "studio rules")).followups[-1].content
    assert "**Votes on pairs** nowhere" in rules


async def test_where_tastes_are_off_the_panel_has_no_votes(tmp_path: Path) -> None:
    async with open_studio(tmp_path / "data", TASTE="off") as studio:
        panel = (await studio.mira.slash(studio.channel, "studio setup")).response
        assert "Set up Atelier" in words(panel) and "Votes on pairs" not in words(panel)


@pytest.mark.parametrize("what", ["su:channel", "su:language", "su:alerts", "su:duels", "su:talk", "su:done"])
async def test_the_panel_of_a_manager_does_nothing_for_a_member(studio: Studio, what: str) -> None:
    welcome = studio.bot.cogs["Welcome"]
    from bot.cogs.welcome import LanguageMenu, ListMenu, PlaceMenu, SetupButton
    from bot.ui.buttons import view_of

    menus = {"su:channel": ListMenu("channel"), "su:language": LanguageMenu()}
    menus |= {f"su:{kind}": PlaceMenu(kind) for kind in ("alerts", "duels")}
    item = menus.get(what) or SetupButton(what[3:])
    channel = studio.bot.get_channel(studio.channel.id)
    sent = await channel.send("forged", view=view_of(item))
    message = next(m for m in studio.channel.history() if m.id == sent.id)
    if what in menus:
        chosen = "de" if what == "su:language" else studio.channel
        result = await studio.alice.select(message, [chosen], custom_id=what)
    else:
        result = await studio.alice.click(message, custom_id=what)
    assert "Manage Server" in result.followups[-1].content and welcome is not None
    assert await studio.built.queue.admin.allowed(studio.guild.id) == (frozenset(), frozenset())
    assert await studio.built.queue.admin.language(studio.guild.id) == ""
    assert await studio.built.moderator.alerts(studio.guild.id) is None


async def test_models_are_loaded_tested_and_unloaded_by_the_host_alone(tmp_path: Path) -> None:
    folder = tmp_path / "fast"
    folder.mkdir()
    async with open_studio(tmp_path / "data", IMAGE_MODELS=f"fast={folder}") as studio:
        refused = await studio.alice.slash(studio.channel, "studio model load", name="fast")
        assert "Manage Server" in (refused.response or refused.followups[-1]).content
        given_up = []
        studio.built.queue.executor.forget = given_up.append  # type: ignore[method-assign]
        said = await studio.mira.slash(studio.channel, "studio model unload", name="fast")
        assert "leaves memory" in said.followups[-1].content and given_up == [[str(folder)]]
        said = await studio.mira.slash(studio.channel, "studio model unload", name="slow")
        assert "no image model with that name" in said.followups[-1].content
        steps = []
        for command in ("load", "test"):
            said = await studio.mira.slash(studio.channel, f"studio model {command}", name="fast")
            assert said.response.flags.ephemeral and said.response.attachments
            job, _ = await studio.built.queue.job_of_message(said.response.id)
            assert job.request.model == "fast"
            steps.append(job.request.num_inference_steps)
        assert steps == [1, None]
