"""/studio: a server's rules, and that they hold."""

from tests.bot.conftest import Studio


async def _says(studio: Studio, who, command: str, **options) -> str:
    result = await who.slash(studio.channel, f"studio {command}", **options)
    return result.followups[-1].content


async def test_only_managers_may_change_rules(studio: Studio) -> None:
    for command, options in (("rules", {}), ("audit", {}), ("ban", {"user": studio.bob}), ("allow", {"channel": studio.channel})):
        assert "Manage Server" in await _says(studio, studio.alice, command, **options)
    assert await studio.built.queue.banned(studio.guild.id) == []


async def test_a_banned_member_is_told_and_can_be_let_in_again(studio: Studio) -> None:
    assert "can't use Atelier here" in await _says(studio, studio.mira, "ban", user=studio.bob)
    result = await studio.bob.slash(studio.channel, "imagine", prompt="a boat")
    assert "an admin has blocked you" in result.followups[-1].content
    assert "may use Atelier again" in await _says(studio, studio.mira, "unban", user=studio.bob)
    await studio.bob.slash(studio.channel, "imagine", prompt="a boat")
    assert studio.last().attachments


async def test_only_listed_channels_may_be_used(studio: Studio) -> None:
    other = studio.guild.create_text_channel("other")
    await _says(studio, studio.mira, "allow", channel=other)
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert f"<#{other.id}>" in result.followups[-1].content
    assert "off the list" in await _says(studio, studio.mira, "disallow", channel=other)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert studio.last().attachments


async def test_a_roles_limit_is_set_shown_and_removed(studio: Studio) -> None:
    role = studio.guild.create_role("Patrons")
    assert "5 running, 50 waiting" in await _says(studio, studio.mira, "limit", role=role, running=5, waiting=50)
    assert "both" in await _says(studio, studio.mira, "limit", role=role, running=5)
    assert "any more" in await _says(studio, studio.mira, "limit", role=role)


async def test_every_change_leaves_a_row(studio: Studio) -> None:
    await _says(studio, studio.mira, "ban", user=studio.bob)
    await _says(studio, studio.mira, "allow", channel=studio.channel)
    told = await _says(studio, studio.mira, "audit")
    assert f"<@{studio.mira.id}> ban `{studio.bob.id}`" in told and "allow channel" in told
    rules = await _says(studio, studio.mira, "rules")
    assert f"<@{studio.bob.id}>" in rules and f"<#{studio.channel.id}>" in rules
