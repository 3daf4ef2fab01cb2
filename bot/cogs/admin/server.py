"""/studio: a server's rules for the bot: bans, allowed channels and roles, limits by role, and who changed
what."""

from __future__ import annotations

from collections.abc import Collection

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.replies import answers_privately, whisper, whisper_all
from bot.wire.interactions import actor_of
from core.errors import UserError
from storage.people import AuditRow, RoleLimit, RoleTokens
from studio.texts import code, counted

Listable = (  # channels where commands can be used; a thread or a forum's post is also what its channel is
    discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel | discord.Thread
)
IN_A_LINE = 40  # people, channels or roles
MOST_TOKENS = 10**9  # a day


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
class StudioCog(
    commands.GroupCog, name="studio", description="Who may use Atelier in this server (Manage Server)"
):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Ban a member from Atelier here and cancel their waiting jobs")
    @answers_privately
    async def ban(self, interaction: discord.Interaction, user: discord.User) -> None:
        dropped = await self.bot.studio.server.ban(actor_of(interaction), user.id)
        await whisper(
            interaction,
            f"<@{user.id}> can't use Atelier here any more; {counted(dropped, 'waiting job')} cancelled.",
        )

    @app_commands.command(description="Lift a ban")
    @answers_privately
    async def unban(self, interaction: discord.Interaction, user: discord.User) -> None:
        lifted = await self.bot.studio.server.unban(actor_of(interaction), user.id)
        await whisper(
            interaction,
            f"<@{user.id}> may use Atelier again." if lifted else f"<@{user.id}> isn't banned here.",
        )

    @app_commands.command(
        description="Allow Atelier only in listed channels or for listed roles, and add one to the list"
    )
    @answers_privately
    async def allow(
        self,
        interaction: discord.Interaction,
        channel: Listable | None = None,
        role: discord.Role | None = None,
    ) -> None:
        kind, target = _one(channel, role)
        await self.bot.studio.server.allow(actor_of(interaction), kind, target.id)
        await whisper(interaction, f"{target.mention} is on the list of allowed {kind}s.")

    @app_commands.command(description="Remove a channel or a role from the list; an empty list allows all")
    @answers_privately
    async def disallow(
        self,
        interaction: discord.Interaction,
        channel: Listable | None = None,
        role: discord.Role | None = None,
    ) -> None:
        kind, target = _one(channel, role)
        gone = await self.bot.studio.server.disallow(actor_of(interaction), kind, target.id)
        await whisper(
            interaction,
            f"{target.mention} is off the list." if gone else f"{target.mention} wasn't on the list.",
        )

    @app_commands.command(
        description="Set how many jobs members with a role can have; their highest role limit applies"
    )
    @app_commands.describe(
        running="Jobs running at once, 0 to 100; leave out both numbers to remove the limit",
        waiting="Jobs waiting, 0 to 10000",
    )
    @answers_privately
    async def limit(
        self,
        interaction: discord.Interaction,
        role: discord.Role,
        running: app_commands.Range[int, 0, 100] | None = None,
        waiting: app_commands.Range[int, 0, 10_000] | None = None,
    ) -> None:
        if running is None and waiting is None:
            gone = await self.bot.studio.server.remove_role_limit(actor_of(interaction), role.id)
            await whisper(
                interaction, f"{role.mention} has no limit of its own {'any more' if gone else 'here'}."
            )
            return
        if running is None or waiting is None:
            raise UserError("Give both `running` and `waiting`, or neither to remove the role's limit.")
        await self.bot.studio.server.set_role_limit(
            actor_of(interaction), RoleLimit(role.id, running, waiting)
        )
        await whisper(interaction, f"{role.mention}: {running} running, {waiting} waiting.")

    @app_commands.command(
        description="Set how many tokens a day members with a role can use in questions; the most applies"
    )
    @app_commands.describe(per_day="0 = as many as they like; leave it out to remove the role's number")
    @answers_privately
    async def tokens(
        self,
        interaction: discord.Interaction,
        role: discord.Role,
        per_day: app_commands.Range[int, 0, MOST_TOKENS] | None = None,
    ) -> None:
        server, actor = self.bot.studio.server, actor_of(interaction)
        if per_day is None:
            gone = await server.remove_role_tokens(actor, role.id)
            said = f"has no number of tokens of its own {'any more' if gone else 'here'}."
        else:
            await server.set_role_tokens(actor, RoleTokens(role.id, per_day))
            said = f"has {_tokens(per_day)} tokens a day."
        await whisper(interaction, f"{role.mention} {said}")

    @app_commands.command(description="Show the rules of this server")
    @answers_privately
    async def rules(self, interaction: discord.Interaction) -> None:
        actor = actor_of(interaction)
        channels, roles = await self.bot.studio.server.allowed(actor)
        banned = await self.bot.studio.server.banned(actor)
        limits = await self.bot.studio.server.role_limits(actor)
        tokens = await self.bot.studio.server.role_tokens(actor)
        settings = self.bot.settings
        lines = (
            *_listed("**Channels**", channels, "<#{}>", "all"),
            *_listed("**Roles**", roles, "<@&{}>", "all"),
            *_listed("**Banned**", banned, "<@{}>", "nobody"),
            (
                f"**Each member** {settings.user_running} running, {settings.user_waiting} waiting · **this"
                f" server** {settings.guild_waiting} waiting"
            ),
            f"**Questions of each member** {_tokens(settings.ask_per_day)} tokens a day",
            *(
                f"**Members with** <@&{limit.role_id}> {limit.user_running} running,"
                f" {limit.user_waiting} waiting"
                for limit in limits
            ),
            *(f"**Members with** <@&{one.role_id}> {_tokens(one.per_day)} tokens a day" for one in tokens),
        )
        await whisper_all(interaction, lines)

    @app_commands.command(description="Show who changed what, newest first")
    @answers_privately
    async def audit(self, interaction: discord.Interaction) -> None:
        rows = await self.bot.studio.server.audit(actor_of(interaction))
        lines = [
            f"- {discord.utils.format_dt(row.at, 'f')} <@{row.actor_id}>"
            f" {row.action}{_target(row)}{_detail(row)}"
            for row in rows
        ]
        await whisper_all(interaction, lines or ["Nobody has changed anything here yet."])


def _target(row: AuditRow) -> str:
    """What was changed, as Discord shows people, roles and channels by name."""
    if not row.target:
        return ""
    if row.action in ("ban", "unban", "pardon", "time out"):
        return f" <@{row.target}>"
    if "role" in row.action:
        return f" <@&{row.target}>"
    return f" <#{row.target}>" if "channel" in row.action else f" `{row.target}`"


def _detail(row: AuditRow) -> str:
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.detail.items())
    return f": {code(said, 200)}" if said else ""


def _tokens(per_day: int) -> str:
    return f"{per_day:,}" if per_day else "any number of"


def _one(channel: Listable | None, role: discord.Role | None):
    if (channel is None) == (role is None):
        raise UserError("Choose either a `channel` or a `role`.")
    return ("channel", channel) if channel is not None else ("role", role)


def _listed(name: str, ids: Collection[int], form: str, none: str) -> list[str]:
    """Return the lines that list ids as Discord shows what they belong to."""
    found = [form.format(one) for one in sorted(ids)]
    lines = [", ".join(found[at : at + IN_A_LINE]) for at in range(0, len(found), IN_A_LINE)]
    return [f"{name} {lines[0] if lines else none}", *lines[1:]]


async def setup(bot: Atelier) -> None:
    await bot.add_cog(StudioCog(bot))
