"""/studio: a server's rules, and that they hold."""

import discord
import pytest

from studio.authority import Actor
from tests.bot.conftest import Studio
from tests.support.messages import text_of


async def _says(studio: Studio, who, command: str, **options) -> str:
    result = await who.slash(studio.channel, f"studio {command}", **options)
    return text_of(result.followups[-1])


async def test_only_managers_may_change_rules(studio: Studio) -> None:
    for command, options in (
        ("rules", {}),
        ("audit", {}),
        ("ban", {"user": studio.bob}),
        ("allow", {"channel": studio.channel}),
    ):
        assert "Manage Server" in await _says(studio, studio.alice, command, **options)
    assert await studio.built.queue.admin.banned(studio.guild.id) == []


async def test_a_banned_member_is_told_and_can_be_let_in_again(studio: Studio) -> None:
    assert "can't use Atelier here" in await _says(studio, studio.mira, "ban", user=studio.bob)
    result = await studio.bob.slash(studio.channel, "imagine", prompt="a boat")
    assert "an admin has blocked you" in text_of(result.followups[-1])
    assert "may use Atelier again" in await _says(studio, studio.mira, "unban", user=studio.bob)
    await studio.bob.slash(studio.channel, "imagine", prompt="a boat")
    assert studio.last().attachments


async def test_only_listed_channels_may_be_used(studio: Studio) -> None:
    other = studio.guild.create_text_channel("other")
    await _says(studio, studio.mira, "allow", channel=other)
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert f"<#{other.id}>" in text_of(result.followups[-1])
    assert "off the list" in await _says(studio, studio.mira, "disallow", channel=other)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert studio.last().attachments


async def test_a_roles_limit_is_set_shown_and_removed(studio: Studio) -> None:
    role = studio.guild.create_role("Patrons")
    assert "5 running, 50 waiting" in await _says(
        studio, studio.mira, "limit", role=role, running=5, waiting=50
    )
    assert "both" in await _says(studio, studio.mira, "limit", role=role, running=5)
    assert "any more" in await _says(studio, studio.mira, "limit", role=role)


async def test_every_change_leaves_a_row(studio: Studio) -> None:
    await _says(studio, studio.mira, "ban", user=studio.bob)
    await _says(studio, studio.mira, "allow", channel=studio.channel)
    told = await _says(studio, studio.mira, "audit")
    assert f"<@{studio.mira.id}> ban <@{studio.bob.id}>" in told and "allow channel" in told
    rules = await _says(studio, studio.mira, "rules")
    assert f"<@{studio.bob.id}>" in rules and f"<#{studio.channel.id}>" in rules


async def test_a_thread_belongs_to_its_channel_on_the_list(studio: Studio) -> None:
    await _says(studio, studio.mira, "allow", channel=studio.channel)
    thread = await studio.bot.get_channel(studio.channel.id).create_thread(
        name="boats", type=discord.ChannelType.public_thread
    )
    handle = next(t for t in studio.channel.threads if t.id == thread.id)
    await studio.alice.slash(handle, "imagine", prompt="a boat")
    assert handle.history()[-1].attachments


@pytest.mark.parametrize("kind", ["voice", "stage", "forum", "news"])
async def test_every_kind_of_channel_that_takes_commands_can_be_listed(studio: Studio, kind: str) -> None:
    channel = getattr(studio.guild, f"create_{kind}_channel")("boats")
    said = await _says(studio, studio.mira, "allow", channel=channel)
    assert f"<#{channel.id}> is on the list of allowed channels" in said
    assert f"<#{channel.id}> is off the list" in await _says(studio, studio.mira, "disallow", channel=channel)


async def test_long_lists_are_told_whole(studio: Studio) -> None:
    server, mira = studio.bot.studio.server, Actor(studio.mira.id, studio.guild.id, 1, manages=True)
    banned, words = range(10**17, 10**17 + 60), [f"word{number:03}*" for number in range(300)]
    for user_id in banned:
        await server.ban(mira, user_id)
    for word in words:
        await server.add_word(mira, word)
    told = await studio.mira.slash(studio.channel, "studio rules")
    text = "\n".join(text_of(said) for said in told.followups)
    assert [user_id for user_id in banned if f"<@{user_id}>" not in text] == []
    told = await studio.mira.slash(studio.channel, "moderation words")
    text = ", ".join(text_of(said) for said in told.followups)
    assert len(told.followups) > 1 and text == ", ".join(f"`{word}`" for word in words)


async def test_imagine_all_is_asked_with_the_members_roles(studio: Studio, picture) -> None:
    role = studio.guild.create_role("Patrons")
    patron = studio.guild.add_member(studio.env.create_user("pat"), roles=[role])
    await _says(studio, studio.mira, "allow", role=role)
    await patron.slash(studio.channel, "describe", image=picture)
    await patron.click(studio.last(), label="Imagine all")
    assert len([m for m in studio.channel.history()[1:] if m.attachments]) == 4


async def test_imagine_all_beyond_a_limit_says_so_and_leaves_nothing_behind(studio: Studio, picture) -> None:
    role = studio.guild.create_role("Guests")
    guest = studio.guild.add_member(studio.env.create_user("gus"), roles=[role])
    await guest.slash(studio.channel, "describe", image=picture)
    described = studio.last()
    await _says(studio, studio.mira, "limit", role=role, running=1, waiting=2)
    await studio.built.queue.pause(studio.mira.id)
    studio.hooks.wait = studio.outside
    result = await guest.click(described, label="Imagine all")
    assert (await studio.built.queue.mine(guest.id)).total_waiting == 2
    assert [
        m
        for m in result.followups
        if m.ephemeral and "2 of 4 are queued" in text_of(m) and "the limit is 2" in text_of(m)
    ]
    shown = [text_of(m) for m in studio.channel.history() if "Waiting to start" in text_of(m)]
    assert ["telling number 1" in shown[0], "telling number 2" in shown[1]] == [True, True]
    assert len(shown) == 2


async def test_rules_and_audit_name_limits_people_and_numbers(studio: Studio) -> None:
    role = studio.guild.create_role("Patrons")
    await studio.mira.slash(studio.channel, "studio limit", role=role, running=2, waiting=7)
    rules = text_of((await studio.mira.slash(studio.channel, "studio rules")).followups[-1])
    assert f"<@&{role.id}> 2 running, 7 waiting" in rules
    await studio.mira.slash(studio.channel, "studio unban", user=studio.bob)  # was never banned
    await studio.mira.slash(studio.channel, "studio ban", user=studio.alice)
    audit = text_of((await studio.mira.slash(studio.channel, "studio audit")).followups[-1])
    assert f"set role limit <@&{role.id}>: `user running 2, user waiting 7`" in audit
    assert f"ban <@{studio.alice.id}>" in audit and "unban" not in audit


async def test_a_role_has_more_tokens_for_questions_until_it_is_taken_away(studio: Studio) -> None:
    role = studio.guild.create_role("Patrons")

    async def tokens(**options: int) -> str:
        sent = await studio.mira.slash(studio.channel, "studio tokens", role=role, **options)
        return text_of(sent.followups[-1])

    assert "has 250,000 tokens a day" in await tokens(per_day=250_000)
    rules = text_of((await studio.mira.slash(studio.channel, "studio rules")).followups[-1])
    assert "**Questions of each member** 100,000 tokens a day" in rules
    assert f"**Members with** <@&{role.id}> 250,000 tokens a day" in rules
    assert "any number of tokens" in await tokens(per_day=0)
    assert "any more" in await tokens() and "any more" not in await tokens()
    audit = text_of((await studio.mira.slash(studio.channel, "studio audit")).followups[-1])
    assert f"set role tokens <@&{role.id}>: `per day 0`" in audit and "remove role tokens" in audit
    await studio.bob.slash(studio.channel, "studio tokens", role=role, per_day=5)
    assert "<@&" not in text_of((await studio.mira.slash(studio.channel, "studio rules")).followups[-1])


async def test_managers_decide_whether_mentions_are_heard(studio: Studio) -> None:
    async def rules() -> str:
        return text_of((await studio.mira.slash(studio.channel, "studio rules")).followups[-1])

    assert "**Mentions** heard" in await rules()
    refused = await studio.bob.slash(studio.channel, "studio talk", channels="off")
    assert "aren't heard" not in str(refused.followups)
    assert "**Mentions** heard" in await rules()
    off = await studio.mira.slash(studio.channel, "studio talk", channels="off")
    assert "aren't heard here" in text_of(off.followups[-1])
    assert "**Mentions** not heard" in await rules()
    await studio.mira.slash(studio.channel, "studio talk", channels="on")
    assert "**Mentions** heard" in await rules()
    audit = text_of((await studio.mira.slash(studio.channel, "studio audit")).followups[-1])
    assert "talk on" in audit and "talk off" in audit


async def test_a_manager_cannot_ban_herself(studio: Studio) -> None:
    refused = await studio.mira.slash(studio.channel, "studio ban", user=studio.mira)
    assert "can't ban yourself" in text_of(refused.followups[-1])
    await studio.mira.slash(studio.channel, "imagine", prompt="a boat")
    assert studio.last().attachments
